"""Wrong tags of pictures removed: what the data engine does with the tags of captions.

A detector looks for exactly the tags of a picture; a tag goes where all of its regions go. Tags
that have no place, scenes, attributes and actions, have no regions, and stay as they are.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Literal

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from grounded_ram.annotation import Reason, Tags
from grounded_ram.data_engine.cleaning.embedding import Embedder, TaggerEmbedder
from grounded_ram.data_engine.cleaning.regions import Region, Regions, Viewer
from grounded_ram.data_engine.cleaning.verdicts import Cleaning, Verdict, judge
from grounded_ram.data_engine.examples import Example
from grounded_ram.images import load_image
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.vocabulary.labelling import UNJUDGED, Words
from grounded_ram.vocabulary.table import PLACED, official_vocabulary

Unfound = Literal["keep", "remove"]
"""What becomes of a tag that the detector does not find."""

WORDS = Words()

NO_PLACE = "it has no place in the picture, and was not looked for"

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
        examples: as they were given, with the tags that are left. Captions stay as they are.
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
) -> CleanedTags:
    """Remove the tags of pictures that their regions speak against.

    Args:
        examples: pictures and what they are said to show.
        model: its detector finds the regions, its tagger says what it sees in them.
        settings: how wrong tags are told; None means the usual way.
        embedder: says how a region looks; None means the tagger's own image encoder.
        unfound: what becomes of tags that have a place, and for which no region is found.
        on_done: told how many pictures have been looked at.

    Raises:
        InputError: a picture cannot be read, or the tagger cannot embed and no embedder is given.
        MissingDependencyError: scikit-learn is not installed.
    """
    settings = settings or Cleaning()
    look = partial(model.tagger.tag, threshold=0.0) if settings.contradictions else None
    viewer = Viewer(embedder or TaggerEmbedder(model.tagger), look, WORDS, margin=settings.margin)
    with tempfile.TemporaryFile() as file:
        regions = Regions(file)
        done = 0
        for some in _batches(examples):
            _see(some, done, model, (regions, viewer))
            done += len(some)
            on_done(done)
        return _decide(examples, regions, judge(regions, settings), unfound)


def has_place(tag: str) -> bool:
    """Tell whether a region can show a tag; of one that nobody judged, it can."""
    vocabulary = official_vocabulary()
    kind = vocabulary[tag].kind if tag in vocabulary else UNJUDGED
    return kind == UNJUDGED or (kind in PLACED and vocabulary.is_worth_grounding(tag, kind))


def _see(
    examples: Sequence[Example],
    first: int,
    model: GroundedRAM,
    into: tuple[Regions, Viewer],
) -> None:
    """Find the regions of some pictures' tags, and look at each."""
    regions, viewer = into
    images = [load_image(example.image).pixels for example in examples]
    wanted = [Tags.of(filter(has_place, dict.fromkeys(one.tags))) for one in examples]
    rows = [row for row, tags in enumerate(wanted) if len(tags)]
    if not rows:
        return
    some = [images[row] for row in rows]
    threshold = model.preset.box_threshold
    found = model.detector.detect(some, [wanted[row] for row in rows], threshold=threshold)
    seen = model.tagger.tag(some)
    for row, image, boxes, tags in zip(rows, some, found, seen, strict=True):
        if len(boxes):
            known = _known(str(first + row), boxes, tags, viewer.alone(image, boxes))
            regions.add(known, viewer.embed(image, boxes))


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


def _decide(
    examples: Sequence[Example],
    regions: Regions,
    verdicts: Sequence[Verdict],
    unfound: Unfound,
) -> CleanedTags:
    """Take from each picture the tags of which no region is left."""
    rows: dict[str, dict[str, list[int]]] = {}
    for row, region in enumerate(regions.known):
        rows.setdefault(region.picture, {}).setdefault(region.label, []).append(row)
    cleaned, removed, untouched = list[Example](), list[RemovedTag](), Counter[str]()
    for place, example in enumerate(examples):
        gone = dict[str, RemovedTag]()
        found = rows.get(str(place), {})
        for tag in example.tags:
            own = found.get(tag, [])
            if own and all(verdicts[row].reason for row in own):
                gone[tag] = _removed(example, [(regions.known[r], verdicts[r]) for r in own])
            elif not own and (why := _untouched(tag, found)) != str(Reason.NO_BOX):
                untouched[why] += 1
            elif not own and unfound == "keep":
                untouched[str(Reason.NO_BOX)] += 1
            elif not own:
                gone[tag] = RemovedTag(example.image, tag, Reason.NO_BOX)
        removed += gone.values()
        left = tuple(tag for tag in example.tags if tag not in gone)
        cleaned.append(replace(example, tags=left))
    return CleanedTags(tuple(cleaned), tuple(removed), dict(untouched))


def _untouched(tag: str, found: Iterable[str]) -> str:
    """Say why a tag has no region of its own, where these labels have some."""
    if not has_place(tag):
        return NO_PLACE
    kinds = any(WORDS.is_a(label, tag) for label in found)
    return str(Reason.SAME_OBJECT if kinds else Reason.NO_BOX)


def _removed(example: Example, own: Sequence[tuple[Region, Verdict]]) -> RemovedTag:
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


def _batches(examples: Iterable[Example]) -> Iterator[list[Example]]:
    rest = iter(examples)
    while some := list(islice(rest, AT_ONCE)):
        yield some
