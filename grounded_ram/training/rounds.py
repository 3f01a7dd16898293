"""RAM's data engine as a loop: train, generate, clean, train again, fine-tune.

Zhang et al., "Recognize Anything" (2023), section 3.3 and figure 4: a first model is trained on the
tags of captions; it adds the tags that the captions lack; wrong ones are removed; a second model
learns from what is left, and is fine-tuned on few, better examples.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from grounded_ram.data_engine.cleaning.cleaned_tags import RemovedTag, clean_tags
from grounded_ram.data_engine.cleaning.verdicts import Cleaning
from grounded_ram.data_engine.example_files import read_examples, write_examples
from grounded_ram.data_engine.examples import Example
from grounded_ram.data_engine.generating import Generator
from grounded_ram.data_engine.parsing.parser import find_parser
from grounded_ram.export.files import replacing
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.training.networks import start_from
from grounded_ram.training.tagger import Plan, Result, train_tagger

FIRST, AGAIN, FINE = "1-first", "4-again", "5-fine"
GENERATED, CLEANED, REMOVED = "2-generated.jsonl", "3-cleaned.jsonl", "3-removed.jsonl"
"""What the folder of a loop holds, in the order in which it comes."""


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """How the loop runs.

    Args:
        first: trains the first model.
        again: trains the second one, from where the first began; None means as the first.
        fine: fine-tunes the second one; None means as the first, at a tenth of its rate.
        finder: keywords of the ``GroundedRAM`` whose detector finds the regions of tags.
        cleaning: how wrong tags are told.
        captions: let the first model write captions, too; its plan must train that.
    """

    first: Plan
    again: Plan | None = None
    fine: Plan | None = None
    finder: dict[str, Any] = field(default_factory=dict)
    cleaning: Cleaning = field(default_factory=Cleaning)
    captions: bool = False


@dataclass(frozen=True)
class Loop:
    """What came of a loop.

    Args:
        first: the model trained on the examples as they were.
        again: the model trained on them after generating and cleaning.
        fine: that model, fine-tuned; None without fine examples.
        tags: how many tags the examples had at first, after generating, after cleaning.
    """

    first: Result
    again: Result
    fine: Result | None
    tags: tuple[int, int, int]

    @property
    def best(self) -> Result:
        """The last model."""
        return self.fine or self.again


def run_data_engine(
    examples: Sequence[Example],
    held_out: Sequence[Example],
    tags: Sequence[str],
    folder: Path,
    rounds: Rounds,
    *,
    fine_examples: Sequence[Example] = (),
    say: Callable[[str], None] = lambda text: None,
) -> Loop:
    """Run the loop; called again, go on where it stopped.

    Args:
        examples: pictures with the tags of their captions: see ``caption_tags.parsed``.
        held_out: pictures to measure and to fit thresholds with; their tags should be right.
        tags: L names to learn.
        folder: of the loop: models, examples after each step, and what was removed and why.
        rounds: how.
        fine_examples: few and right ones to end with; none leaves that out.
        say: told what begins.

    Raises:
        InputError: see ``train_tagger`` and ``clean_tags``.
        TrainingError: see ``loop.train``.
    """
    say("the first model learns")
    first = train_tagger(examples, held_out, tags, folder / FIRST, rounds.first)
    seeing = _seeing(first, rounds)
    generated = _kept(
        folder / GENERATED,
        lambda: _generated(examples, tags, seeing, rounds),
        lambda: say("it adds the tags that are missing"),
    )

    def clean() -> Iterable[Example]:
        found = clean_tags(generated, seeing, rounds.cleaning)
        _write_removed(found.removed, folder / REMOVED)
        return found.examples

    cleaned = _kept(folder / CLEANED, clean, lambda: say("wrong tags are removed"))
    say("the second model learns")
    again = train_tagger(cleaned, held_out, tags, folder / AGAIN, rounds.again or rounds.first)
    fine = None
    if fine_examples:
        say("the second model is fine-tuned")
        plan = rounds.fine or replace(rounds.first, learning_rate=rounds.first.learning_rate / 10)
        parts = {"captions": plan.start.captions, "alignment": plan.start.alignment}
        start = start_from(str(again.model), queries="learnt", **parts)
        plan = replace(plan, start=replace(start, labels=plan.start.labels))
        fine = train_tagger(fine_examples, held_out, tags, folder / FINE, plan)
    counts = [sum(len(one.tags) for one in some) for some in (examples, generated, cleaned)]
    return Loop(first, again, fine, (counts[0], counts[1], counts[2]))


def _seeing(first: Result, rounds: Rounds) -> GroundedRAM:
    """Return the first model in front of the detector that finds regions."""
    backend = start_from(str(first.model), queries="learnt").backend
    settings = {"device": rounds.first.device, **rounds.finder}
    return GroundedRAM(tagger=backend, weights={"tagger": first.model}, **settings)


def _generated(
    examples: Sequence[Example], tags: Sequence[str], model: GroundedRAM, rounds: Rounds
) -> Iterable[Example]:
    tagger: Any = model.tagger
    captioner = tagger if rounds.captions else None
    parser = find_parser("rules") if rounds.captions else None
    generator = Generator(
        tagger=tagger, captioner=captioner, parser=parser, keep=tags, vocabulary=None
    )
    return generator.add(examples)


def _kept(
    path: Path, make: Callable[[], Iterable[Example]], begin: Callable[[], None]
) -> list[Example]:
    """Return the examples of a step, from its file if it was done before."""
    if not path.exists():
        begin()
        write_examples(make(), path)
    return list(read_examples(path))


def _write_removed(removed: Sequence[RemovedTag], path: Path) -> None:
    with replacing(path) as file:
        for one in removed:
            row = {**asdict(one), "reason": str(one.reason)}
            known = {name: None if value != value else value for name, value in row.items()}
            file.write(f"{json.dumps(known)}\n".encode())
