"""What a person decided about the labels of a run: kept beside them, applied when they are read.

    RUN/review.jsonl    one line a decision, only ever added to; the last one on an object counts

The records stay as the models made them, so that every decision can be taken back. A decision
belongs to an object by its picture, place, label and box: if the picture is labelled again and the
object is no longer there, nothing is decided about what is there instead.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, get_args

import numpy as np
from filelock import FileLock

from grounded_ram.annotation import Alternatives, Annotation, Reason, Rejected, Tags, objects
from grounded_ram.errors import InputError
from grounded_ram.export.dataset import key_of

REVIEW = "review.jsonl"
LOCK = ".review.lock"

Choice = Literal["accept", "reject", "rename"]
"""What a person can say of a label."""


class ObjectKey(NamedTuple):
    """What tells an object from all others of a run."""

    picture: str
    row: int
    label: str
    box_xyxy: tuple[float, float, float, float]

    @classmethod
    def of(cls, annotation: Annotation, row: int) -> ObjectKey:
        """Return the key of an object as it was labelled.

        Raises:
            InputError: there is no such object.
        """
        found = annotation.detections
        if not 0 <= row < len(found):
            raise InputError(
                f"{key_of(annotation.image)}: expected one of {len(found)} objects, got {row}"
            )
        x0, y0, x1, y1 = (round(float(side), 3) for side in found.xyxy[row])
        return cls(
            key_of(annotation.image), row, str(found.data["class_name"][row]), (x0, y0, x1, y1)
        )


@dataclass(frozen=True)
class Decision:
    """What a person said of a label.

    Args:
        choice: that it is right, that it is wrong, or that the object is called otherwise.
        to: what it is called; empty unless the choice is "rename".
    """

    choice: Choice
    to: str = ""


class Reviews:
    """The decisions about a run's labels.

    Args:
        folder: the run's.

    Raises:
        InputError: the file of decisions was damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._size, self._last = 0, b""
        self._decisions: dict[ObjectKey, Decision] = {}
        self._pictures: dict[str, set[ObjectKey]] = {}
        self.refresh()

    def __len__(self) -> int:
        return len(self._decisions)

    @property
    def file(self) -> Path:
        """Return where the decisions are kept."""
        return self._folder / REVIEW

    def refresh(self) -> None:
        """Read what was decided since the last look, here or in another process."""
        if not self.file.exists():
            self._forget()
            return
        with self.file.open("rb") as file:
            self._read(file)

    def decision_of(self, annotation: Annotation, row: int) -> Decision | None:
        """Return what was decided about an object, as it was labelled; None if nothing was.

        Raises:
            InputError: there is no such object.
        """
        return self._decisions.get(ObjectKey.of(annotation, row))

    def decide(self, annotation: Annotation, row: int, choice: Choice, to: str = "") -> Decision:
        """Write down a decision; when this returns, no kill undoes it.

        Args:
            annotation: of the picture as it was labelled, without decisions.
            row: the object's among its detections.
            choice: what is said of it.
            to: what it is called instead, if the choice is "rename".

        Raises:
            InputError: there is no such object or choice, or the name cannot be one.
            OSError: the disk is full, say.
        """
        if choice not in get_args(Choice):
            raise InputError(f"expected one of {', '.join(get_args(Choice))}, got {choice!r}")
        key = ObjectKey.of(annotation, row)
        to = to.strip()
        printed = to.replace("\u200d", "")  # which joins emoji
        if choice == "rename" and (not to or not printed.isprintable()):
            raise InputError(f"expected the name of the {key.label!r} in {key.picture}, got {to!r}")
        if choice == "rename" and to == key.label:
            choice = "accept"
        decision = Decision(choice, to if choice == "rename" else "")
        self._add(key, {"decision": decision.choice, **({"to": to} if decision.to else {})})
        return decision

    def undo(self, annotation: Annotation, row: int) -> None:
        """Take a decision back.

        Raises:
            InputError: there is no such object.
            OSError: the disk is full, say.
        """
        key = ObjectKey.of(annotation, row)
        if key in self._decisions:
            self._add(key, {"decision": None})

    def apply(self, annotation: Annotation) -> Annotation:
        """Return the annotation with what was decided: without wrong labels, under right names.

        Rejected objects stand among ``rejected``. A new name has the kind of the old one, which
        stays in ``alternatives``; scores stay what the models said.
        """
        known = self._pictures.get(key_of(annotation.image), set())
        decided = {
            key.row: self._decisions[key]
            for key in known
            if key.row < len(annotation.detections) and ObjectKey.of(annotation, key.row) == key
        }
        return _applied(annotation, decided) if decided else annotation

    def _add(self, key: ObjectKey, said: dict[str, Any]) -> None:
        line = {
            "picture": key.picture,
            "object": key.row,
            "label": key.label,
            "box_xyxy": list(key.box_xyxy),
            **said,
            "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }
        with self._open() as file:
            file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.refresh()

    @contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        """Open the file to add to, other processes kept out; what a kill tore off is cut off."""
        with FileLock(self._folder / LOCK), self.file.open("a+b") as file:
            self._read(file)
            file.truncate(self._size)
            yield file

    def _read(self, file: IO[bytes]) -> None:
        """Read whole lines from where the last reading ended; all of a file that was begun anew."""
        file.seek(max(0, self._size - len(self._last)))
        if file.read(len(self._last)) != self._last:
            self._forget()
            file.seek(0)
        for line in file:
            if not line.endswith(b"\n"):
                return
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(
                    f"{self.file}: damaged, it says {line[:80]!r}; remove that line, or put the "
                    "file back as it was"
                ) from error
            self._size, self._last = self._size + len(line), line

    def _forget(self) -> None:
        """Know nothing: somebody removed the file, or changed it by hand."""
        self._size, self._last = 0, b""
        self._decisions.clear()
        self._pictures.clear()

    def _take(self, line: dict[str, Any]) -> None:
        x0, y0, x1, y1 = line["box_xyxy"]
        key = ObjectKey(line["picture"], line["object"], line["label"], (x0, y0, x1, y1))
        if line["decision"] is None:
            self._decisions.pop(key, None)
        elif line["decision"] in get_args(Choice):
            self._decisions[key] = Decision(line["decision"], line.get("to", ""))
        else:
            raise ValueError(line["decision"])
        self._pictures.setdefault(key.picture, set())
        known = self._pictures[key.picture]
        known.add(key) if key in self._decisions else known.discard(key)


def _applied(annotation: Annotation, decided: dict[int, Decision]) -> Annotation:
    """Apply decisions, by the rows of the objects."""
    found = annotation.detections
    names = [str(name) for name in found.data["class_name"]]
    new = {row: said.to for row, said in decided.items() if said.choice == "rename"}
    tags = _with_names(annotation.tags, {to: names[row] for row, to in new.items()})
    called = [new.get(row, name) for row, name in enumerate(names)]
    data = {**found.data, "class_name": np.array(called, str)}
    given = found.data.get("alternatives", objects([()] * len(found)))
    others: list[Alternatives] = list(given)
    for row in new:
        score = float(np.asarray(found.confidence)[row])
        rest = [pair for pair in others[row] if pair[0] != new[row]]
        others[row] = ((names[row], score), *rest)
    data["alternatives"] = objects(others)
    places = {name: row for row, name in enumerate(tags.names)}
    renamed = replace(found, class_id=np.array([places[n] for n in called], np.int64), data=data)
    gone = [row for row, said in sorted(decided.items()) if said.choice == "reject"]
    kept = [row for row in range(len(found)) if row not in gone]
    return replace(
        annotation,
        tags=tags,
        detections=renamed.select(kept),
        rejected=(
            *annotation.rejected,
            *(Rejected.of(found, row, Reason.REVIEWED) for row in gone),
        ),
        ungrounded=_ungrounded(annotation, names, {called[row] for row in kept}),
    )


def _with_names(tags: Tags, new: dict[str, str]) -> Tags:
    """Add names to the tags, each of the kind and score of another."""
    missing = [name for name in new if name not in tags.names]
    rows = [*range(len(tags)), *(tags.names.index(new[name]) for name in missing)]
    return Tags((*tags.names, *missing), tags.scores[rows], tuple(tags.kinds[row] for row in rows))


def _ungrounded(annotation: Annotation, names: list[str], carried: set[str]) -> dict[str, Reason]:
    """Say of the tags that lost their last object that a person decided so."""
    lost = {name: Reason.REVIEWED for name in names if name not in carried}
    reasons = {**annotation.ungrounded, **lost}
    order = [name for name in annotation.tags.names if name in reasons and name not in carried]
    return {name: reasons[name] for name in order}
