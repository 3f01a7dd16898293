"""``grounded-ram train``: a tagger that learns a user's own tags."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grounded_ram.cli import terminal
from grounded_ram.cli import train_options as options
from grounded_ram.cli.build_options import CaptionParserName
from grounded_ram.cli.example_options import ImagesFolder, Separator
from grounded_ram.cli.learning_data import read_examples, say_alike, tags_to_learn
from grounded_ram.cli.options import AsJson, Device, Precision
from grounded_ram.cli.parse import kept_tags
from grounded_ram.cli.watching import LINE_EVERY_S, interruptible
from grounded_ram.errors import InputError

if TYPE_CHECKING:
    from grounded_ram.data_engine.examples import Example
    from grounded_ram.training.loop import Facts
    from grounded_ram.training.networks import Start
    from grounded_ram.training.tagger import Result

STOPPED = "stopped; to go on, type the same command again"
"""What is said of an end by Ctrl-C."""

_FEW = 30  # held-out pictures, below which a mean says little

_SMOOTH = 0.05  # share of a step in the mean that is shown


def train(
    data: options.Data,
    *,
    output: options.Folder = Path("training"),
    start: options.StartFrom = None,
    from_nothing: options.FromNothing = False,
    captions: options.Captions = False,
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
    steps: options.Steps = None,
    batch_size: options.Batch = 32,
    at_once: options.AtOnce = None,
    learning_rate: options.Rate = 1e-4,
    freeze: options.Freeze = False,
    look_once: options.LookOnce = False,
    seed: options.Seed = 0,
    workers: options.Workers = 2,
    device: Device = "auto",
    devices: options.Processes = 1,
    dtype: Precision = "auto",
    evaluate_every: options.EvaluateEvery = 0,
    tensorboard: options.TensorBoard = False,
    as_json: AsJson = False,
) -> None:
    """Train a tagger on pictures of your own: on their tags, or on tags read out of captions.

    Rows and pictures that cannot be used are left out and told. Several GPUs: --devices, or
    torchrun. The result is the folder `model` in the training's folder.
    """
    from grounded_ram.data_engine.examples import split
    from grounded_ram.data_engine.reading.left_out import LEFT_OUT
    from grounded_ram.training.networks import start_from
    from grounded_ram.training.processes import is_first
    from grounded_ram.training.tagger import FEATURES, Plan, train_tagger

    with terminal.clean_stdout(), terminal.downloading():
        kept = kept_tags(tags)
        begin: Start = start_from(
            start,
            random=from_nothing,
            captions=captions,
            alignment=alignment,
            queries=queries.value,
        )
        _check(begin, output, distil=distil)
        examples = read_examples(
            data, parser, images, kept, separator=separator, left_out=output / LEFT_OUT
        )
        if captions or alignment:
            _check_captions(examples)
        learnt, held = split(examples, hold_out, seed=seed)
        names = tags_to_learn(learnt, kept, least)
        say_alike(learnt, names)
        at_a_step = batch_size * devices
        count = steps_of(len(learnt), epochs=epochs, steps=steps, at_once=at_a_step)
        plan = Plan(
            start=begin,
            distil=distil,
            steps=count,
            batch=batch_size,
            at_once=at_once,
            learning_rate=learning_rate,
            encoder_rate=1.0 if from_nothing else 0.1,
            freeze_encoder=freeze or look_once,
            features=output / FEATURES if look_once else None,
            seed=seed,
            workers=workers,
            device=device,
            processes=devices,
            dtype=dtype,
            evaluate_every=evaluate_every,
            tensorboard=tensorboard,
        )
        with watched(count, at_a_step) as watch:
            result = train_tagger(learnt, held, names, output, plan, watch=watch)
    if is_first():
        _show(result, begin, as_json=as_json)


def _check(start: Start, output: Path, *, distil: bool) -> None:
    """Refuse, before hours of reading and downloads, what cannot be trained."""
    adapter = start.backend.partition(":")[0]
    if output.exists() and not output.is_dir():
        raise InputError(f"-o must name a folder, but {str(output)!r} is a file")
    if start.alignment and adapter != "tag2text":
        raise InputError(
            f"--alignment trains a part of Tag2Text, which {start.backend} lacks; add --start "
            "tag2text:swin-b"
        )
    if start.captions and adapter == "ram-plus":
        raise InputError(
            "--captions: RAM++ writes none; add --start ram-captions:swin-l or tag2text:swin-b"
        )
    if distil and start.labels is None:
        raise InputError(
            "--distil needs a tagger that knows its tags by CLIP, such as --start ram:swin-l, and "
            f"no --queries learnt; {start.backend} is none, or was asked for otherwise"
        )


def _check_captions(examples: Sequence[Example]) -> None:
    if not any(example.captions for example in examples):
        raise InputError(
            "--captions and --alignment learn from captions, and no picture of these has any; "
            "leave them out, or name data with captions"
        )


def steps_of(pictures: int, *, epochs: float, steps: int | None, at_once: int) -> int:
    """Return how many steps a training takes, of so many pictures each."""
    return steps or max(1, math.ceil(epochs * pictures / at_once))


@contextmanager
def watched(
    steps: int, pictures: int, what: str = "training", unit: str = "step"
) -> Iterator[Callable[[int, Facts], None]]:
    """Yield what draws how far a training is: a bar, or a line now and then.

    Args:
        steps: in all.
        pictures: that each of them takes.
        what: it is.
        unit: what a step is called.
    """
    from grounded_ram.training.processes import is_first

    if not is_first():
        yield lambda step, facts: None
        return
    asked: list[bool] = []

    def stop() -> None:
        asked.append(True)
        terminal.say(f"stopping after this {unit}; Ctrl-C once more stops at once")

    with interruptible(stop, STOPPED), _drawn(steps, pictures, what, unit) as draw:

        def watch(step: int, facts: Facts) -> None:
            draw(step, facts)
            if asked:
                raise KeyboardInterrupt  # what learns keeps its state first

        yield watch


@contextmanager
def _drawn(
    steps: int, pictures: int, what: str, unit: str
) -> Iterator[Callable[[int, Facts], None]]:
    """Yield what draws a bar, or says a line now and then."""
    mean: dict[str, float] = {}
    began = time.monotonic()
    first: list[int] = []
    last = [began]

    def line(step: int, facts: Facts) -> str:
        first.extend([step - 1] if not first else [])
        for name, value in facts.items():
            mean[name] = mean.get(name, value) * (1 - _SMOOTH) + value * _SMOOTH
        pace = (step - first[0]) * pictures / max(time.monotonic() - began, 1e-6)
        parts = [f"{name} {value:.4g}" for name, value in mean.items()]
        return "  ".join([f"{unit} {step:,} of {steps:,}", f"{pace:.1f} pictures/s", *parts])

    if terminal.is_watched():
        with terminal.bar(what) as update:
            yield lambda step, facts: update(step, steps, line(step, facts))
        return

    def say(step: int, facts: Facts) -> None:
        text = line(step, facts)
        if time.monotonic() - last[0] >= LINE_EVERY_S or step == steps:
            last[0] = time.monotonic()
            terminal.say(text)

    yield say


def _show(result: Result, start: Start, *, as_json: bool) -> None:
    pictures, held_out, bad = result.pictures
    if bad >= pictures and not held_out:
        raise InputError(
            f"none of {bad:,} pictures could be read, so nothing was learnt; why: "
            f"{result.model.with_name('bad-pictures.jsonl')}. Correct them, and choose another "
            "folder with -o"
        )
    record = {"tags": list(result.tags), "unreadable": bad, **measured(result)}
    if as_json:
        terminal.show_json(record)
        return
    terminal.show(
        f"pictures: {pictures:,}, tags: {len(result.tags):,}, could not be read: {bad:,}\n"
        + f"on {held_out:,} held-out pictures: {_measures(result)}\n"
        + f"model: {result.model}\n"
        + f"Use it: grounded-ram label PICTURES --tagger {_backend(start)} "
        + f"--weights {shlex.quote(f'tagger={result.model}')}"
    )


def _measures(result: Result) -> str:
    """Say how good a model is, and how far that can be believed."""
    _, held_out, _ = result.pictures
    if not held_out:
        return "nothing to measure; keep more apart with --hold-out"
    if math.isnan(result.mean_ap):
        return "none of them has one of the tags: nothing to measure; keep others apart (--seed)"
    rough = f"; rough figures, {held_out} pictures are few" if held_out < _FEW else ""
    return (
        f"mAP {result.mean_ap:.3f}, precision {result.precision:.3f}, recall {result.recall:.3f}, "
        f"thresholds fitted to the same pictures{rough}"
    )


def _backend(start: Start) -> str:
    """Return the name by which what was trained is used."""
    writes = start.captions and start.backend.startswith("ram:")
    return "ram-captions:swin-l" if writes else start.backend


def measured(result: Result) -> dict[str, Any]:
    """Return what a model is, and what was measured of it, as JSON holds it."""
    from grounded_ram.export.files import plain

    pictures, held_out, _ = result.pictures
    found = {
        "model": str(result.model),
        "pictures": pictures,
        "held_out": held_out,
        "mAP": result.mean_ap,
        "precision": result.precision,
        "recall": result.recall,
    }
    return dict(plain(found))
