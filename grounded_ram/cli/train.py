"""``grounded-ram train``: a tagger that learns a user's own tags."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grounded_ram.cli import terminal
from grounded_ram.cli import train_options as options
from grounded_ram.cli.build import make_parser
from grounded_ram.cli.build_options import CaptionParserName
from grounded_ram.cli.options import AsJson, Device, Precision
from grounded_ram.cli.parse import kept_tags
from grounded_ram.cli.watching import LINE_EVERY_S

if TYPE_CHECKING:
    from grounded_ram.data_engine.examples import Example
    from grounded_ram.training.loop import Facts
    from grounded_ram.training.networks import Start
    from grounded_ram.training.tagger import Result

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
    images: options.ImagesFolder = None,
    hold_out: options.HoldOut = 0.1,
    epochs: options.Epochs = 10,
    steps: options.Steps = None,
    batch_size: options.Batch = 32,
    at_once: options.AtOnce = None,
    learning_rate: options.Rate = 1e-4,
    freeze: options.Freeze = False,
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
    from grounded_ram.training.networks import start_from
    from grounded_ram.training.processes import is_first
    from grounded_ram.training.tagger import Plan, frequent_tags, train_tagger

    with terminal.clean_stdout(), terminal.downloading():
        wanted = None if tags is None else kept_tags(tags)
        examples = _read(data, parser, images, None if wanted is None else wanted.names)
        learnt, held = split(examples, hold_out, seed=seed)
        names = frequent_tags(learnt, least=least)
        if wanted is not None and wanted.names is not None:
            names = list(wanted.names)
        begin: Start = start_from(
            start,
            random=from_nothing,
            captions=captions,
            alignment=alignment,
            queries=queries.value,
        )
        count = steps or max(1, math.ceil(epochs * len(learnt) / (batch_size * devices)))
        plan = Plan(
            start=begin,
            distil=distil,
            steps=count,
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
        with _watched(count, batch_size * devices) as watch:
            result = train_tagger(learnt, held, names, output, plan, watch=watch)
    if is_first():
        _show(result, begin.backend, as_json=as_json)


def _read(
    data: Sequence[str], parser: str, images: Path | None, keep: Sequence[str] | None
) -> list[Example]:
    """Read the examples, and the tags out of captions that have none yet."""
    from grounded_ram.data_engine.caption_tags import parsed
    from grounded_ram.data_engine.reading.rows import BadRows
    from grounded_ram.data_engine.reading.sources import open_examples
    from grounded_ram.training.processes import is_first
    from grounded_ram.vocabulary.table import official_vocabulary

    bad = BadRows(keep=3 if is_first() else 0)
    found = list(open_examples(data[0] if len(data) == 1 else list(data), bad, images=images))
    for row in bad.first:
        terminal.say(f"left out: {row}")
    if bad.count and is_first():
        terminal.say(f"left out: {bad.count:,} rows of {bad.count + len(found):,}")
    captions = [caption for example in found for caption in example.captions]
    if captions and not any(caption.tags for caption in captions):
        found = list(parsed(found, make_parser(parser)(), keep, vocabulary=official_vocabulary()))
    return found


@contextmanager
def _watched(steps: int, pictures: int) -> Iterator[Callable[[int, Facts], None]]:
    """Yield what draws how far a training is: a bar, or a line now and then."""
    from grounded_ram.training.processes import is_first

    if not is_first():
        yield lambda step, facts: None
        return
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
        return "  ".join([f"step {step:,} of {steps:,}", f"{pace:.1f} pictures/s", *parts])

    if terminal.is_watched():
        with terminal.bar("training") as update:
            yield lambda step, facts: update(step, steps, line(step, facts))
        return

    def say(step: int, facts: Facts) -> None:
        text = line(step, facts)
        if time.monotonic() - last[0] >= LINE_EVERY_S or step == steps:
            last[0] = time.monotonic()
            terminal.say(text)

    yield say


def _show(result: Result, backend: str, *, as_json: bool) -> None:
    pictures, held_out, bad = result.pictures
    record: dict[str, Any] = {
        "model": str(result.model),
        "tags": list(result.tags),
        "pictures": pictures,
        "held_out": held_out,
        "unreadable": bad,
        "mAP": _or_none(result.mean_ap),
        "precision": _or_none(result.precision),
        "recall": _or_none(result.recall),
    }
    if as_json:
        terminal.show_json(record)
        return
    measured = (
        f"mAP {result.mean_ap:.3f}, precision {result.precision:.3f}, recall {result.recall:.3f}, "
        "thresholds fitted to the same pictures"
    )
    terminal.show(
        f"pictures: {pictures:,}, tags: {len(result.tags):,}, could not be read: {bad:,}\n"
        + f"on {held_out:,} held-out pictures: {measured if held_out else 'nothing to measure'}\n"
        + f"model: {result.model}\n"
        + f"Use it: grounded-ram label PICTURES --tagger {backend} "
        + f"--weights tagger={result.model}"
    )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
