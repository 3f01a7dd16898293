"""What was seen of pictures, kept on the disk as it is found: a killed cleaning goes on there.

It lies in journal and records as the labels of a run do, see ``autolabel.journal``: what a kill
tears off is cut off when the folder is opened again, and looked for anew.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grounded_ram.autolabel.journal import JOURNAL, Part, Place, Records, read_journal
from grounded_ram.autolabel.outcomes import Labelled
from grounded_ram.autolabel.run_folder import alone_in
from grounded_ram.data_engine.cleaning.regions import Region, Regions, kept_form
from grounded_ram.disk import DiskFullError, is_full
from grounded_ram.errors import InputError


@dataclass(frozen=True, eq=False)
class Seen:
    """What was seen of one picture.

    Args:
        regions: what is known of each of N; may be none.
        embeddings: (N, D) float16, see ``regions.kept_form``.
        names: what the tagger sees in the whole picture, where that was asked.
    """

    regions: tuple[Region, ...] = ()
    embeddings: NDArray[np.float16] | None = None
    names: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        regions: Sequence[Region] = (),
        embeddings: NDArray[np.floating[Any]] | None = None,
        names: Sequence[str] = (),
    ) -> Seen:
        """Make one of (N, D) embeddings as an embedder gives them."""
        kept = None if embeddings is None or not len(regions) else kept_form(embeddings)
        return cls(tuple(regions), kept, tuple(names))

    def add_to(self, regions: Regions) -> None:
        """Add the regions, if there are any, to those of other pictures."""
        if self.embeddings is not None:
            regions.add(self.regions, self.embeddings)


class SeenFolder:
    """What was seen of pictures, by their names; nothing is kept where there is no folder.

    Args:
        folder: made if absent, and for one process at a time.

    Attributes:
        known: how many pictures an earlier process has seen.

    Raises:
        InputError: the journal is damaged.
    """

    def __init__(self, folder: Path | None) -> None:
        self._places: Mapping[str, tuple[str, Place]] = {}
        self._part: Part | None = None
        if folder is not None:
            try:
                self._places = read_journal(folder).labelled
            except InputError as error:
                raise InputError(
                    f"{str(folder / JOURNAL)!r} is damaged; delete the folder {str(folder)!r}, and "
                    "type the command again: the pictures are looked at anew"
                ) from error
            self._part = Part(folder)
            self._records = Records(folder)
        self._folder = folder
        self.known = len(self._places)

    def get(self, name: str, digest: str) -> Seen | None:
        """Return what was seen of a picture; None if that is unknown.

        Args:
            name: the picture's.
            digest: see ``digest_of``; what was seen of something else does not count.
        """
        had, place = self._places.get(name, ("", None))
        if place is None or had != digest:
            return None
        try:
            return _decode(name, self._records.read(place))
        except (ValueError, KeyError, TypeError):
            return None  # somebody changed the file: to look once more costs little

    def keep(self, found: Mapping[str, tuple[str, Seen]]) -> None:
        """Write down what was seen of some pictures; when this returns, no kill undoes it.

        Args:
            found: digest and what was seen, by the pictures' names.

        Raises:
            DiskFullError: there is no room.
        """
        if self._part is None:
            return
        try:
            self._part.commit(
                [
                    Labelled(name, digest, len(one.regions), _encode(one))
                    for name, (digest, one) in found.items()
                ]
            )
        except OSError as error:
            if not is_full(error):
                raise
            raise DiskFullError(
                f"the disk is full: {error}. What was seen before is kept in {self._folder}; make "
                "room, and type the same command again to go on"
            ) from error

    def close(self) -> None:
        """Close the files."""
        if self._part is not None:
            self._part.close()
            self._records.close()


@contextmanager
def seen_in(folder: Path | None) -> Iterator[SeenFolder]:
    """Open what was seen, and keep other processes out meanwhile.

    Raises:
        InputError: another process has it open, or it is damaged.
        OSError: the folder cannot be written.
    """
    if folder is None:
        yield SeenFolder(None)
        return
    folder.mkdir(parents=True, exist_ok=True)
    otherwise = (
        f"another process is looking at these pictures, into {str(folder)!r}; wait for it, or "
        "stop it"
    )
    with alone_in(folder, otherwise):
        seen = SeenFolder(folder)
        try:
            yield seen
        finally:
            seen.close()


def digest_of(what: bytes | str) -> str:
    """Return what tells a picture with its labels from others."""
    plain = what.encode("utf-8", "surrogatepass") if isinstance(what, str) else what
    return sha256(plain).hexdigest()


def _encode(seen: Seen) -> bytes:
    """Write what was seen as a line of JSON; numbers come back to the last digit."""
    embeddings = seen.embeddings
    record = {
        "regions": [[one.label, one.box_xyxy, one.whole, one.alone] for one in seen.regions],
        "width": 0 if embeddings is None else embeddings.shape[1],
        "embeddings": "" if embeddings is None else _text(embeddings),
        "names": seen.names,
    }
    return json.dumps(record).encode() + b"\n"


def _text(embeddings: NDArray[np.float16]) -> str:
    return base64.b64encode(embeddings.astype("<f2").tobytes()).decode()


def _decode(name: str, record: bytes) -> Seen:
    """Read a line back.

    Raises:
        ValueError, KeyError, TypeError: it is damaged.
    """
    told = json.loads(record)
    regions = []
    for label, (x0, y0, x1, y1), whole, alone in told["regions"]:
        regions.append(Region(name, str(label), (x0, y0, x1, y1), float(whole), float(alone)))
    raw = np.frombuffer(base64.b64decode(told["embeddings"], validate=True), "<f2")
    embeddings = raw.astype(np.float16).reshape(len(regions), told["width"]) if regions else None
    return Seen(tuple(regions), embeddings, tuple(map(str, told["names"])))
