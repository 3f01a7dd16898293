"""What the claims of one seed share: pages, plans, and how a network learns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from grounded_ram.data_engine.caption_tags import parsed
from grounded_ram.data_engine.examples import Example
from grounded_ram.data_engine.parsing.parser import ParsedTag, find_parser
from grounded_ram.images import load_image
from grounded_ram.training.features import Features
from grounded_ram.training.feed import Feed, Reading
from grounded_ram.training.loop import train
from grounded_ram.training.networks import Networks, Start
from grounded_ram.training.objectives import ExampleLesson, Objective
from grounded_ram.training.tagger import STATE, Plan, Result, train_tagger
from tests.benchmarks.claims.book import NAMES, Page, captioned
from tests.benchmarks.claims.clip import BookCLIP

CPU = torch.device("cpu")

Row = dict[str, float]
"""Numbers of a claim by what they are."""

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
        clip: returns the teacher.
        steps: of each training.
    """

    folder: Path
    seed: int
    pages: Sequence[Page]
    test: Sequence[Page]
    start: Path
    features: Path
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

    def kept(self, networks: Networks) -> Features:
        """Freeze the encoder, which is that of all, and return what it makes of pictures."""
        encoder = networks.network.visual_encoder.requires_grad_(False).eval()
        return Features(self.features, encoder, CPU)

    def learn(
        self, name: str, networks: Networks, objective: Objective, examples: Sequence[Example]
    ) -> None:
        """Train networks that no checkpoint holds, as ``train_tagger`` does all others."""
        plan = self.plan()
        feed = Feed(
            examples,
            networks.tags,
            Reading(image_size=networks.network.config.image_size),
            batch=plan.batch,
            seed=plan.seed,
            features=self.kept(networks).of([one.image for one in examples], _ignored),
        )
        lesson = ExampleLesson(objective, feed, device=CPU, dtype=torch.float32, at_once=plan.batch)
        state = self.folder / name / STATE
        train(objective, lesson, plan.schedule(), state_path=state, seed=plan.seed)


def tags_of_captions(pages: Sequence[Page]) -> list[Example]:
    """Return pages with what a parser finds in their captions."""
    return list(parsed(captioned(pages), BookParser(), NAMES))


def _ignored(path: str, reason: str) -> None:
    """Pass over a page that cannot be read: all of them can."""
