"""What a backend is asked about a picture and what it is expected to give, stage by stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, TypeAlias

from grounded_ram.registry import Stage

XYXY: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class SeenTags:
    """The tags that a tagger sees at its own thresholds, all of them.

    Args:
        names: The tags, in any order.
        words: Words that are no tags of the checkpoint; if there are any, they are asked for with
            the threshold of such words, and only they are compared.
        tolerance: A tag whose score is this near to its threshold may be seen or not.
    """

    stage: ClassVar[Stage] = "tagger"

    names: tuple[str, ...]
    words: tuple[str, ...] = ()
    tolerance: float


class Object(NamedTuple):
    """One box that a detector finds.

    Args:
        name: Its label; empty where none was published.
        score: Its score, by the mean over the label's tokens as ``prompts.tag_scores`` has it.
        xyxy: The box in pixels, NaN where a side was not published.
    """

    name: str
    score: float
    xyxy: XYXY


@dataclass(frozen=True, kw_only=True)
class FoundBoxes:
    """The boxes that a detector finds, all of them above a threshold.

    Args:
        asked: The names that it searches for.
        threshold: Boxes scored above it were published.
        objects: The boxes, in any order.
        tolerance: How far a score may be off.
        pixels: How far the side of a box may be off.
    """

    stage: ClassVar[Stage] = "detector"

    asked: tuple[str, ...]
    threshold: float
    objects: tuple[Object, ...]
    tolerance: float = 0.02
    pixels: float = 2.0


@dataclass(frozen=True, kw_only=True)
class CutMasks:
    """The scores of the masks that a segmenter cuts.

    Args:
        boxes: The boxes that it is shown, in pixels.
        scores: One row a box: the score of its mask; or those of all three masks that the network
            has for a box and our adapters do not ask for. NaN where a score was not published.
        tolerance: How far a score may be off.
    """

    stage: ClassVar[Stage] = "segmenter"

    boxes: tuple[XYXY, ...]
    scores: tuple[tuple[float, ...], ...]
    tolerance: float = 0.005


@dataclass(frozen=True, kw_only=True)
class Example:
    """One picture, and what a checkpoint gave for it.

    Args:
        checkpoint: The backend's name; one of the hub without its revision.
        image: URL or path of the picture.
        expected: What was asked and what came.
        source: Who published it: repository@commit, and the file there.
    """

    checkpoint: str
    image: str
    expected: SeenTags | FoundBoxes | CutMasks
    source: str
