"""RAM's data engine as a loop: train, generate, clean, train again, fine-tune.

Zhang et al., "Recognize Anything" (2023), section 3.3 and figure 4: a first model is trained on the
tags of captions; it adds the tags that the captions lack; wrong ones are removed; a second model
learns from what is left, and is fine-tuned on few, better examples.

In the folder of a loop each step has a file or a folder of its own, whole or not there:

    1-first/               the first model's training
    data-engine.json       what was asked of the two steps that follow
    2-generated.jsonl      the examples with what it saw besides; 2-unreadable.jsonl: not looked at
    3-cleaned.jsonl        those without wrong tags; 3-removed.jsonl: what went, and why;
                           3-untouched.json: how many tags were not judged, and why;
                           3-seen/: what was seen of each picture, until all of them are done
    4-again/, 5-fine/      the second model's trainings
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from grounded_ram.data_engine.cleaning.cleaned_tags import Unfound
from grounded_ram.data_engine.cleaning.verdicts import Cleaning
from grounded_ram.data_engine.example_files import read_examples
from grounded_ram.data_engine.examples import Example
from grounded_ram.data_engine.parsing.parser import CaptionParser
from grounded_ram.errors import InputError, TrainingError
from grounded_ram.training.improving import (
    CLEANED,
    GENERATED,
    REMOVED,
    UNREADABLE,
    UNTOUCHED,
    Improving,
    Watch,
    read_lines,
)
from grounded_ram.training.networks import start_from
from grounded_ram.training.processes import is_first
from grounded_ram.training.tagger import Plan, Result, train_tagger
from grounded_ram.vocabulary.table import Vocabulary

FIRST, AGAIN, FINE = "1-first", "4-again", "5-fine"


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """How the loop runs.

    Raises:
        InputError: a value lies outside its range, or the first model is to write captions and does
            not learn it.
    """

    first: Plan
    """Trains the first model."""
    again: Plan | None = None
    """Trains the second one, from where it says, not from the first; None means as the first."""
    fine: Plan | None = None
    """Fine-tunes the second one, wherever it says to start; None means as the first, as often over
    the examples, at a tenth of its rate."""
    finder: dict[str, Any] = field(default_factory=dict)
    """Keywords of the ``GroundedRAM`` whose detector finds the regions of tags; the tagger is the
    first model."""
    cleaning: Cleaning = field(default_factory=Cleaning)
    """How wrong tags are told."""
    unfound: Unfound = "keep"
    """See ``clean_tags``."""
    told: float = 1.0
    """Of what the held-out pictures show, the share that their tags tell: 1 for tags given by hand,
    less for those of captions, which leave much out; half of it is no rare share. Thresholds with
    the best F1 on such tags are too high: of what the model rightly sees, much counts as wrong.
    Where things are left out by chance, what is best on all tags is best here by F-beta with a
    beta of ``told ** -0.5``. Generating uses such thresholds; 1 means the model's own."""
    captions: bool = False
    """Let the first model write captions, too."""
    parser: CaptionParser | None = None
    """Reads tags out of those; None reads none."""
    vocabulary: Vocabulary | None = None
    """Says what these mean; see ``caption_tags.parsed``."""

    def __post_init__(self) -> None:
        if not 0 < self.told <= 1:
            raise InputError(f"told: expected a share above 0, at most 1; got {self.told}")
        if self.captions and not self.first.start.captions:
            raise InputError("captions: the first model does not learn to write them; let it")


@dataclass(frozen=True)
class Loop:
    """What came of a loop.

    Args:
        first: the model trained on the examples as they were.
        again: the model trained on them after generating and cleaning.
        fine: that model, fine-tuned; None without fine examples.
        pictures: how many examples there are.
        tags: how many tags these had at first, after generating, after cleaning; of those to learn.
        removed: how many were removed, by the reason.
        untouched: how many tags cleaning did not judge, by the reason.
        unreadable: pictures that no tags were generated of, as they cannot be read.
    """

    first: Result
    again: Result
    fine: Result | None
    pictures: int
    tags: tuple[int, int, int]
    removed: dict[str, int]
    untouched: dict[str, int]
    unreadable: int

    @property
    def best(self) -> Result:
        """The last model."""
        return self.fine or self.again


