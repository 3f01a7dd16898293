"""One object, one label: of the boxes or masks that show the same object, only one stays.

A detector may find one object several times: from two of its queries, from two prompts, under two
names. What counts as one object depends on the names, see ``rules.Rules``: a car and a vehicle at
one place are one object, of which the more specific name wins; a rider and a bicycle, or a wheel
and a car, overlap much and are two. Boxes are merged before they are segmented, which saves the
segmenter's time; masks after, for they tell apart what boxes cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, cast

import numpy as np
import supervision as sv
import torch
from numpy.typing import NDArray
from pycocotools import mask as rle
from torchvision.ops import box_area, box_iou

from grounded_ram.annotation import Alternatives, Reason, Rejected, objects
from grounded_ram.errors import InputError
from grounded_ram.rules import Rules
from grounded_ram.run_lengths import run_lengths


class Kinship(Protocol):
    """What names have to do with one another."""

    def is_a(self, name: str, other: str) -> bool:
        """Tell whether a name means the same as another, or a kind of it."""
        ...

    def is_part(self, name: str) -> bool:
        """Tell whether a name means a part of other things."""
        ...


@dataclass(frozen=True, eq=False)
class Overlaps:
    """How much N regions share.

    Args:
        iou: (N, N) shared over all pixels of two.
        inside: (N, N) the share of the first that lies in the second.
    """

    iou: NDArray[np.float64]
    inside: NDArray[np.float64]


def most_specific(
    names: Sequence[str],
    scores: Sequence[float],
    others: Sequence[Alternatives],
    kinship: Kinship,
    *,
    support: float,
) -> list[tuple[str, Alternatives]]:
    """Name each object as precisely as the scores of its other names allow.

    How sure it is that there is an object does not change: its score stays.

    A name that is a kind of the object's name takes its place if it scores at least a share of it;
    of several the best one; and so on, down to the most specific.

    Args:
        names: N names.
        scores: N scores of these names.
        others: the other names of each with their scores.
        kinship: of the names.
        support: that share.

    Returns:
        Of each object the name, and all other names with their scores, best first.
    """
    return [
        _most_specific({**dict(reversed(more)), name: score}, name, kinship, support)
        for name, score, more in zip(names, scores, others, strict=True)
    ]


def merge(
    detections: sv.Detections,
    *,
    iou: float,
    kinship: Kinship,
    rules: Rules = Rules(),  # noqa: B008  # frozen
) -> tuple[sv.Detections, list[Rejected]]:
    """Keep one row for each object, best first, and say what became of the others.

    First the rows of each name are thinned out, then what remains, whatever its name. Detections
    with masks are merged by these, and lose pieces and groups of objects as well. The order that
    comes in has no effect: of equal scores, the name that comes first in the alphabet wins, then
    the box furthest to the left.

    Args:
        detections: N rows of one image with ``confidence`` and ``data["class_name"]``; N may be 0.
        iou: of two rows of one name that overlap by more than this share, the worse one goes. The
            shares of ``rules`` count where they are larger: 1 keeps every box, and every mask but
            for pieces and groups.
        kinship: of the names.
        rules: ``kind_iou``, ``support``, ``box_iou``; for masks ``mask_iou``, ``contained`` and
            ``group`` too.

    Returns:
        The rows that stay, with ``data["alternatives"]``: the names of rows that were the same
        object, as ((name, score), ...); and the others, best first.

    Raises:
        InputError: the share lies outside [0, 1], or a column is missing.
    """
    if not 0 <= iou <= 1:
        raise InputError(f"iou: expected a number in [0, 1], got {iou!r}")
    best_first = detections.select(_best_first(detections))
    fates = _Fates(best_first, _Names.of(best_first, kinship), _overlaps(best_first), rules)
    fates.thin_names(iou)
    fates.thin_objects(iou)
    if best_first.mask is not None:
        fates.drop_groups()
        fates.drop_pieces()
    return fates.kept(), fates.rejected()


@dataclass(frozen=True, eq=False)
class _Names:
    """Names of N rows: ``is_a[i, j]`` whether row i is what row j is, ``same`` the same name."""

    names: list[str]
    same: NDArray[np.bool_]
    is_a: NDArray[np.bool_]
    part: NDArray[np.bool_]

    @classmethod
    def of(cls, detections: sv.Detections, kinship: Kinship) -> _Names:
        names, rows = np.unique(np.asarray(detections.data["class_name"]), return_inverse=True)
        each = [str(name) for name in names]
        is_a = np.array([[kinship.is_a(a, b) for b in each] for a in each], bool)
        is_a = is_a.reshape(len(each), len(each))
        part = np.array([kinship.is_part(name) for name in each], bool)
        pairs = np.ix_(rows, rows)
        same = (is_a & is_a.T)[pairs]  # synonyms that the user asked for are one name, too
        return cls([each[row] for row in rows], same, is_a[pairs], part[rows])


class _Fates:
    """What becomes of each of N rows, best first."""

    def __init__(self, rows: sv.Detections, names: _Names, over: Overlaps, rules: Rules) -> None:
        self._rows, self._names, self._over, self._rules = rows, names, over, rules
        self._scores = np.asarray(rows.confidence, np.float64)
        self._reasons: dict[int, Reason] = {}
        self._instead: dict[int, int] = {}

    def thin_names(self, iou: float) -> None:
        """Drop rows that overlap a better one of their name."""
        rivals = self._names.same & (self._over.iou > iou)
        stay: list[int] = []
        for row in range(len(self._scores)):
            better = [other for other in stay if rivals[row, other]]
            if better:
                self._drop(row, Reason.SAME_NAME, better[0])
            else:
                stay.append(row)

    def thin_objects(self, iou: float) -> None:
        """Drop rows that are an object which has a label already, unless they name it better."""
        rivals = self._over.iou > np.maximum(self._least_iou(), iou)
        stay: list[int] = []
        for row in self._staying():
            others = [other for other in stay if rivals[row, other]]
            if not others:
                stay.append(row)
            elif all(self._names_better(row, other) for other in others):
                stay = [*(other for other in stay if other not in others), row]
                for other in others:
                    self._drop(other, Reason.SAME_OBJECT, row)
            else:
                better = next(other for other in others if not self._names_better(row, other))
                self._drop(row, Reason.SAME_OBJECT, better)

    def drop_groups(self) -> None:
        """Drop masks that are little more than several others of their name together."""
        for row in self._staying():
            members = [other for other in self._staying() if self._lies_in(other, row)]
            shares = self._over.inside[row, members]
            if shares.sum() > self._rules.group > shares.max(initial=0):
                self._drop(row, Reason.GROUP, members[0])

    def drop_pieces(self) -> None:
        """Drop masks that lie within another of their name, or of a name that is one of it."""
        for row in reversed(self._staying()):
            wholes = [
                other
                for other in self._staying()
                if other != row
                and self._names.is_a[other, row]
                and self._over.inside[row, other] > self._rules.contained
            ]
            if wholes:
                self._drop(row, Reason.PIECE, wholes[0])

    def kept(self) -> sv.Detections:
        """Return the rows that stay, with the other names of their objects."""
        stay = self._staying()
        found = self._rows.select(stay)
        told: dict[int, list[tuple[str, float]]] = {row: [] for row in range(len(self._scores))}
        before = self._rows.data.get("alternatives")
        for row in range(len(self._scores)):
            if self._is_same_object(row):
                own = () if before is None else before[row]
                told[self._last(row)] += [(self._names.names[row], float(self._scores[row])), *own]
        alternatives = objects([_alternatives(self._names.names[row], told[row]) for row in stay])
        return replace(found, data={**found.data, "alternatives": alternatives})

    def rejected(self) -> list[Rejected]:
        """Return the rows that go."""
        return [
            Rejected.of(self._rows, row, reason, self._names.names[self._last(row)])
            for row, reason in sorted(self._reasons.items())
        ]

    def _least_iou(self) -> NDArray[np.float64]:
        """Return above which overlap each two rows are one object."""
        names, rules = self._names, self._rules
        within = self._over.inside > rules.contained
        apart = names.part[:, None] | names.part[None] | within | within.T
        by_boxes = apart | (self._rows.mask is None)
        other = np.where(by_boxes, rules.box_iou, rules.mask_iou)
        return np.where(names.is_a | names.is_a.T, rules.kind_iou, other)

    def _names_better(self, row: int, other: int) -> bool:
        """Tell whether a row of a lower score says more of an object, and is sure enough."""
        more = self._names.is_a[row, other] and not self._names.is_a[other, row]
        return bool(more and self._scores[row] >= self._rules.support * self._scores[other])

    def _lies_in(self, row: int, other: int) -> bool:
        """Tell whether a mask lies in another of its name or kind, and is sure enough to count."""
        inside = self._over.inside[row, other] > self._rules.contained
        sure = self._scores[row] >= self._rules.support * self._scores[other]
        return row != other and bool(inside and sure and self._names.is_a[row, other])

    def _is_same_object(self, row: int) -> bool:
        """Tell whether a row stays, or the row that stands for it in the end shows its object."""
        while row in self._instead:
            if self._reasons[row] not in (Reason.SAME_OBJECT, Reason.SAME_NAME):
                return False
            row = self._instead[row]
        return True

    def _staying(self) -> list[int]:
        return [row for row in range(len(self._scores)) if row not in self._reasons]

    def _drop(self, row: int, reason: Reason, instead: int) -> None:
        self._reasons[row] = reason
        self._instead[row] = instead

    def _last(self, row: int) -> int:
        """Return the row that stands for a row in the end."""
        while row in self._instead:
            row = self._instead[row]
        return row


def _most_specific(
    scores: dict[str, float], name: str, kinship: Kinship, support: float
) -> tuple[str, Alternatives]:
    """Go from a name to kinds of it as long as their scores support it."""
    while kinds := [
        other
        for other in sorted(scores)
        if scores[other] >= support * scores[name]
        and kinship.is_a(other, name)
        and not kinship.is_a(name, other)
    ]:
        name = max(kinds, key=lambda kind: scores[kind])
    return name, _alternatives(name, list(scores.items()))


def _alternatives(name: str, told: Sequence[tuple[str, float]]) -> Alternatives:
    """Return the other names with their best scores, best first."""
    best: dict[str, float] = {}
    for other, score in told:
        if other != name:
            best[other] = max(score, best.get(other, 0.0))
    return tuple(sorted(best.items(), key=lambda pair: (-pair[1], pair[0])))


def _overlaps(detections: sv.Detections) -> Overlaps:
    """Compare masks where there are some, else boxes."""
    if len(detections) == 0:
        return Overlaps(np.zeros((0, 0)), np.zeros((0, 0)))
    masks = detections.mask
    if masks is None:
        boxes = torch.from_numpy(detections.xyxy.astype(np.float64))  # float32 would round
        iou, areas = box_iou(boxes, boxes).numpy(), box_area(boxes).numpy()
    else:
        return _mask_overlaps(cast("sv.CompactMask", masks))
    shared = iou / (1 + iou) * (areas[:, None] + areas[None])
    return Overlaps(iou, shared / np.maximum(areas[:, None], 1e-9))


def _mask_overlaps(masks: sv.CompactMask) -> Overlaps:
    """Compare run lengths, which is a hundred times as fast as pixels of a large picture."""
    rows = range(len(masks))
    rles = [
        run_lengths(masks.crop(row), tuple(masks.offsets[row].tolist()), masks.image_shape)
        for row in rows
    ]
    # Of a crowd, pycocotools counts the shared pixels over those of the first mask alone.
    iou, inside = (rle.iou(rles, rles, [crowd] * len(rles)) for crowd in (0, 1))
    return Overlaps(np.nan_to_num(iou), np.nan_to_num(inside))


def _best_first(detections: sv.Detections) -> NDArray[np.intp]:
    """Order rows by score, then name, then box."""
    scores, names = detections.confidence, detections.data.get("class_name")
    if len(detections) == 0:
        return np.zeros(0, np.intp)
    if scores is None or names is None:
        lost = "confidence" if scores is None else "data['class_name']"
        raise InputError(f"expected detections with confidence and class_name, got no {lost}")
    numbers = np.unique(np.asarray(names, dtype=str), return_inverse=True)[1]
    # lexsort takes the last key first
    return np.lexsort((*detections.xyxy.T[::-1], numbers, -scores))
