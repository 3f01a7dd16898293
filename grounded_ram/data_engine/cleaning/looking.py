"""What a model sees in the pictures of examples, and in the regions of their tags."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from grounded_ram.annotation import Tags
from grounded_ram.crops import Look
from grounded_ram.data_engine.cleaning.embedding import Embedder, TaggerEmbedder
from grounded_ram.data_engine.cleaning.regions import Region, Regions, Viewer
from grounded_ram.data_engine.cleaning.seen import Seen, SeenFolder, digest_of
from grounded_ram.data_engine.cleaning.verdicts import Cleaning
from grounded_ram.data_engine.examples import Example
from grounded_ram.data_engine.pictures import pixels_of
from grounded_ram.images import Image
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.stages import Tagger
from grounded_ram.vocabulary.labelling import UNJUDGED, Words
from grounded_ram.vocabulary.table import PLACED, official_vocabulary

WORDS = Words()

_KNOWN = "known"
"""Under this name is kept what the tagger can see; pictures are kept under their numbers."""


def has_place(tag: str) -> bool:
    """Tell whether a region can show a tag; of one that nobody judged, it can."""
    vocabulary = official_vocabulary()
    kind = vocabulary[tag].kind if tag in vocabulary else UNJUDGED
    return kind == UNJUDGED or (kind in PLACED and vocabulary.is_worth_grounding(tag, kind))


@dataclass(eq=False)
class Views:
    """What was seen of the examples."""

    regions: Regions
    viewer: Viewer
    kept: SeenFolder
    """What an earlier call saw."""
    settings: Cleaning
    placeless: bool
    """Look at pictures, too, of whose tags none has a place."""
    known: frozenset[str] = frozenset()
    """What the tagger can see; nothing before it has looked at a picture."""
    whole: dict[int, frozenset[str]] = field(default_factory=dict)
    """What it sees in the picture of an example, by the place of that."""
    unread: set[int] = field(default_factory=set)
    """Places of the examples whose pictures cannot be read."""

    def __post_init__(self) -> None:
        had = self.kept.get(_KNOWN, "")
        self.known = frozenset() if had is None else frozenset(had.names)

    def add(self, place: int, seen: Seen) -> None:
        """Add what was seen of the picture of an example."""
        self.whole[place] = frozenset(seen.names)
        seen.add_to(self.regions)

    def know(self, tagger: Tagger, image: Image) -> None:
        """Find out what the tagger can see, of any picture."""
        if not self.known:
            (every,) = tagger.tag([image], threshold=0.0)
            self.known = frozenset(every.names)
            self.kept.keep({_KNOWN: ("", Seen.of(names=every.names))})

    def digest(self, example: Example) -> str:
        """Return what tells what is seen of an example from what is seen of others."""
        settings = self.settings
        return digest_of(repr((example, settings.margin, settings.contradictions)))

    def misses(self, tag: str, place: int) -> bool:
        """Tell whether the tagger looked for a tag, and did not see it."""
        return (
            place in self.whole
            and any(WORDS.speaks_for(name, tag) for name in self.known)
            and not any(WORDS.speaks_for(name, tag) for name in self.whole[place])
        )


def _is_asked(example: Example, *, placeless: bool) -> bool:
    """Tell whether a picture has to be looked at."""
    return any(map(has_place, example.tags)) or (placeless and len(example.tags) > 0)


def look_at(
    some: Sequence[tuple[int, Example]],
    model: GroundedRAM,
    views: Views,
    on_bad: Callable[[str, str], None],
) -> bool:
    """Look at some pictures, but for what an earlier call saw; tell whether that was not all."""
    asked = [pair for pair in some if _is_asked(pair[1], placeless=views.placeless)]
    digests = {place: views.digest(example) for place, example in asked}
    had = {place: views.kept.get(str(place), digest) for place, digest in digests.items()}
    fresh = _see([pair for pair in asked if had[pair[0]] is None], model, views, on_bad)
    for place in digests:
        one = had[place] or fresh.get(place)
        if one is not None:
            views.add(place, one)
    views.kept.keep({str(place): (digests[place], one) for place, one in fresh.items()})
    return not asked or None in had.values()


def _see(
    examples: Sequence[tuple[int, Example]],
    model: GroundedRAM,
    views: Views,
    on_bad: Callable[[str, str], None],
) -> dict[int, Seen]:
    """Look at some pictures and at the regions of their tags; return what was seen, by place."""
    read = {place: pixels_of(one.image, on_bad) for place, one in examples}
    images = {place: image for place, image in read.items() if image is not None}
    views.unread |= read.keys() - images.keys()
    if not images:
        return {}
    views.know(model.tagger, next(iter(images.values())))
    whole = dict(zip(images, model.tagger.tag([*images.values()]), strict=True))
    seen = {place: Seen.of(names=tags.names) for place, tags in whole.items()}
    placed = {place: Tags.of(filter(has_place, dict.fromkeys(one.tags))) for place, one in examples}
    asked = [place for place in images if len(placed[place])]
    some, wanted = [images[place] for place in asked], [placed[place] for place in asked]
    threshold = model.preset.box_threshold
    found = model.detector.detect(some, wanted, threshold=threshold) if asked else []
    for place, image, boxes in zip(asked, some, found, strict=True):
        if len(boxes):
            alone, embeddings = views.viewer.see(image, boxes)
            known = _known(str(place), boxes, whole[place], alone)
            seen[place] = Seen.of(known, embeddings, whole[place].names)
    return seen


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


def make_viewer(tagger: Tagger, embedder: Embedder | None, settings: Cleaning) -> Viewer:
    """Return what looks at regions; where the tagger embeds them, it looks at each once."""
    look: Look = partial(tagger.tag, threshold=0.0)
    if embedder is None:
        embedder = own = TaggerEmbedder(tagger)
        look = own.look
    asked = look if settings.contradictions else None
    return Viewer(embedder, asked, WORDS, margin=settings.margin)
