"""The five claims, each measured once for a seed; ``__main__`` puts runs together."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from grounded_ram import GroundedRAM
from grounded_ram.annotation import Reason
from grounded_ram.data_engine.caption_tags import parsed
from grounded_ram.data_engine.cleaning.cleaned_tags import clean_tags
from grounded_ram.data_engine.examples import Caption, Example
from grounded_ram.data_engine.generating import Generator
from grounded_ram.data_engine.parsing.parser import ParsedTag, find_parser
from grounded_ram.evaluation.tagging import mean_average_precision
from grounded_ram.images import load_image
from grounded_ram.ram.model import RAM
from grounded_ram.ram.tag_decoder import HeadSizes, TagDecoder
from grounded_ram.scenes.catalog import CATEGORIES, PLAIN
from grounded_ram.tagging.captions import CaptioningTagger
from grounded_ram.tagging.ram import RAMTagger, prepare
from grounded_ram.training.features import Features
from grounded_ram.training.feed import Feed, Reading
from grounded_ram.training.loop import train
from grounded_ram.training.networks import Start, make_networks
from grounded_ram.training.objectives import ExampleLesson, Objective, Parts
from grounded_ram.training.tagger import MODEL, STATE, Plan, Result, train_tagger
from grounded_ram.training.trained import Measure
from tests.benchmarks.claims.book import NAMES, Page, captioned
from tests.benchmarks.claims.clip import BookCLIP
from tests.benchmarks.claims.start import HELD_OUT

CPU = torch.device("cpu")
GENERATED_FROM = 0.75
"""The score from which the first model's tags are added."""

CLEANED = 1000
"""Pages that claim 2 takes: to look at every region takes longer than to learn."""

Row = dict[str, float]
_DEEDS = {"jump": "jumping", "run": "running", "sit": "sitting", "stand": "standing"}
_BOOK = {**_DEEDS, "wave": "waving", "blue sky": "sky", "floor": "wooden floor"}
"""What a parser says, and what the picture book calls it."""


class BookParser:
    """The rules parser, in the words of the picture book."""

    def __init__(self) -> None:
        self._parser = find_parser("rules")

    def parse(self, captions: Iterable[str]) -> Iterator[tuple[ParsedTag, ...]]:
        for tags in self._parser.parse(captions):
            yield tuple(ParsedTag(_BOOK.get(tag.name, tag.name), tag.kind) for tag in tags)


@dataclass(frozen=True)
class Study:
    """What the claims of one seed share.

    Args:
        folder: of its trainings.
        seed: of weights and order; its pages are its own.
        pages: to learn from.
        test: to measure with.
        start: folder of the untrained model.
        features: folder of what its encoder makes of the pages.
        new_start: of that of claim 3.
        clip: returns the teacher.
        steps: of each training.
    """

    folder: Path
    seed: int
    pages: Sequence[Page]
    test: Sequence[Page]
    start: Path
    features: Path
    new_start: Path
    clip: Callable[[], BookCLIP]
    steps: int

    def plan(self, **changes: Any) -> Plan:
        """Return how models are trained, but for changes: all but the encoder."""
        usual = Plan(
            start=Start(backend="ram-captions:swin-l", folder=self.start),
            steps=self.steps,
            batch=32,
            learning_rate=2e-3,
            least_crop=1.0,
            freeze_encoder=True,
            features=self.features,
            muon=True,
            seed=self.seed,
            device="cpu",
            dtype="float32",
        )
        return replace(usual, **changes)

    def train(
        self,
        name: str,
        examples: Sequence[Example],
        plan: Plan,
        names: Sequence[str] = NAMES,
        **more: Any,
    ) -> Result:
        """Train a tagger in a folder of that name, or read what was trained before."""
        held_out = [Example(page.image, page.truth) for page in self.test]
        return train_tagger(examples, held_out, names, self.folder / name, plan, **more)

    def pixels(self, count: int) -> list[NDArray[np.uint8]]:
        """Return the first test pictures."""
        return [load_image(page.image).pixels for page in self.test[:count]]


