"""Claim 4: captions guided by tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from grounded_ram import GroundedRAM
from grounded_ram.data_engine.examples import Caption, Example
from grounded_ram.scenes.catalog import CATEGORIES, PLAIN
from grounded_ram.tagging.captions import CaptioningTagger
from tests.benchmarks.claims.study import BookParser, Row, Study, tags_of_captions


def guided_captions(study: Study) -> Row:
    """Claim 4: tags make captions name more of what is there, and steer them."""
    examples = tags_of_captions(study.pages)
    unguided = [replace(one, captions=tuple(map(_untagged, one.captions))) for one in examples]
    writer, plain = _writer(study, "captions", examples), _writer(study, "unguided", unguided)
    pages, pixels = study.test[:200], study.pixels(200)
    rng = np.random.default_rng(study.seed)
    true = [[name for name in page.truth if PLAIN[name] == "object"] for page in pages]
    seen = [[n for n in tags.names if PLAIN[n] == "object"] for tags in writer.tag(pixels)]
    nothing: list[list[str]] = [[] for _ in pages]
    others = [
        [str(rng.choice([name for name in CATEGORIES if name not in page.truth]))] for page in pages
    ]
    told = {
        "learnt without tags": _told(plain, pixels, nothing),
        "with its own tags": _told(writer, pixels, seen),
        "with true tags": _told(writer, pixels, true),
    }
    row: Row = {}
    for title, captions in told.items():
        pairs = list(zip(captions, map(set, true), strict=True))
        row[f"{title}: things named"] = _ratio(sum(len(a & b) for a, b in pairs), pairs, 1)
        row[f"{title}: of them right"] = _ratio(sum(len(a & b) for a, b in pairs), pairs, 0)
    for title, some in (
        ("another tag: named", _told(writer, pixels, others)),
        ("that tag by its own tags: named", told["with its own tags"]),
    ):
        row[title] = float(np.mean([o[0] in names for o, names in zip(others, some, strict=True)]))
    return row


def _untagged(caption: Caption) -> Caption:
    return replace(caption, tags=())


def _writer(study: Study, name: str, examples: Sequence[Example]) -> CaptioningTagger:
    """Train a tagger that writes captions."""
    plan = study.plan(start=replace(study.plan().start, captions=True))
    weights = {"tagger": study.train(name, examples, plan).model}
    model = GroundedRAM(preset="tiny", tagger="ram-captions:swin-l", weights=weights, device="cpu")
    assert isinstance(model.tagger, CaptioningTagger)
    return model.tagger


def _told(
    writer: CaptioningTagger, pixels: Sequence[NDArray[np.uint8]], given: Sequence[Sequence[str]]
) -> list[set[str]]:
    """Return the categories that captions name, which are guided by the tags given."""
    captions = writer.caption(pixels, tags=given, max_length=40)
    return [
        {tag.name for tag in tags if tag.name in CATEGORIES}
        for tags in BookParser().parse(captions)
    ]


def _ratio(right: int, pairs: Sequence[tuple[set[str], set[str]]], which: int) -> float:
    return right / max(1, sum(len(pair[which]) for pair in pairs))
