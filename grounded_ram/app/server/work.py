"""What can be asked of pictures; those of the same question may be answered together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from grounded_ram.annotation import Annotation, Tags
from grounded_ram.images import LoadedImage

if TYPE_CHECKING:
    from grounded_ram.pipeline import GroundedRAM


class Ask(Protocol):
    """A question about pictures. Equal ones may be answered together, so it must be hashable."""

    def of(self, model: GroundedRAM, images: Sequence[LoadedImage]) -> Sequence[Any]:
        """Return one answer for each picture, in the order given."""
        ...


@dataclass(frozen=True, kw_only=True)
class AskLabels:
    """What is in a picture, where, on which pixels.

    Args:
        tags: what to look for instead of asking the tagger.
        tag_threshold: instead of the model's.
        box_threshold: instead of the model's.
    """

    tags: tuple[str, ...] | None = None
    tag_threshold: float | None = None
    box_threshold: float | None = None

    def of(self, model: GroundedRAM, images: Sequence[LoadedImage]) -> list[Annotation]:
        """Annotate pictures."""
        own = model.adjusted(tag_threshold=self.tag_threshold, box_threshold=self.box_threshold)
        return own.annotate_batch(images, tags=self.tags)


@dataclass(frozen=True, eq=False)
class Tagged:
    """A picture's tags."""

    image: LoadedImage
    tags: Tags


@dataclass(frozen=True, kw_only=True)
class AskTags:
    """What is in a picture.

    Args:
        tag_threshold: instead of the model's.
    """

    tag_threshold: float | None = None

    def of(self, model: GroundedRAM, images: Sequence[LoadedImage]) -> list[Tagged]:
        """Tag pictures."""
        seen = model.adjusted(tag_threshold=self.tag_threshold).tag_batch(images)
        return [Tagged(image, tags) for image, tags in zip(images, seen, strict=True)]
