"""What is true of whole pictures: tags, from objects or from lists; and how right a run's are.

Lists are the text files of recognize-anything's ``datasets`` folder: ``..._ram_annots.txt`` has a
picture a line, its path without ending and then its tags, with commas between;
``..._ram_taglist.txt`` has a tag a line: all that were looked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from grounded_ram.errors import InputError
from grounded_ram.evaluation.tagging import average_precision

_ANNOTATIONS, _TAGS = "_annots.txt", "_taglist.txt"


@dataclass(frozen=True, eq=False)
class TagTruth:
    """The true tags of pictures.

    Args:
        pictures: the tags that are true, by the picture's name.
        names: all tags that were looked for; others say nothing.
    """

    pictures: Mapping[str, frozenset[str]]
    names: tuple[str, ...]


def read_tag_truth(path: Path, tag_list: Path | None = None) -> TagTruth:
    """Read a list of pictures with their tags.

    Args:
        path: the pictures.
        tag_list: the tags; None means the file beside it of that name, ``_annots`` replaced by
            ``_taglist``; where there is none, those that are true somewhere.

    Raises:
        InputError: a file cannot be read or is no such list.
    """
    lines = [line.split(",") for line in _lines(path)]
    pictures: dict[str, frozenset[str]] = {}
    for number, (name, *tags) in enumerate(lines, start=1):
        if not name.strip() or "" in map(str.strip, tags):
            raise InputError(
                f"{path}, line {number}: expected a picture and its tags, with commas between, as "
                f"in 'test/0001,car,dog'; got {','.join([name, *tags])[:60]!r}"
            )
        if name.strip() in pictures:
            raise InputError(f"{path}, line {number}: {name.strip()!r} comes twice")
        pictures[name.strip()] = frozenset(map(str.strip, tags))
    used = frozenset().union(*pictures.values())
    if used and all(tag.isdecimal() for tag in used):
        raise InputError(
            f"{path}: expected tags, got numbers, such as {min(used)}; "
            "take the list with names (..._ram_annots.txt)"
        )
    beside = path.with_name(path.name.replace(_ANNOTATIONS, _TAGS))
    if tag_list is None and beside != path and beside.is_file():
        tag_list = beside
    names = tuple(sorted(used)) if tag_list is None else tuple(map(str.strip, _lines(tag_list)))
    if strange := sorted(used - set(names)):
        raise InputError(f"{path}: {strange[0]!r} is not among the tags of {tag_list}")
    return TagTruth(pictures, tuple(dict.fromkeys(names)))


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: expected text in UTF-8: {error}") from error


@dataclass(frozen=True)
class TagScore:
    """How right one tag is.

    Args:
        name: the truth's.
        true: in how many pictures it is.
        seen: in how many it was seen.
        right: in how many both.
        ap: average precision over the pictures; 0 is the score where it was not seen.
    """

    name: str
    true: int
    seen: int
    right: int
    ap: float

    @property
    def precision(self) -> float:
        """Return the share of pictures that are right, of those where it was seen; 0 of none."""
        return self.right / self.seen if self.seen else 0.0

    @property
    def recall(self) -> float:
        """Return the share of pictures where it was seen, of those that have it; NaN of none."""
        return self.right / self.true if self.true else float("nan")


@dataclass(frozen=True)
class TagSummary:
    """How right the tags are that are true somewhere.

    ``map``, ``class_precision`` and ``class_recall`` are what recognize-anything's
    ``batch_inference.py`` calls mAP, CP and CR: means over tags, where a tag that was never seen
    has precision 0. ``overall_...`` are taken over all pairs of picture and tag at once, OP and OR
    in the literature on multi-label recognition.
    """

    map: float
    class_precision: float
    class_recall: float
    overall_precision: float
    overall_recall: float


class TagCounts:
    """Counts the tags of pictures, one picture at a time; it keeps a number for each seen tag."""

    def __init__(self) -> None:
        self._pictures = 0
        self._scores: dict[str, dict[int, float]] = {}
        self._true: dict[str, set[int]] = {}

    def add(self, true: Iterable[str], seen: Mapping[str, float]) -> None:
        """Count the true and the seen tags of a picture, with the seen ones' scores."""
        for name in true:
            self._true.setdefault(name, set()).add(self._pictures)
        for name, score in seen.items():
            self._scores.setdefault(name, {})[self._pictures] = score
        self._pictures += 1

    def scores(self) -> list[TagScore]:
        """Return one row for each tag that is true or seen somewhere, sorted."""
        return [self._score(name) for name in sorted({*self._true, *self._scores})]

    def _score(self, name: str) -> TagScore:
        true, seen = self._true.get(name, set()), self._scores.get(name, {})
        scores, truth = np.zeros(self._pictures), np.zeros(self._pictures, bool)
        scores[list(seen)] = list(seen.values())
        truth[list(true)] = True
        ap = average_precision(scores, truth)
        return TagScore(name, len(true), len(seen), len(true & seen.keys()), ap)


def summary(scores: Iterable[TagScore]) -> TagSummary:
    """Sum up the tags that are true somewhere; NaN if there are none."""
    known = [one for one in scores if one.true]
    if not known:
        return TagSummary(*[float("nan")] * 5)
    ap, precision, recall = np.mean([(s.ap, s.precision, s.recall) for s in known], axis=0).tolist()
    right, seen = sum(one.right for one in known), sum(one.seen for one in known)
    overall = right / seen if seen else float("nan")
    return TagSummary(ap, precision, recall, overall, right / sum(one.true for one in known))
