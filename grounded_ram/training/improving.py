"""The two steps of a data engine between its trainings: tags are added, and wrong ones removed."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from grounded_ram.data_engine.cleaning.cleaned_tags import clean_tags
from grounded_ram.data_engine.example_files import read_examples, write_examples
from grounded_ram.data_engine.examples import Example
from grounded_ram.data_engine.generating import Generator
from grounded_ram.errors import MissingDependencyError
from grounded_ram.export.files import json_bytes, plain, replacing, write_json
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.runtime import free_memory, pick_device
from grounded_ram.stages import HasThresholds, Tagger
from grounded_ram.training.begun import check_begun, digest_of, working_in
from grounded_ram.training.loop import Facts
from grounded_ram.training.networks import make_networks, start_from
from grounded_ram.training.tagger import Result
from grounded_ram.training.trained import Measure, fitted_thresholds

if TYPE_CHECKING:
    from grounded_ram.training.rounds import Rounds

_log = logging.getLogger(__name__)

GENERATED, CLEANED = "2-generated.jsonl", "3-cleaned.jsonl"
UNREADABLE, REMOVED, UNTOUCHED = "2-unreadable.jsonl", "3-removed.jsonl", "3-untouched.json"
SEEN = "3-seen"
"""What cleaning saw of each picture, until it is done."""
ASKED = "data-engine.json"

_NO_EFFECT = (
    "told (--told) has no effect, as none of the held-out pictures has one of the tags that are "
    "learnt: the first model adds tags by its own thresholds"
)

Update: TypeAlias = Callable[[int, Facts], None]
"""Told how many steps or pictures are done, and what a training measured."""

Watch: TypeAlias = Callable[[str, int], AbstractContextManager[Update]]
"""Opened for each step that runs, by its file or folder, with how much there is to do."""


@dataclass(frozen=True)
class Improving:
    """What happens to examples in the folder of a loop; see ``rounds.run_data_engine``."""

    folder: Path
    rounds: Rounds
    watch: Watch
    on_bad: Callable[[str, str], None]

    def check(self, held_out: Sequence[Example]) -> None:
        """Tell before hours of training what would stop a later step.

        Raises:
            InputError: a loop with other settings was begun here.
            UnknownNameError: there is no such preset or detector.
            MissingDependencyError: scikit-learn is not installed.
        """
        check_begun(self.folder / ASKED, self._asked(held_out))
        if find_spec("sklearn") is None or find_spec("threadpoolctl") is None:
            raise MissingDependencyError(
                "removing wrong tags needs scikit-learn; try: pip install 'grounded-ram[engine]'"
            )

    def begin(self, held_out: Sequence[Example]) -> None:
        """Write down what is asked of generating and cleaning; a training does so by itself."""
        if not (self.folder / ASKED).exists():
            write_json(self._asked(held_out), self.folder / ASKED, indent=1)

    def run(self, examples: Sequence[Example], held_out: Sequence[Example], first: Result) -> None:
        """Write the examples after generating and after cleaning, if they are not there."""
        if (self.folder / GENERATED).exists() and (self.folder / CLEANED).exists():
            shutil.rmtree(self.folder / SEEN, ignore_errors=True)
            return
        with working_in(self.folder):
            model = self._seeing(first, held_out)
            if not (self.folder / GENERATED).exists():
                self._generate(examples, first.tags, model)
            self._clean(list(read_examples(self.folder / GENERATED)), model)
        del model
        free_memory()

    def _generate(
        self, examples: Sequence[Example], tags: Sequence[str], model: GroundedRAM
    ) -> None:
        tagger: Any = model.tagger
        generator = Generator(
            tagger=tagger,
            captioner=tagger if self.rounds.captions else None,
            parser=self.rounds.parser,
            keep=tags,
            vocabulary=self.rounds.vocabulary,
        )
        bad: list[dict[str, str]] = []

        def note(path: str, reason: str) -> None:
            bad.append({"image": path, "reason": reason})
            self.on_bad(path, reason)

        def found(update: Update) -> Iterator[Example]:
            for done, example in enumerate(generator.add(examples, note), 1):
                yield example
                update(done, {})
            _write_lines(bad, self.folder / UNREADABLE)

        with self.watch(GENERATED, len(examples)) as update:
            write_examples(found(update), self.folder / GENERATED)

    def _clean(self, examples: Sequence[Example], model: GroundedRAM) -> None:
        with self.watch(CLEANED, len(examples)) as update:
            found = clean_tags(
                examples,
                model,
                self.rounds.cleaning,
                unfound=self.rounds.unfound,
                keep_in=self.folder / SEEN,
                on_done=lambda done: update(done, {}),
                on_bad=self.on_bad,
            )
        _write_lines(
            ({**asdict(one), "reason": str(one.reason)} for one in found.removed),
            self.folder / REMOVED,
        )
        write_json(found.untouched, self.folder / UNTOUCHED, indent=1)
        write_examples(found.examples, self.folder / CLEANED)  # it says that all is done
        shutil.rmtree(self.folder / SEEN, ignore_errors=True)

    def _seeing(self, first: Result, held_out: Sequence[Example]) -> GroundedRAM:
        """Return the first model, with the thresholds to generate by, and the detector."""
        plan, finder = self.rounds.first, self.rounds.finder
        settings = {"device": plan.device, "dtype": plan.dtype, **finder}
        start = start_from(str(first.model), queries="learnt")
        files = {**finder.get("weights", {}), "tagger": first.model}
        model = GroundedRAM(**{**settings, "tagger": start.backend, "weights": files})
        if self.rounds.told == 1:
            return model
        if not any(set(example.tags) & set(first.tags) for example in held_out):
            _log.warning(_NO_EFFECT)
            return model
        networks = make_networks(start, first.tags)
        scores, truth = Measure(networks, held_out, pick_device(plan.device))()
        tagger = believing(model.tagger, first.tags, (scores, truth), self.rounds.told)
        return GroundedRAM(**{**settings, "tagger": tagger})

    def _asked(self, held_out: Sequence[Example]) -> dict[str, Any]:
        """Return what decides what generating and cleaning give, beside the first model."""
        rounds, preset = self.rounds, GroundedRAM(**self.rounds.finder).preset  # loads nothing
        asked = {
            "told": rounds.told,
            "captions": rounds.captions,
            "parser": type(rounds.parser).__qualname__ if rounds.parser else None,
            "cleaning": rounds.cleaning.record(),
            "unfound": rounds.unfound,
            "detector": preset.detector,
            "weights": rounds.finder.get("weights", {}),
            "box_threshold": preset.box_threshold,
            "held_out": digest_of(held_out),
        }
        return dict(json.loads(json_bytes(plain(asked))))


def believing(
    tagger: Tagger,
    tags: Sequence[str],
    seen: tuple[NDArray[np.float32], NDArray[np.bool_]],
    told: float,
) -> Tagger:
    """Return a tagger with the thresholds of the best F1 on all tags, of which some are told.

    Args:
        tagger: with thresholds for what is told.
        tags: L names.
        seen: (N, L) scores of held-out pictures, and (N, L) what they are said to show.
        told: see ``Rounds.told``.
    """
    scores, truth = seen
    if not truth.any() or not isinstance(tagger, HasThresholds):
        return tagger
    own, pooled = fitted_thresholds(scores, truth, beta=told**-0.5)
    return tagger.with_thresholds({tags[column]: limit for column, limit in own.items()}, pooled)


def _write_lines(rows: Iterable[dict[str, Any]], path: Path) -> None:
    with replacing(path) as file:
        for row in rows:
            file.write(f"{json.dumps(plain(row))}\n".encode())


def read_lines(path: Path) -> list[Any]:
    """Return what each line of a file of JSON holds."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]
