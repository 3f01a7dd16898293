"""Wrong tags of pictures removed: what the data engine does with the tags of captions.

A detector looks for exactly the tags of a picture; a tag goes where all of its regions go. Of tags
without a region, of which there can be none of scenes, attributes and actions, the tagger says
whether it sees them in the whole picture.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from grounded_ram.annotation import Reason
from grounded_ram.data_engine.cleaning.embedding import Embedder
from grounded_ram.data_engine.cleaning.looking import WORDS, Views, has_place, look_at, make_viewer
from grounded_ram.data_engine.cleaning.regions import Region, Regions
from grounded_ram.data_engine.cleaning.seen import seen_in
from grounded_ram.data_engine.cleaning.verdicts import Cleaning, Verdict, judge
from grounded_ram.data_engine.examples import Example
from grounded_ram.pipeline import GroundedRAM

Unfound = Literal["keep", "unseen", "remove"]
"""Which tags without a region go: none, those that the tagger does not see in the picture either,
or all that have a place."""

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
    keep_in: Path | None = None,
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
        keep_in: folder in which is kept what was seen of each picture, so that a call after a kill
            looks at the others alone; for the same model and embedder. It may be deleted
            afterwards. None keeps nothing.
        on_done: told how many pictures have been looked at, those of earlier calls included.
        on_bad: told the path and the reason of each picture that cannot be read; it keeps its tags.

    Raises:
        InputError: the tagger cannot embed, and no embedder is given; or what was kept is damaged.
        MissingDependencyError: scikit-learn is not installed.
    """
    settings = settings or Cleaning()
    viewer = make_viewer(model.tagger, embedder, settings)
    with tempfile.TemporaryFile() as file, seen_in(keep_in) as seen:
        views = Views(Regions(file), viewer, seen, settings, placeless=unfound == "unseen")
        for some in _batches(list(enumerate(examples))):
            done = some[-1][0] + 1
            if look_at(some, model, views, on_bad) or done == len(examples):
                on_done(done)
        rows = _verdicts(views.regions, judge(views.regions, settings))
        return _decide(examples, rows, views, unfound)


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
    views: Views,
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