def run_data_engine(
    examples: Sequence[Example],
    tags: Sequence[str],
    folder: Path,
    rounds: Rounds,
    *,
    held_out: Sequence[Example] = (),
    fine_examples: Sequence[Example] = (),
    watch: Watch = lambda step, total: nullcontext(lambda done, facts: None),
    on_bad: Callable[[str, str], None] = lambda path, reason: None,
) -> Loop:
    """Run the loop; called again, go on where it stopped.

    Where several processes learn together, each calls this; the first one generates and cleans.

    Args:
        examples: pictures with the tags of their captions: see ``caption_tags.parsed``. Tags that
            are not to be learnt are passed over.
        tags: L names to learn.
        folder: of the loop.
        rounds: how.
        held_out: pictures to measure and to fit thresholds with; none of ``examples``. What they
            are not said to show counts as not there: see ``Rounds.told``.
        fine_examples: few and right ones to end with; none leaves that out.
        watch: sees each step that is not done yet.
        on_bad: told the path and the reason of each picture that cannot be read when tags are
            generated or cleaned; it keeps those that it has.

    Raises:
        InputError: see ``train_tagger`` and ``clean_tags``; or a loop with other settings was begun
            in the folder.
        MissingDependencyError: scikit-learn is not installed.
        TrainingError: see ``loop.train``.
    """

    def train(name: str, some: Sequence[Example], plan: Plan) -> Result:
        with watch(name, plan.steps) as update:
            return train_tagger(some, held_out, tags, folder / name, plan, watch=update)

    improving = Improving(folder, rounds, watch, on_bad)
    improving.check(held_out)
    given = [_only(example, frozenset(tags)) for example in examples]
    first = train(FIRST, given, rounds.first)
    if is_first():
        improving.begin(held_out)
        improving.run(given, held_out, first)
    generated, cleaned = _when_there(folder / GENERATED), _when_there(folder / CLEANED)
    again = train(AGAIN, cleaned, rounds.again or rounds.first)
    fine = None
    if fine_examples:
        plan = _fine_plan(rounds, again, len(fine_examples) / max(1, len(examples)))
        fine = train(FINE, fine_examples, plan)
    return Loop(
        first,
        again,
        fine,
        len(examples),
        (_tags_in(given), _tags_in(generated), _tags_in(cleaned)),
        dict(Counter(row["reason"] for row in read_lines(folder / REMOVED)).most_common()),
        json.loads((folder / UNTOUCHED).read_text("utf-8")),
        len(read_lines(folder / UNREADABLE)),
    )


def _fine_plan(rounds: Rounds, again: Result, share: float) -> Plan:
    """Return how the second model is fine-tuned, on so large a share of what it has learnt from."""
    first = rounds.first
    usual = replace(
        first,
        learning_rate=first.learning_rate / 10,
        steps=max(1, round(first.steps * share)),
    )
    plan = rounds.fine or usual
    start = start_from(
        str(again.model.resolve()),
        queries="learnt",
        captions=plan.start.captions,
        alignment=plan.start.alignment,
    )
    return replace(plan, start=replace(start, labels=plan.start.labels))


def _only(example: Example, names: Collection[str]) -> Example:
    """Return an example with those of its tags alone that have some names."""
    captions = tuple(
        replace(one, tags=tuple(tag for tag in one.tags if tag in names))
        for one in example.captions
    )
    kept = tuple(tag for tag in example.tags if tag in names)
    return replace(example, tags=kept, captions=captions)


def _when_there(path: Path) -> list[Example]:
    """Return the examples of a step, which another process may still be at.

    Raises:
        TrainingError: the process that began this one has ended.
    """
    parent = os.getppid()
    while not path.exists():
        time.sleep(1)
        if os.getppid() != parent:
            raise TrainingError(f"the process that was to write {str(path)!r} has ended")
    return list(read_examples(path))


def _tags_in(examples: Iterable[Example]) -> int:
    return sum(len(example.tags) for example in examples)