def tags_of_captions(pages: Sequence[Page]) -> list[Example]:
    """Return pages with what a parser finds in their captions."""
    return list(parsed(captioned(pages), BookParser(), NAMES))


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
    generator = Generator(tagger=model.tagger, threshold=GENERATED_FROM, keep=NAMES)
    generated = list(generator.add(examples))
    done = clean_tags(generated, model, unfound="remove")
    seen = {(one.image, one.tag) for one in done.removed if one.reason is not Reason.NO_BOX}
    steps = {
        "parsed": examples,
        "generated": generated,
        "outliers removed": [_without(one, seen) for one in generated],
        "and what was not found": list(done.examples),
    }
    row: Row = {}
    for name, some in steps.items():
        row |= {f"{name}: {key}": value for key, value in _rightness(some, pages).items()}
        row[f"{name}: mAP"] = study.train(f"few {name}", some, study.plan()).mean_ap
    few = [Example(page.image, page.truth) for page in pages[: len(pages) // 10]]
    folder = study.folder / "few and what was not found" / MODEL
    start = Start(backend="ram-captions:swin-l", folder=folder)
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


def of_new_names(study: Study) -> Row:
    """Claim 3: label queries by a text encoder recognise names that were never trained."""
    names = [name for name in NAMES if name not in HELD_OUT]
    examples = tags_of_captions(study.pages)
    known = [replace(one, tags=tuple(t for t in one.tags if t in names)) for one in examples]
    truth = np.array([[name in page.truth for name in HELD_OUT] for page in study.test])
    clip: Any = study.clip()
    start = Start(backend="ram-captions:swin-l", folder=study.new_start, labels=clip)
    row = {"chance": float(truth.mean())}
    for title, distil in (("without distillation", False), ("with distillation", True)):
        plan = study.plan(
            start=start, distil=distil, freeze_encoder=False, features=None, encoder_rate=1.0
        )
        result = study.train(title, known, plan, names, teacher=clip)
        found = GroundedRAM(preset="tiny", weights={"tagger": result.model}, device="cpu").tagger
        assert isinstance(found, RAMTagger)
        scores = found.extended(HELD_OUT, labels=clip).scores(study.pixels(len(truth)))
        row[title] = mean_average_precision(scores[:, len(names) :], truth)
        row[f"{title}, names that were trained"] = result.mean_ap
    row["the teacher alone"] = _by_clip(study, truth)
    return row


def _by_clip(study: Study, truth: NDArray[np.bool_]) -> float:
    """Return what the teacher itself knows of the held-out names."""
    clip = study.clip()
    images = [prepare(image, 256) for image in study.pixels(len(truth))]
    found = torch.cat([clip.images(torch.stack(some)) for some in _in_tens(images)])
    words = torch.stack([clip.word(name) for name in HELD_OUT])
    return mean_average_precision((nn.functional.normalize(found, dim=-1) @ words.T).numpy(), truth)


def _in_tens(images: Sequence[Tensor]) -> Iterator[Sequence[Tensor]]:
    for start in range(0, len(images), 10):
        yield images[start : start + 10]


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


class SelfAttending(nn.Module):
    """A layer of the tagging head, with attention of the queries to each other before it."""

    def __init__(self, layer: nn.Module, sizes: HeadSizes) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(sizes.width, sizes.heads, batch_first=True)
        self.norm = nn.LayerNorm(sizes.width)
        self.layer = layer

    def forward(self, queries: Tensor, memory: Tensor) -> Tensor:
        attended, _ = self.attention(queries, queries, queries, need_weights=False)
        out: Tensor = self.layer(self.norm(queries + attended), memory)
        return out


def without_self_attention(study: Study) -> Row:
    """Claim 5: queries need not look at each other."""
    plan = study.plan()
    exact = [Example(page.image, page.truth) for page in study.pages]
    without = study.train("exact", exact, plan).mean_ap
    torch.manual_seed(plan.seed)
    networks = make_networks(plan.start, NAMES)
    network = networks.network
    assert isinstance(network, RAM)
    _add_self_attention(network.tagging_head, network.config.head_sizes())
    network.visual_encoder.requires_grad_(False)
    kept = Features(study.features, network.visual_encoder.eval(), CPU)
    feed = Feed(
        exact,
        NAMES,
        Reading(image_size=network.config.image_size),
        batch=plan.batch,
        seed=plan.seed,
        features=kept.of([page.image for page in study.pages], lambda path, reason: None),
    )
    objective = Objective(network, Parts())
    lesson = ExampleLesson(objective, feed, device=CPU, dtype=torch.float32, at_once=plan.batch)
    state = study.folder / "self-attention" / STATE
    train(objective, lesson, plan.schedule(), state_path=state, seed=plan.seed)
    held_out = [Example(page.image, page.truth) for page in study.test]
    with_it = mean_average_precision(*Measure(networks, held_out, CPU, kept)())
    return {"without self-attention": without, "with it": with_it, **_times()}


def _add_self_attention(head: TagDecoder, sizes: HeadSizes) -> None:
    layers = head.encoder.layer
    for i, layer in enumerate(list(layers)):
        layers[i] = SelfAttending(layer, sizes)


@torch.inference_mode()
def _times() -> Row:
    """Return seconds of the official tagging head over one picture, for more and more queries."""
    sizes = HeadSizes(layers=2, width=768, memory_dim=512, heads=4, ffn=3072, dropout=0.0)
    plain, crossed = TagDecoder(sizes).eval(), TagDecoder(sizes).eval()
    _add_self_attention(crossed, sizes)
    memory = torch.randn(1, 145, 512)
    row = {}
    for count in (1000, 4000, 16000):
        queries = torch.randn(1, count, 768)
        for title, head in (("without", plain), ("with", crossed)):
            row[f"{count} queries, s, {title}"] = _seconds(head, queries, memory)
    return row


def _seconds(head: nn.Module, queries: Tensor, memory: Tensor) -> float:
    spent = []
    for _ in range(3):
        begin = time.perf_counter()
        head(queries, memory)
        spent.append(time.perf_counter() - begin)
    return min(spent)


@dataclass(frozen=True)
class Claim:
    """A claim of the papers.

    Args:
        title: what it says.
        measure: finds its numbers for one seed.
    """

    title: str
    measure: Callable[[Study], Row]


CLAIMS: Mapping[str, Claim] = {
    "1": Claim("Tags parsed from captions suffice to learn tagging", from_captions),
    "2": Claim("The data engine: generation, cleaning, a second model", by_data_engine),
    "3": Claim("Names that were never trained", of_new_names),
    "4": Claim("Captions guided by tags", guided_captions),
    "5": Claim("No self-attention among the queries", without_self_attention),
}


def measure(study: Study, path: Path, wanted: Iterable[str] = CLAIMS) -> dict[str, Row]:
    """Return a row for each claim wanted; each is written down once it is known."""
    rows: dict[str, Row] = json.loads(path.read_text()) if path.exists() else {}
    for number in wanted:
        if number not in rows:
            rows[number] = CLAIMS[number].measure(study)
            path.write_text(json.dumps(rows, indent=1))
    return rows
