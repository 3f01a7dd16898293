"""Wrong tags of pictures removed: what the data engine does with the tags of captions.

A detector looks for exactly the tags of a picture; a tag goes where all of its regions go. Of tags
without a region, of which there can be none of scenes, attributes and actions, the tagger says
whether it sees them in the whole picture.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, TypeAlias

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from grounded_ram.annotation import Reason, Tags
from grounded_ram.data_engine.cleaning.embedding import Embedder, TaggerEmbedder
from grounded_ram.data_engine.cleaning.regions import Region, Regions, Viewer
from grounded_ram.data_engine.cleaning.verdicts import Cleaning, Verdict, judge
from grounded_ram.data_engine.examples import Example
from grounded_ram.data_engine.pictures import pixels_of
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.vocabulary.labelling import UNJUDGED, Words
from grounded_ram.vocabulary.table import PLACED, official_vocabulary

Unfound = Literal["keep", "unseen", "remove"]
"""Which tags without a region go: none, those that the tagger does not see in the picture either,
or all that have a place."""

WORDS = Words()

NO_PLACE = "it has no place in the picture, and was not looked for"
UNREAD = "its picture cannot be read"

AT_ONCE = 8
"""Pictures that are held at a time."""


@dataclass(frozen=True)
class RemovedTag:
    """A tag that a picture lost.

    Args:
        image: the picture's path.
        tag: the name.
        reason: why.
        box_xyxy: the region of it that speaks most for it; None where none was found.
        distance: how far out that region lies; NaN where unknown.
        alone: the tagger's score of the tag there; NaN where unknown.
    """

    image: str
    tag: str
    reason: Reason
    box_xyxy: tuple[float, float, float, float] | None = None
    distance: float = float("nan")
    alone: float = float("nan")


@dataclass(frozen=True, eq=False)
class CleanedTags:
    """What came of cleaning.

    Args:
        examples: as they were given, with the tags that are left. The texts of captions stay as
            they are; what a picture lost, they lose from their tags, too, so that it does not come
            back when the examples are read again.
        removed: what went, in the order of the examples.
        untouched: how many tags were not judged, by the reason.
    """

    examples: tuple[Example, ...]
    removed: tuple[RemovedTag, ...]
    untouched: dict[str, int]


def clean_tags(
    examples: Sequence[Example],
    model: GroundedRAM,
    settings: Cleaning | None = None,
    *,
    embedder: Embedder | None = None,
    unfound: Unfound = "keep",
    on_done: Callable[[int], None] = lambda done: None,
    on_bad: Callable[[str, str], None] = lambda path, reason: None,
) -> CleanedTags:
    """Remove the tags of pictures that their regions speak against.

    Args:
        examples: pictures and what they are said to show.
        model: its detector finds the regions, its tagger says what it sees in them.
        settings: how wrong tags are told; None means the usual way.
        embedder: says how a region looks; None means the tagger's own image encoder.
        unfound: which tags without a region go. "unseen": what the tagger knows and does not see at
            its own threshold, be it of a kind that has a place or not (Zhang et al., 2023, section
            3.3, ask the tagger, too). "remove": what has a place, whatever the tagger sees.
        on_done: told how many pictures have been looked at.
        on_bad: told the path and the reason of each picture that cannot be read; it keeps its tags.

    Raises:
        InputError: the tagger cannot embed, and no embedder is given.
        MissingDependencyError: scikit-learn is not installed.
    """
    settings = settings or Cleaning()
    look = partial(model.tagger.tag, threshold=0.0) if settings.contradictions else None
    viewer = Viewer(embedder or TaggerEmbedder(model.tagger), look, WORDS, margin=settings.margin)
    with tempfile.TemporaryFile() as file:
        views = _Views(Regions(file), viewer)
        for some in _batches(list(enumerate(examples))):
            _see([pair for pair in some if _is_asked(pair[1], unfound)], model, views, on_bad)
            on_done(some[-1][0] + 1)
        rows = _verdicts(views.regions, judge(views.regions, settings))
        return _decide(examples, rows, views, unfound)


def has_place(tag: str) -> bool:
    """Tell whether a region can show a tag; of one that nobody judged, it can."""
    vocabulary = official_vocabulary()
    kind = vocabulary[tag].kind if tag in vocabulary else UNJUDGED
    return kind == UNJUDGED or (kind in PLACED and vocabulary.is_worth_grounding(tag, kind))


@dataclass(eq=False)
class _Views:
    """What was seen of the examples."""

    regions: Regions
    viewer: Viewer
    known: frozenset[str] = frozenset()
    """What the tagger can see; nothing before it has looked at a picture."""
    whole: dict[int, Tags] = field(default_factory=dict)
    """What it sees in the picture of an example, by the place of that."""
    unread: set[int] = field(default_factory=set)
    """Places of the examples whose pictures cannot be read."""

    def misses(self, tag: str, place: int) -> bool:
        """Tell whether the tagger looked for a tag, and did not see it."""
        return (
            place in self.whole
            and any(WORDS.speaks_for(name, tag) for name in self.known)
            and not any(WORDS.speaks_for(name, tag) for name in self.whole[place].names)
        )


def _is_asked(example: Example, unfound: Unfound) -> bool:
    """Tell whether a picture has to be looked at."""
    return any(map(has_place, example.tags)) or (unfound == "unseen" and len(example.tags) > 0)


def _see(
    examples: Sequence[tuple[int, Example]],
    model: GroundedRAM,
    views: _Views,
    on_bad: Callable[[str, str], None],
) -> None:
    """Look at some pictures, and at the regions of their tags."""
    read = {place: pixels_of(one.image, on_bad) for place, one in examples}
    images = {place: image for place, image in read.items() if image is not None}
    views.unread |= read.keys() - images.keys()
    if not images:
        return
    if not views.known:
        (every,) = model.tagger.tag([next(iter(images.values()))], threshold=0.0)
        views.known = frozenset(every.names)
    views.whole |= zip(images, model.tagger.tag([*images.values()]), strict=True)
    placed = {place: Tags.of(filter(has_place, dict.fromkeys(one.tags))) for place, one in examples}
    asked = [place for place in images if len(placed[place])]
    some, wanted = [images[place] for place in asked], [placed[place] for place in asked]
    threshold = model.preset.box_threshold
    found = model.detector.detect(some, wanted, threshold=threshold) if asked else []
    for place, image, boxes in zip(asked, some, found, strict=True):
        if len(boxes):
            alone = views.viewer.alone(image, boxes)
            known = _known(str(place), boxes, views.whole[place], alone)
            views.regions.add(known, views.viewer.embed(image, boxes))


def _known(
    picture: str, boxes: sv.Detections, seen: Tags, alone: NDArray[np.float32]
) -> list[Region]:
    labels = [str(name) for name in boxes.data["class_name"]]
    whole = {label: _score_of(label, seen) for label in labels}
    rows = []
    for label, box, score in zip(labels, boxes.xyxy, alone, strict=True):
        x0, y0, x1, y1 = box.tolist()
        rows.append(Region(picture, label, (x0, y0, x1, y1), whole[label], float(score)))
    return rows


def _score_of(label: str, seen: Tags) -> float:
    """Return the best score of the tags that speak for a label; NaN if none does."""
    pairs = zip(seen.names, seen.scores.tolist(), strict=True)  # best first
    return next((score for name, score in pairs if WORDS.speaks_for(name, label)), float("nan"))


_Judged: TypeAlias = "tuple[Region, Verdict]"


def _verdicts(regions: Regions, verdicts: Sequence[Verdict]) -> dict[str, dict[str, list[_Judged]]]:
    """Return the regions of each label of each picture, judged."""
    rows: dict[str, dict[str, list[_Judged]]] = {}
    for region, verdict in zip(regions.known, verdicts, strict=True):
        labels = rows.setdefault(region.picture, {})
        labels.setdefault(region.label, []).append((region, verdict))
    return rows


def _decide(
    examples: Sequence[Example],
    rows: Mapping[str, Mapping[str, list[_Judged]]],
    views: _Views,
    unfound: Unfound,
) -> CleanedTags:
    """Take from each picture the tags that their regions, or the lack of any, speak against."""
    cleaned, removed, untouched = list[Example](), list[RemovedTag](), Counter[str]()
    for place, example in enumerate(examples):
        gone = dict[str, RemovedTag]()
        found = rows.get(str(place), {})
        for tag in example.tags:
            own = found.get(tag, [])
            why = UNREAD if place in views.unread else _untouched(tag, found)
            if own and all(verdict.reason for _, verdict in own):
                gone[tag] = _removed(example, own)
            elif not own and (reason := _against(why, unfound, partial(views.misses, tag, place))):
                gone[tag] = RemovedTag(example.image, tag, reason)
            elif not own:
                untouched[why] += 1
        removed += gone.values()
        cleaned.append(_without(example, gone))
    return CleanedTags(tuple(cleaned), tuple(removed), dict(untouched))


def _against(why: str, unfound: Unfound, misses: Callable[[], bool]) -> Reason | None:
    """Return what speaks against a tag without a region, by why it has none."""
    if unfound == "remove" and why == Reason.NO_BOX:
        return Reason.NO_BOX
    if unfound == "unseen" and why in (Reason.NO_BOX, NO_PLACE) and misses():
        return Reason.UNSEEN
    return None


def _without(example: Example, gone: Collection[str]) -> Example:
    """Return an example without some tags, in its captions neither."""
    captions = (
        replace(one, tags=tuple(tag for tag in one.tags if tag not in gone))
        for one in example.captions
    )
    left = tuple(tag for tag in example.tags if tag not in gone)
    return replace(example, tags=left, captions=tuple(captions))


def _untouched(tag: str, found: Iterable[str]) -> str:
    """Say why a tag has no region of its own, where these labels have some."""
    if not has_place(tag):
        return NO_PLACE
    kinds = any(WORDS.is_a(label, tag) for label in found)
    return str(Reason.SAME_OBJECT if kinds else Reason.NO_BOX)


def _removed(example: Example, own: Sequence[_Judged]) -> RemovedTag:
    """Tell of a tag by that of its regions which the tagger is surest of."""
    region, verdict = max(own, key=lambda pair: np.nan_to_num(pair[0].alone, nan=-1.0))
    return RemovedTag(
        example.image,
        region.label,
        verdict.reason or Reason.OUTLIER,
        region.box_xyxy,
        verdict.distance,
        region.alone,
    )


def _batches(examples: Sequence[tuple[int, Example]]) -> Iterator[Sequence[tuple[int, Example]]]:
    for start in range(0, len(examples), AT_ONCE):
        yield examples[start : start + AT_ONCE]
