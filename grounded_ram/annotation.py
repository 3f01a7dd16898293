"""What is known about one image: its tags, its objects, and how they were found."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from grounded_ram.errors import InputError
from grounded_ram.names import is_inside
from grounded_ram.tags import Tags as Tags  # it is imported from here, too

if TYPE_CHECKING:
    import PIL.Image
    import supervision as sv

SCORE_COLUMNS = ("tag_score", "box_score", "mask_score", "label_score")
"""The columns of ``Annotation.detections.data`` that hold one score per object."""

OPTIONAL_SCORES = ("mask_stability", "crop_score")
"""Columns of scores that are NaN where nobody gave one."""

Alternatives: TypeAlias = tuple[tuple[str, float], ...]
"""Other names of an object with their scores, best first."""


class Reason(str, Enum):
    """Why a tag or a box became no label."""

    KIND = "its kind is not looked for"
    POOR = "too general or too shapeless for a box"
    BLOCKED = "blocked by the vocabulary"
    NOT_ALLOWED = "not among the tags that the vocabulary allows"
    NO_CLASS = "in none of the vocabulary's classes"
    NO_BOX = "no box was found"
    NO_BOX_LEFT = "its boxes were rejected"

    LOW_BOX = "its box score is at or below the label's own threshold"
    SAME_OBJECT = "another label of the same object is better"
    SAME_NAME = "another box of the same object is better"
    PIECE = "a piece of an object of that name"
    GROUP = "a group of objects that are labelled one by one"
    SMALL = "its mask is empty or too small"
    UNSURE = "the segmenter is not sure of its mask"
    UNSTABLE = "its mask changes with the segmenter's threshold"
    CONTRADICTED = "the tagger does not see it there"
    UNSEEN = "no box was found, and the tagger does not see it"
    OUTLIER = "it looks unlike the others of its label"
    LOW_SCORE = "its combined score is too low"
    REVIEWED = "a person decided otherwise"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Rejected:
    """A box that became no label.

    Args:
        name: what it would have been called.
        box_score: the detector's score.
        box_xyxy: its corners in pixels.
        reason: why.
        instead: the label of the object that stands in its place; empty if there is none.
    """

    name: str
    box_score: float
    box_xyxy: tuple[float, float, float, float]
    reason: Reason
    instead: str = ""

    @classmethod
    def of(cls, detections: sv.Detections, row: int, reason: Reason, instead: str = "") -> Rejected:
        """Make the record of a row that goes."""
        x0, y0, x1, y1 = detections.xyxy[row].tolist()
        score = float(np.asarray(detections.confidence)[row])
        name = str(detections.data["class_name"][row])
        return cls(name, score, (x0, y0, x1, y1), reason, instead)


@dataclass(frozen=True)
class ImageFacts:
    """Which image was annotated.

    Args:
        path: where it came from, a file or a URL; None for pixels that were in memory.
        size_hw: height and width in pixels, after the EXIF orientation was applied.
        sha256: 64 lower-case hex digits that tell this image from every other one.
        notes: facts the user should know, such as "animation: first of 12 frames used".
        file_name: its path inside a dataset, slashes between folders; None where it is in none.

    Raises:
        InputError: the size is not positive, the digest is not one, or the file name leads out of
            the dataset.
    """

    path: str | None
    size_hw: tuple[int, int]
    sha256: str
    notes: tuple[str, ...] = ()
    file_name: str | None = None

    def __post_init__(self) -> None:
        if self.file_name is not None and not is_inside(self.file_name):
            raise InputError(
                f'file_name: expected a path inside the dataset, as in "a/b.jpg"; '
                f"got {self.file_name!r}"
            )
        if len(self.size_hw) != 2 or min(self.size_hw) < 1:
            raise InputError(f"size_hw: expected a height and a width >= 1, got {self.size_hw}")
        if not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise InputError(f"sha256: expected 64 hex digits, got {self.sha256!r}")

    @property
    def name(self) -> str:
        """The file's name without its folder; for pixels in memory, the digest's start and .png."""
        if self.file_name is not None:
            return PurePosixPath(self.file_name).name
        if self.path is None:
            return f"{self.sha256[:16]}.png"
        path = unquote(urlsplit(self.path).path) if "://" in self.path else self.path
        return Path(path).name or f"{self.sha256[:16]}.png"


@dataclass(frozen=True, eq=False)
class Annotation:
    """Everything known about one image.

    Args:
        image: which image it is.
        pixels: (H, W, 3) uint8 RGB, of the image's size; None where they were not kept, as in the
            records of a dataset.
        tags: what the tagger saw, or the tags that the user named.
        detections: N objects. ``xyxy`` (N, 4) absolute pixels; ``mask`` an ``sv.CompactMask`` of
            the image's size, where a mask may be empty; ``class_id`` the row in ``tags``;
            ``confidence`` the box score; ``data`` holds ``class_name``, the scores ``tag_score``,
            ``box_score``, ``mask_score`` and ``label_score``, which combines what is known of it,
            each (N,); perhaps ``mask_stability`` and ``crop_score``, NaN where not known, and
            ``alternatives``, other names of the object as ((name, box score), ...), best first.
            N may be 0, with every column present.
        ungrounded: the tags that no object carries, in the order of ``tags``, and why.
        run: how it was made: models, digests, thresholds, version.
        rejected: the boxes that became no label, best first, and why.
        caption: a sentence that describes the image; empty where nobody wrote one.

    Raises:
        InputError: the parts do not fit together.
    """

    image: ImageFacts
    pixels: NDArray[np.uint8] | None
    tags: Tags
    detections: sv.Detections
    ungrounded: Mapping[str, Reason] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)
    rejected: tuple[Rejected, ...] = ()
    caption: str = ""

    def __post_init__(self) -> None:
        expected = (*self.image.size_hw, 3)
        if self.pixels is not None and (
            self.pixels.shape != expected or self.pixels.dtype != np.uint8
        ):
            raise InputError(
                f"pixels: expected uint8 {expected}, got {self.pixels.dtype} {self.pixels.shape}"
            )
        if not isinstance(self.ungrounded, Mapping):
            kind = type(self.ungrounded).__name__
            raise InputError(f"ungrounded: expected a Reason by tag, as in a dict, got {kind}")
        unknown = sorted(set(self.ungrounded) - set(self.tags.names))
        if unknown:
            raise InputError(f"ungrounded: not among the tags: {', '.join(unknown)}")
        _check_masks(self.detections, self.image.size_hw)
        _check_scores(self.detections)
        _check_classes(self.detections, self.tags)

    def __repr__(self) -> str:
        height, width = self.image.size_hw
        found = Counter(str(name) for name in self.detections.data["class_name"]).most_common()
        objects = ", ".join(f"{name} {count}" for name, count in found[:5])
        rest = f", and {len(found) - 5} more names" if len(found) > 5 else ""
        missing = f", {len(self.not_found)} not found" if self.not_found else ""
        return (
            f"<Annotation of {self.image.name}, {width} x {height} px: {len(self.tags)} tags, "
            f"{len(self.detections)} objects{f' ({objects}{rest})' if found else ''}{missing}>"
        )

    @property
    def not_found(self) -> tuple[str, ...]:
        """Return the tags that were looked for and no box was found, in the order of ``tags``."""
        reasons = self.ungrounded.items()
        return tuple(name for name, reason in reasons if reason is Reason.NO_BOX)

    @property
    def masks(self) -> sv.CompactMask:
        """The masks of the detections, N of the image's size."""
        return cast("sv.CompactMask", self.detections.mask)

    def _repr_png_(self) -> bytes:
        """Draw the overlay for a notebook, no larger than a screen."""
        from grounded_ram.export.notebook import to_png

        return to_png(self)

    def _repr_html_(self) -> str:
        """Show the overlay, the objects and the tags in a notebook."""
        from grounded_ram.export.notebook import to_html

        return to_html(self)

    def overlay(self, **options: Any) -> PIL.Image.Image:
        """Draw masks, boxes and labels on a copy of the image, read again if it was not kept.

        Args:
            **options: as ``grounded_ram.overlay.draw_overlay`` has them.
        """
        from grounded_ram.overlay import draw_overlay

        return draw_overlay(self, **options)

    def to_coco(self, **options: Any) -> dict[str, Any]:
        """Return this image as a COCO dataset of one image, in plain Python values.

        Args:
            **options: as ``grounded_ram.export.coco.to_coco`` has them.
        """
        from grounded_ram.export.coco import to_coco

        return to_coco([self], **options)

    def save(self, folder: str | Path) -> list[Path]:
        """Write ``NAME.tags.json``, ``NAME.coco.json`` and ``NAME.overlay.jpg`` into a folder.

        NAME is the image's name without its ending. Where the folder holds another image of that
        name, some digits of this image's digest are added; the same image replaces its own files.

        Returns:
            The paths written.
        """
        from grounded_ram.export.folder import save_annotation

        return save_annotation(self, folder)


