"""``grounded-ram data-engine``: RAM's loop on a user's own captions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from grounded_ram.cli import cleaning_options, terminal
from grounded_ram.cli import data_engine_options as loop_options
from grounded_ram.cli import train_options as options
from grounded_ram.cli.build import make_parser
from grounded_ram.cli.build_options import CaptionParserName
from grounded_ram.cli.data_engine_result import measure_note, record_of, show, use_command
from grounded_ram.cli.example_options import ImagesFolder, Separator
from grounded_ram.cli.learning_data import read_examples, read_sources, say_alike, tags_to_learn
from grounded_ram.cli.options import (
    AsJson,
    BoxThreshold,
    Device,
    OwnWeights,
    Precision,
    PresetName,
    own_weights,
)
from grounded_ram.cli.parse import Kept, kept_tags
from grounded_ram.cli.places import writing_into
from grounded_ram.cli.train import steps_of, watched
from grounded_ram.errors import InputError

if TYPE_CHECKING:
    from grounded_ram.data_engine.examples import Example
    from grounded_ram.training.loop import Facts
    from grounded_ram.training.tagger import Plan
    from grounded_ram.weights import OnProgress

_ON_A_GPU = 8
"""Pictures that tagger and detector take at once there."""

_MOST_BAD = 3
"""Pictures that cannot be read and are named; 2-unreadable.jsonl has them all."""


def data_engine(
    data: options.Data,
    *,
    output: loop_options.LoopFolder = Path("data-engine"),
    fine: loop_options.Fine = None,
    truth: loop_options.Truth = None,
    told: loop_options.Told = 1.0,
    start: options.StartFrom = None,
    from_nothing: options.FromNothing = False,
    captions: loop_options.Captions = False,
    alignment: options.AlignTexts = False,
    distil: options.Distil = False,
    queries: options.QueriesOf = options.Queries.auto,
    tags: options.Tags = None,
    least: options.Least = 1,
    parser: CaptionParserName = "rules",
    images: ImagesFolder = None,
    separator: Separator = None,
    hold_out: options.HoldOut = 0.1,
    epochs: options.Epochs = 10,
    fine_epochs: loop_options.FineEpochs = None,
    steps: options.Steps = None,
    batch_size: options.Batch = 32,
    at_once: options.AtOnce = None,
    learning_rate: options.Rate = 1e-4,
    fine_rate: loop_options.FineRate = None,
    freeze: options.Freeze = False,
    seed: options.Seed = 0,
    workers: options.Workers = 2,
    device: Device = "auto",
    devices: options.Processes = 1,
    dtype: Precision = "auto",
    evaluate_every: options.EvaluateEvery = 0,
    tensorboard: options.TensorBoard = False,
    preset: PresetName = None,
    detector: loop_options.DetectorName = None,
    box_threshold: BoxThreshold = None,
    weights: OwnWeights = None,
    share: cleaning_options.Share = 0.1,
    least_distance: cleaning_options.LeastDistance = 0.0,
    clusters: cleaning_options.Clusters = 1,
    least_regions: cleaning_options.LeastRegions = 10,
    contradictions: cleaning_options.Contradictions = True,
    least_alone: cleaning_options.LeastAlone = 0.5,
    margin: cleaning_options.Margin = 0.5,
    unfound: loop_options.UnfoundTags = loop_options.Unfound.keep,
    as_json: AsJson = False,
) -> None:
    """Make a tagger of pictures with captions, as RAM was made.

    A first model learns the tags of captions. It adds those that the captions lack. Of all tags a
    detector finds the regions, and those go that look wrong. A second model learns what is left.
    With --fine it is fine-tuned on better examples. The folder holds every step.
    """
    from grounded_ram.data_engine.cleaning.verdicts import Cleaning
    from grounded_ram.training.networks import start_from
    from grounded_ram.training.tagger import Plan

    with terminal.clean_stdout(), terminal.downloading() as on_progress:
        begin = start_from(
            start,
            random=from_nothing,
            captions=captions,
            alignment=alignment,
            queries=queries.value,
        )
        plan = Plan(
            start=begin,
            distil=distil,
            batch=batch_size,
            at_once=at_once,
            learning_rate=learning_rate,
            encoder_rate=1.0 if from_nothing else 0.1,
            freeze_encoder=freeze,
            seed=seed,
            workers=workers,
            device=device,
            processes=devices,
            dtype=dtype,
            evaluate_every=evaluate_every,
            tensorboard=tensorboard,
        )
        cleaning = Cleaning(
            share=share,
            least_distance=least_distance,
            clusters=clusters,
            least_regions=least_regions,
            seed=seed,
            contradictions=contradictions,
            least_alone=least_alone,
            margin=margin,
        )
        reading = _Reading(parser, images, separator, tags, least, hold_out, seed, output)
        with writing_into(output):
            given = _read(data, truth, fine, reading)
            finder = _finder(preset, detector, box_threshold, own_weights(weights))
            finder["batch_size"] = _fetch(finder, device, on_progress)
            length = _Length(steps, epochs, fine_epochs, fine_rate)
            settings = {"cleaning": cleaning, "unfound": unfound.value, "told": told}
            record = _run(given, plan, length, settings | {"finder": finder, "folder": output})
    if record is not None:
        (terminal.show_json if as_json else show)(record)


class _Reading(NamedTuple):
    """How data is read: what was typed."""

    parser: str
    images: Path | None
    separator: str | None
    tags: str | None
    least: int
    hold_out: float
    seed: int
    folder: Path


class _Given(NamedTuple):
    """What a loop learns from, and to what end."""

    learnt: list[Example]
    held_out: list[Example]
    better: list[Example]
    kept: Kept
    parser: str
    is_whole: bool
    """Whether the tags of those held out are all there are."""


class _Length(NamedTuple):
    """How long and how fast is learnt."""

    steps: int | None
    epochs: float
    fine_epochs: float | None
    fine_rate: float | None


def _read(
    data: Sequence[str], truth: Sequence[str] | None, fine: Sequence[str] | None, how: _Reading
) -> _Given:
    """Read all data; that of --truth and --fine gets the names of the tags to learn."""
    from grounded_ram.data_engine.examples import split
    from grounded_ram.data_engine.reading.left_out import LEFT_OUT

    asked = kept_tags(how.tags)
    examples = read_examples(
        data,
        how.parser,
        how.images,
        asked,
        separator=how.separator,
        left_out=how.folder / LEFT_OUT,
    )
    learnt, held = split(examples, 0 if truth else how.hold_out, seed=how.seed)
    kept = Kept(tuple(tags_to_learn(learnt, asked, how.least)), asked.vocabulary)
    say_alike(learnt, kept.names or ())
    if truth:
        held = read_sources(truth, how.parser, kept, " of --truth")
    apart = {example.image for example in held}
    better = read_sources(fine or [], how.parser, kept, " of --fine")
    return _Given(
        [example for example in learnt if example.image not in apart],
        held,
        [example for example in better if example.image not in apart],
        kept,
        how.parser,
        bool(truth),
    )


def _finder(
    preset: str | None, detector: str | None, box_threshold: float | None, files: dict[str, str]
) -> dict[str, Any]:
    """Return the keywords of what finds regions.

    Raises:
        InputError: files of a tagger are among those given.
    """
    if any(name.partition(".")[0] == "tagger" for name in files):
        raise InputError("--weights tagger=...: the tagger is what is trained; name it as --start")
    finder: dict[str, Any] = {"preset": preset, "weights": files}
    finder |= {"detector": detector} if detector else {}
    return finder | ({} if box_threshold is None else {"box_threshold": box_threshold})


def _fetch(finder: dict[str, Any], device: str, on_progress: OnProgress | None) -> int:
    """Download the detector if it is not here, and return how many pictures it takes at once."""
    from grounded_ram.backends import Backend
    from grounded_ram.pipeline import GroundedRAM
    from grounded_ram.weights import fetch_all

    model = GroundedRAM(**finder, device=device)  # loads nothing
    terminal.caution(model.preset)
    own = {name: Path(path).expanduser().absolute() for name, path in finder["weights"].items()}
    found: Backend[Any] = Backend("detector", model.preset.detector, own_files=own)
    fetch_all([one for one in [found.checkpoint] if one], on_progress=on_progress)
    return _ON_A_GPU if model.device.type == "cuda" else 1


def _run(
    given: _Given, plan: Plan, length: _Length, settings: dict[str, Any]
) -> dict[str, Any] | None:
    """Run the loop; return what came of it, in the first of several processes."""
    from grounded_ram.training.processes import is_first
    from grounded_ram.training.rounds import Rounds, run_data_engine

    at_a_step, pictures = plan.batch * plan.processes, len(given.learnt)
    steps = steps_of(pictures, epochs=length.epochs, steps=length.steps, at_once=at_a_step)
    epochs = length.fine_epochs or steps * at_a_step / max(1, pictures)
    fine_steps = steps_of(len(given.better), epochs=epochs, steps=None, at_once=at_a_step)
    rate = plan.learning_rate / 10 if length.fine_rate is None else length.fine_rate
    folder, writes = settings.pop("folder"), plan.start.captions
    rounds = Rounds(
        first=replace(plan, steps=steps),
        fine=replace(plan, steps=fine_steps, learning_rate=rate),
        captions=writes,
        parser=make_parser(given.parser)() if writes else None,
        vocabulary=given.kept.vocabulary,
        **settings,
    )
    bad: dict[str, str] = {}
    names = given.kept.names or ()
    shown = any(set(example.tags) & set(names) for example in given.held_out)
    note = measure_note(len(given.held_out), can_measure=shown)
    if note and is_first():
        terminal.say(f"note: {note}")
    done = run_data_engine(
        given.learnt,
        names,
        folder,
        rounds,
        held_out=given.held_out,
        fine_examples=given.better,
        watch=partial(_watching, at_a_step),
        on_bad=bad.__setitem__,
    )
    if not is_first():
        return None
    for image, why in list(bad.items())[:_MOST_BAD]:
        terminal.say(f"not looked at, its tags stay: {image}: {why}")
    seen = (one.image for one in (*given.held_out, *given.learnt) if one.image not in bad)
    command = use_command(done, plan.start, settings["finder"], picture=next(seen, "PICTURES"))
    return record_of(done, folder, is_whole=given.is_whole) | {"use": command}


@contextmanager
def _watching(at_a_step: int, step: str, total: int) -> Iterator[Callable[[int, Facts], None]]:
    """Say what begins, and draw how far it is; what cannot be measured is not drawn."""
    from grounded_ram.training.processes import is_first

    what, unit = loop_options.STEPS[step]
    if is_first():
        terminal.say(f"{step}: {what}")
    with watched(total, at_a_step if unit == "step" else 1, what, unit) as update:
        yield lambda done, facts: update(
            done, {name: one for name, one in facts.items() if name != "mAP" or not math.isnan(one)}
        )
