"""The regions of a dataset: what is known of each, and how it looks.

Embeddings lie in a file, in half precision, so that memory does not grow with them; pixels are held
a few regions at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO, Any, NamedTuple

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from grounded_ram.annotation import Tags
from grounded_ram.crops import Look, crop, crop_scores
from grounded_ram.data_engine.cleaning.embedding import Embedder, Seer
from grounded_ram.data_engine.cleaning.whitening import unit
from grounded_ram.errors import InputError
from grounded_ram.images import Image
from grounded_ram.runtime import IMAGENET_MEAN
from grounded_ram.vocabulary.labelling import Labels

AT_ONCE = 32
"""Crops that are held at a time."""

PAINT = np.array([round(255 * mean) for mean in IMAGENET_MEAN], np.uint8)
"""What other things are painted over with: the middle colour, which to a network is none."""


class Region(NamedTuple):
    """What is known of a region.

    Args:
        picture: the picture's name in the dataset.
        label: what it is called.
        box_xyxy: its corners in pixels.
        whole: the tagger's score of the label in the whole picture; NaN where it does not see it.
        alone: its score of the label in the region alone; NaN where it knows no such tag.
    """

    picture: str
    label: str
    box_xyxy: tuple[float, float, float, float]
    whole: float
    alone: float


class Regions:
    """Regions, their embeddings in a file.

    Args:
        file: empty, open for reading and writing in binary; it stays the caller's to close.

    Attributes:
        known: what is known of each, in the order in which they came.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.known: list[Region] = []
        self._file = file
        self._width = 0

    def __len__(self) -> int:
        return len(self.known)

    def add(self, regions: Sequence[Region], embeddings: NDArray[np.floating[Any]]) -> None:
        """Add N regions.

        Args:
            regions: what is known of them.
            embeddings: (N, D), D being the same for all; their lengths are not kept. In float16
                they are kept as they are: see ``kept_form``.

        Raises:
            InputError: the embeddings are no finite (N, D).
        """
        width = self._width or embeddings.shape[-1]
        if embeddings.shape != (len(regions), width) or not np.isfinite(embeddings).all():
            raise InputError(
                f"expected {len(regions)} embeddings of {width} finite numbers, "
                f"got {embeddings.shape}"
            )
        self._width = width
        self._file.write(kept_form(embeddings).tobytes())
        self.known.extend(regions)

    def embeddings(self) -> NDArray[np.float16]:
        """Return the (N, D) embeddings, which stay in the file until they are read."""
        if not self.known or not self._width:
            return np.zeros((len(self.known), self._width), np.float16)
        self._file.flush()
        return np.memmap(self._file, np.float16, "r", shape=(len(self.known), self._width))

    def by_label(self) -> dict[str, NDArray[np.intp]]:
        """Return the rows of each label, labels sorted."""
        rows: dict[str, list[int]] = {}
        for row, region in enumerate(self.known):
            rows.setdefault(region.label, []).append(row)
        return {label: np.array(rows[label], np.intp) for label in sorted(rows)}


def kept_form(embeddings: NDArray[np.floating[Any]]) -> NDArray[np.float16]:
    """Return (N, D) embeddings as they are kept: of length 1, in half precision."""
    if embeddings.dtype == np.float16:
        return np.asarray(embeddings, np.float16)
    return unit(embeddings).astype(np.float16)


class Viewer:
    """Looks at the regions of a picture.

    Args:
        embedder: says how a region looks.
        look: says what the tagger sees in a region alone; None leaves that open. Where it is the
            embedder's own, see ``Seer``, each region is looked at once for both.
        labels: tell which tags speak for a label.
        margin: share of a box's sides by which a crop is wider on each side.
        only_mask: paint over what is outside of an object's mask, for the embedder.
    """

    def __init__(
        self,
        embedder: Embedder,
        look: Look | None,
        labels: Labels,
        *,
        margin: float,
        only_mask: bool = False,
    ) -> None:
        self._embedder, self._look, self._labels = embedder, look, labels
        self._margin, self._only_mask = margin, only_mask

    def see(
        self, image: Image, detections: sv.Detections
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what ``alone`` and ``embed`` return, with one pass where one is enough."""
        embedder, look = self._embedder, self._look
        painted = self._only_mask and detections.mask is not None
        if (
            not isinstance(embedder, Seer)
            or look != embedder.look
            or painted
            or not len(detections)
            or _known_alone(detections) is not None
        ):
            return self.alone(image, detections), self.embed(image, detections)
        kept: list[NDArray[np.floating[Any]]] = []

        def seeing(crops: list[Image]) -> list[Tags]:
            tags, embeddings = embedder.see(crops)
            kept.append(embeddings)
            return tags

        alone = crop_scores(seeing, image, detections, self._labels, margin=self._margin)
        return alone, np.concatenate(kept).astype(np.float32)

    def embed(self, image: Image, detections: sv.Detections) -> NDArray[np.float32]:
        """Return the (N, D) embeddings of N objects.

        Args:
            image: (H, W, 3) the whole picture.
            detections: N objects with ``xyxy``, and with masks where those are painted around.
        """
        found = [
            self._embedder.embed([self._crop(image, detections, row) for row in rows])
            for rows in _chunks(len(detections))
        ]
        return np.concatenate(found).astype(np.float32)

    def alone(self, image: Image, detections: sv.Detections) -> NDArray[np.float32]:
        """Return the (N,) tagger's scores of the objects' labels in their regions alone."""
        known = _known_alone(detections)
        if known is not None:
            return known
        if self._look is None:
            return np.full(len(detections), np.nan, np.float32)
        return crop_scores(self._look, image, detections, self._labels, margin=self._margin)

    def _crop(self, image: Image, detections: sv.Detections, row: int) -> Image:
        box = detections.xyxy[row]
        if not self._only_mask or detections.mask is None:
            return crop(image, box, self._margin)
        mask: NDArray[np.bool_] = np.asarray(detections.mask[row], bool)
        inside = crop(mask[..., None].astype(np.uint8), box, self._margin).astype(bool)
        return np.where(inside, crop(image, box, self._margin), PAINT)


def _known_alone(detections: sv.Detections) -> NDArray[np.float32] | None:
    """Return the scores of objects alone, if whoever labelled them has asked the tagger."""
    known = detections.data.get("crop_score")
    return None if known is None or np.isnan(known).any() else np.asarray(known, np.float32)


def _chunks(count: int) -> Iterator[range]:
    """Cut the rows of N objects into pieces; there is one piece, an empty one, of no objects."""
    for start in range(0, max(count, 1), AT_ONCE):
        yield range(start, min(start + AT_ONCE, count))
