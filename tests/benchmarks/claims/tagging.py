"""Claims 1 and 2: what can be learnt from captions, and what the data engine adds to that."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from grounded_ram import GroundedRAM
from grounded_ram.annotation import Reason
from grounded_ram.data_engine.cleaning.cleaned_tags import clean_tags
from grounded_ram.data_engine.examples import Example
from grounded_ram.data_engine.generating import Generator
from grounded_ram.training.networks import Start
from tests.benchmarks.claims.book import NAMES, Page
from tests.benchmarks.claims.study import Row, Study, tags_of_captions

CLEANED = 1000
"""Pages that claim 2 takes: to look at every region takes longer than to learn."""


def from_captions(study: Study) -> Row:
    """Claim 1: tags parsed from captions suffice."""
    true = [Example(page.image, page.truth) for page in study.pages]
    by_truth = study.train("exact", true, study.plan())
    by_captions = study.train("parsed", tags_of_captions(study.pages), study.plan())
    return {
        "exact tags": by_truth.mean_ap,
        "parsed tags": by_captions.mean_ap,
        "points lost": 100 * (by_truth.mean_ap - by_captions.mean_ap),
    }


def by_data_engine(study: Study) -> Row:
    """Claim 2: generation raises recall, cleaning precision, and the second model is better."""
    pages = study.pages[:CLEANED]
    examples = tags_of_captions(pages)
    first = study.train("few parsed", examples, study.plan())
    model = GroundedRAM(preset="tiny", weights={"tagger": first.model}, device="cpu")
    generated = list(Generator(tagger=model.tagger, keep=NAMES).add(examples))
    done = clean_tags(generated, model, unfound="unseen")
    by_regions = {(o.image, o.tag) for o in done.removed if o.reason is not Reason.UNSEEN}
    steps = {
        "parsed": examples,
        "generated": generated,
        "cleaned by regions": [_without(one, by_regions) for one in generated],
        "cleaned by regions and pictures": list(done.examples),
    }
    row: Row = {}
    for name, some in steps.items():
        row |= {f"{name}: {key}": value for key, value in _rightness(some, pages).items()}
        trained = study.train(f"few {name}", some, study.plan())
        row[f"{name}: mAP"] = trained.mean_ap
    few = [Example(page.image, page.truth) for page in pages[: len(pages) // 10]]
    start = Start(backend="ram-captions:swin-l", folder=trained.model)
    fine = study.plan(start=start, steps=study.steps // 5, learning_rate=5e-4)
    row["fine-tuned: mAP"] = study.train("few fine", few, fine).mean_ap
    return row


def _without(example: Example, gone: Collection[tuple[str, str]]) -> Example:
    return replace(example, tags=tuple(t for t in example.tags if (example.image, t) not in gone))


def _rightness(examples: Sequence[Example], pages: Sequence[Page]) -> Row:
    pairs = [(set(one.tags), set(page.truth)) for one, page in zip(examples, pages, strict=True)]
    right = sum(len(told & true) for told, true in pairs)
    told, true = (sum(len(pair[i]) for pair in pairs) for i in (0, 1))
    return {
        "tags a picture": told / len(pairs),
        "precision": right / told,
        "recall": right / true,
    }