def objects(items: Sequence[Any]) -> NDArray[np.object_]:
    """Return an (N,) array of any Python objects, tuples too, as a column of detections."""
    column = np.empty(len(items), object)
    for row, item in enumerate(items):
        column[row] = item
    return column


def _check_masks(detections: sv.Detections, size_hw: tuple[int, int]) -> None:
    mask = detections.mask
    found = getattr(mask, "image_shape", None)
    if found is None:
        raise InputError(
            f"detections.mask: expected an sv.CompactMask, got {type(mask).__name__}; "
            "sv.CompactMask.from_dense makes one from (N, H, W) bool masks, N = 0 included"
        )
    if tuple(found) != tuple(size_hw):
        raise InputError(f"detections.mask: expected masks of {size_hw} pixels, got {found}")


def _check_scores(detections: sv.Detections) -> None:
    n = len(detections)
    for column in SCORE_COLUMNS:
        scores = np.asarray(detections.data.get(column))
        if scores.shape != (n,) or scores.dtype.kind != "f" or not np.isfinite(scores).all():
            raise InputError(
                f"detections.data[{column!r}]: expected ({n},) finite floats, "
                f"got {scores.dtype} {scores.shape}"
            )
    for column in (*OPTIONAL_SCORES, "alternatives"):
        if len(detections.data.get(column, range(n))) != n:
            raise InputError(f"detections.data[{column!r}]: expected {n} rows")
    if detections.confidence is None or not np.array_equal(
        detections.confidence, detections.data["box_score"]
    ):
        raise InputError("detections.confidence must equal detections.data['box_score']")


def _check_classes(detections: sv.Detections, tags: Tags) -> None:
    ids = np.asarray(detections.class_id)
    if ids.shape != (len(detections),) or ids.dtype.kind not in "iu":
        raise InputError(f"detections.class_id: expected ({len(detections)},) whole numbers")
    if len(ids) and (ids.min() < 0 or ids.max() >= len(tags)):
        raise InputError(
            f"detections.class_id: expected rows of the {len(tags)} tags, "
            f"got {ids.min()} to {ids.max()}"
        )
    names = np.asarray(detections.data.get("class_name"))
    expected = [tags.names[i] for i in ids]
    if names.shape != ids.shape or names.tolist() != expected:
        raise InputError("detections.data['class_name'] must name the tag that class_id points to")
