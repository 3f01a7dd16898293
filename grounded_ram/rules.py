"""Every threshold between a detector's boxes and the labels of an annotation, with its meaning."""

from __future__ import annotations

import numbers
from dataclasses import dataclass, fields
from typing import Literal, get_args

from grounded_ram.errors import InputError

CropCheck = Literal["off", "flag", "drop"]
"""What to do with a label that the tagger does not confirm when it sees the object alone."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """When boxes and masks are one object, what a sound mask is, and when a label is believed.

    Shares lie in [0, 1]. Overlap is shared pixels over all pixels of the two (IoU).

    Raises:
        InputError: a value is of the wrong type or lies outside its range.
    """

    kind_iou: float = 0.5
    """A thing and its kind ("car" and "vehicle") that overlap by more are one object."""
    support: float = 0.5
    """Of the two the more specific name wins, if its score is at least this share of the other."""
    box_iou: float = 0.85
    """Boxes of unrelated names that overlap by more are one object; so are their masks where one
    of them is a part ("wheel"), which lies on its whole."""
    mask_iou: float = 0.6
    """Masks of unrelated names that overlap by more are one object, unless one lies within the
    other, as a dress on a woman does: then ``box_iou`` counts."""
    contained: float = 0.9
    """A mask that lies by more than this share inside another of its name is a piece of it."""
    group: float = 0.5
    """A mask that is covered by more than this share by several of its name is a group of them, if
    each scores at least ``support`` of it."""
    hole: float = 0.01
    """Holes are filled, the smallest first, as long as all are less than this share of the mask;"""
    island: float = 0.05
    """and islands are removed, the smallest first, as long as all are less than this share."""
    least_pixels: int = 16
    """Objects of fewer pixels are dropped."""
    least_mask_score: float = 0.0
    """Objects of whose mask the segmenter is less sure are dropped."""
    least_stability: float = 0.0
    """Objects whose mask changes more with the segmenter's threshold are dropped: 1 means that it
    stays the same. Segmenters that give no stability are not asked."""
    crop_check: CropCheck = "off"
    """Whether the tagger looks at each object alone: "flag" keeps what it says in ``crop_score``,
    "drop" also drops the labels that it contradicts."""
    crop_margin: float = 0.5
    """A crop is wider than the box by this share on each side."""
    least_crop_score: float = 0.5
    """A label that scores less than this in its crop is contradicted."""
    least_score: float = 0.0
    """Objects whose combined score is lower are dropped."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "crop_check":
                if value not in get_args(CropCheck):
                    choices = ", ".join(get_args(CropCheck))
                    raise InputError(f"crop_check: expected one of {choices}, got {value!r}")
            elif field.name == "least_pixels":
                if not isinstance(value, numbers.Integral) or int(value) < 1:
                    raise InputError(f"least_pixels: expected a whole number from 1, got {value!r}")
            elif isinstance(value, bool) or not is_share(value):
                raise InputError(f"{field.name}: expected a number in [0, 1], got {value!r}")


def is_share(value: object) -> bool:
    """Tell whether a value is a number in [0, 1]."""
    return isinstance(value, numbers.Real) and 0 <= float(value) <= 1


def shares(**given: float | None) -> dict[str, float]:
    """Return those thresholds that were given, as plain numbers.

    Raises:
        InputError: one is no number in [0, 1]; it is told by its name.
    """
    for what, value in given.items():
        if value is not None and not is_share(value):
            raise InputError(f"{what}: expected a number in [0, 1], got {value!r}")
    return {what: float(value) for what, value in given.items() if value is not None}
