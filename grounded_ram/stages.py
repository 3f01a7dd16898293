"""The three stages as protocols: a backend is any object with the one method of its stage.

Every method takes a batch; one image is a batch of one. Images are (H, W, 3) uint8 RGB and may
differ in size. Results come back in the order given; no image's result depends on its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import supervision as sv

    from grounded_ram.annotation import Tags
    from grounded_ram.images import Image


class Tagger(Protocol):
    """Sees what is in a picture."""

    def tag(self, images: Sequence[Image], *, threshold: float | None = None) -> list[Tags]:
        """Return the tags of each image, best first.

        Args:
            images: B images.
            threshold: keep tags scored strictly above it, in [0, 1]: with 0 every tag that the
                tagger knows; None means the checkpoint's own threshold for each tag.
        """
        ...


@runtime_checkable
class HasThresholds(Protocol):
    """A tagger whose tags can have thresholds of their own."""

    def with_thresholds(self, own: Mapping[str, float], others: float | None = None) -> Tagger:
        """Return the same tagger with other thresholds.

        Args:
            own: of single tags; those that it does not know are passed over.
            others: of all other tags; None leaves each its own.
        """
        ...


@runtime_checkable
class HasCaptions(Protocol):
    """A tagger that also says in a sentence what is in a picture."""

    def caption(self, images: Sequence[Image], *, tags: Sequence[Tags] | None = None) -> list[str]:
        """Return the caption of each image.

        Args:
            images: B images.
            tags: what each caption should speak of; None means what the tagger sees.
        """
        ...


@runtime_checkable
class HasBatchSize(Protocol):
    """A backend that runs its network over several images at once."""

    batch_size: int
    """At most so many; it may lower the number where memory is short."""


@runtime_checkable
class CanCompile(Protocol):
    """A backend whose networks torch can compile."""

    def compile(self) -> None:
        """Let torch compile them, when they are first used."""
        ...


class Detector(Protocol):
    """Finds boxes for named things."""

    def detect(
        self, images: Sequence[Image], tags: Sequence[Tags], *, threshold: float
    ) -> list[sv.Detections]:
        """Return the boxes of each image, best first.

        Args:
            images: B images.
            tags: B tag lists; each image is searched for its own tags only.
            threshold: boxes scored at or below it, in [0, 1], are dropped.

        Returns:
            One ``sv.Detections`` per image: ``xyxy`` (N, 4) float32 absolute pixels inside the
            image, ``confidence`` (N,) float32, ``class_id`` (N,) int, the row of the tag in that
            image's ``Tags``, and ``data["class_name"]`` (N,) str; where it is known also
            ``data["alternatives"]``, the other tags that fit each box, as ((tag, score), ...), from
            which a more specific name may be taken. N may be 0. A detector that cuts masks as well
            adds them as a ``Segmenter`` does.
        """
        ...


class Segmenter(Protocol):
    """Cuts the exact pixels of boxes."""

    def segment(
        self, images: Sequence[Image], detections: Sequence[sv.Detections]
    ) -> list[sv.Detections]:
        """Return the detections of each image with masks, one per box, in the order given.

        Masks that a detector gave come in with its boxes: to be kept, or cut anew.

        Returns:
            The same rows with ``mask`` an ``sv.CompactMask`` of the image's size and
            ``data["mask_score"]`` (N,) float32 in [0, 1], and where it is known
            ``data["mask_stability"]``, likewise: how little the mask changes with the threshold.
            A mask may be empty.
        """
        ...
