"""Training a tagger of the RAM family on a user's examples, from reading them to its files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from grounded_ram.data_engine.examples import Example
from grounded_ram.errors import InputError
from grounded_ram.evaluation.tagging import mean_average_precision
from grounded_ram.export.files import write_json
from grounded_ram.ram.clip_teacher import CLIPTeacher, Teacher
from grounded_ram.ram.tag2text import Tag2Text
from grounded_ram.runtime import pick_device, pick_dtype
from grounded_ram.training.begun import check_begun, digest_of, working_in
from grounded_ram.training.features import Features
from grounded_ram.training.feed import Feed, Reading
from grounded_ram.training.logs import open_logs
from grounded_ram.training.loop import Facts, Schedule, train
from grounded_ram.training.networks import Networks, Start, make_networks
from grounded_ram.training.objectives import ExampleLesson, Objective, Parts
from grounded_ram.training.processes import Processes, begin_processes
from grounded_ram.training.trained import Measure, fitted_table, write_model

STATE, PLAN, MODEL, BAD = "state.safetensors", "train.json", "model", "bad-pictures.jsonl"
FEATURES = "features"
"""What a training's folder holds beside its logs."""

_ADJUSTABLE = ("learning_rate", "dtype")
"""What a training may go on with changed, since that is what to do when it has broken down."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a tagger is trained.

    Raises:
        InputError: features are to be kept of an encoder that learns, or that CLIP stands beside.
    """

    start: Start = field(default_factory=Start)
    """Where it starts."""
    distil: bool = False
    """Learn CLIP's view of the pictures, too: RAM and RAM++, with ``start.labels``."""
    steps: int = 1000
    """Optimiser steps in all."""
    batch: int = 32
    """Pictures a step, of each process."""
    at_once: int | None = None
    """Pictures whose activations are in memory together; None means the whole batch."""
    learning_rate: float = 1e-4
    """The highest rate."""
    encoder_rate: float = 0.1
    """Factor on the rate of the image encoder, which has seen more than what it is tuned on."""
    weight_decay: float = 0.05
    """Of matrices."""
    muon: bool = False
    """Let Muon learn the matrices; networks that start from nothing learn faster by it."""
    freeze_encoder: bool = False
    """Let the image encoder stay as it is."""
    features: Path | None = None
    """Folder in which is kept what the frozen encoder makes of each picture, so that it looks at
    each once, uncut; trainings from the same start may share it."""
    least_crop: float = 0.5
    """See ``feed.Reading``."""
    seed: int = 0
    """Of weights, order and chance."""
    workers: int = 0
    """Further processes that read pictures; each imports the script anew, whose own work must then
    stand below ``if __name__ == "__main__":``."""
    device: str = "auto"
    """Where it learns."""
    processes: int = 1
    """Processes that learn together, one a GPU."""
    dtype: str = "auto"
    """"float32", "bfloat16", or "auto": bfloat16 where a GPU computes in it."""
    evaluate_every: int = 0
    """Steps after which the held-out pictures are tagged; 0 means at the end alone."""
    tensorboard: bool = False
    """Write logs for TensorBoard beside the CSV file."""

    def __post_init__(self) -> None:
        looks_again = not self.freeze_encoder or self.distil or self.processes > 1
        if self.features is not None and looks_again:
            raise InputError(
                "features are kept of an encoder that stays as it is, by one process: set "
                "freeze_encoder, no distil and processes=1; for the command, --look-once goes with "
                "neither --distil nor --devices"
            )

    def schedule(self) -> Schedule:
        """Return how long and how fast to learn."""
        return Schedule(
            steps=self.steps,
            learning_rate=self.learning_rate,
            batch=self.batch,
            warmup=min(100, max(1, self.steps // 10)),
            weight_decay=self.weight_decay,
            muon=self.muon,
        )


@dataclass(frozen=True)
class Result:
    """What came of a training.

    Args:
        model: folder of the trained files.
        tags: L names.
        mean_ap: mAP on the held-out pictures; NaN if they have no tag.
        precision: of the tags seen in them at the fitted thresholds; NaN if none was seen.
        recall: likewise; NaN if they have no tag.
        pictures: learnt from, held out, and that could not be read.
    """

    model: Path
    tags: tuple[str, ...]
    mean_ap: float
    precision: float
    recall: float
    pictures: tuple[int, int, int]


def train_tagger(
    examples: Sequence[Example],
    held_out: Sequence[Example],
    tags: Sequence[str],
    folder: str | Path,
    plan: Plan,
    *,
    teacher: Teacher | None = None,
    watch: Callable[[int, Facts], None] = lambda step, facts: None,
) -> Result:
    """Train a tagger, and write its files; called again, go on where it stopped.

    Args:
        examples: N pictures to learn from.
        held_out: pictures to measure and to fit thresholds with; may be none.
        tags: L names to learn; see ``frequent_tags``.
        folder: of the training: its state, its logs and in ``model`` the result.
        plan: how.
        teacher: instead of the CLIP that ``plan`` names, if the plan is to distil.
        watch: called after each step, with how many are done and what was measured.

    Raises:
        InputError: the examples, the tags or the plan cannot be used, or a training with others
            was begun in the folder.
        TrainingError: see ``loop.train``.
        WeightsError: weights are absent or do not fit.
    """
    folder = Path(folder)
    processes, device = begin_processes(pick_device(plan.device), plan.processes)
    asked = _asked(folder, plan, tags, examples) if processes.rank == 0 else {}
    torch.manual_seed(plan.seed)
    networks = make_networks(plan.start, tags)
    bad = _told_bad(folder)
    kept = _features(networks, plan, device)
    feed = _feed(networks, examples, plan, (processes, kept, bad.__setitem__))
    lesson = _lesson(networks, feed, plan, teacher, (processes, device))
    if processes.rank == 0:  # not before all that may be refused
        folder.mkdir(parents=True, exist_ok=True)
        write_json(asked, folder / PLAN, indent=1)
    measure = Measure(networks, held_out, device, kept)
    silent = processes.rank > 0
    alone = nullcontext() if silent else working_in(folder)
    with alone, open_logs(folder, tensorboard=plan.tensorboard, silent=silent) as log:

        def after(step: int, facts: Facts) -> None:
            due = plan.evaluate_every and step % plan.evaluate_every == 0 and step < plan.steps
            if due and held_out and processes.rank == 0:
                facts = {**facts, "mAP": mean_average_precision(*measure())}
                lesson.objective.train()
            log(step, facts)
            watch(step, facts)

        train(
            lesson.objective,
            lesson,
            plan.schedule(),
            state_path=folder / STATE,
            seed=plan.seed,
            scales={"network.visual_encoder": plan.encoder_rate},
            processes=processes,
            watch=after,
        )
    scores, truth = measure()
    table = fitted_table(tags, scores, truth)
    if processes.rank == 0:
        write_model(networks, table, folder / MODEL)
        _write_bad(folder / BAD, bad | measure.bad)
    seen = scores > table.thresholds
    return Result(
        model=folder / MODEL,
        tags=tuple(tags),
        mean_ap=mean_average_precision(scores, truth),
        precision=_share(seen & truth, seen),
        recall=_share(seen & truth, truth),
        pictures=(len(examples), len(truth), len({*bad, *measure.bad})),
    )


def frequent_tags(
    examples: Iterable[Example], *, least: int = 1, most: int | None = None
) -> list[str]:
    """Return the tags of examples, the most frequent first; of equally many, by name.

    Args:
        examples: read once.
        least: pictures that a tag must have.
        most: how many tags at most; None means all.
    """
    counts = Counter(name for example in examples for name in set(example.tags))
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [name for name, count in ranked if count >= least][:most]


def _lesson(
    networks: Networks,
    feed: Feed,
    plan: Plan,
    teacher: Teacher | None,
    where: tuple[Processes, torch.device],
) -> ExampleLesson:
    """Put together what learns, and what it learns from."""
    processes, device = where
    if plan.distil and teacher is None:
        if plan.start.labels is None:
            raise InputError("distillation needs CLIP: name the text encoder as start.labels")
        teacher = CLIPTeacher(plan.start.labels)
    if plan.freeze_encoder:
        networks.network.visual_encoder.requires_grad_(False)
    if not networks.learnt_codes and not isinstance(networks.network, Tag2Text):
        networks.network.label_embed.requires_grad_(False)  # as in the official training
    parts = Parts(
        text=networks.text,
        alignment=networks.alignment,
        tokenizer=networks.tokenizer,
        teacher=teacher if plan.distil else None,
        gather=processes.gather if processes.count > 1 else None,
    )
    return ExampleLesson(
        Objective(networks.network, parts).to(device),
        feed,
        device=device,
        dtype=pick_dtype(plan.dtype, device),
        at_once=plan.at_once or plan.batch,
    )


def _feed(
    networks: Networks,
    examples: Sequence[Example],
    plan: Plan,
    how: tuple[Processes, Features | None, Callable[[str, str], None]],
) -> Feed:
    """Return what gives the examples of each step."""
    processes, kept, on_bad = how
    reading = Reading(
        image_size=networks.network.config.image_size,
        least_crop=plan.least_crop,
        workers=plan.workers,
    )
    return Feed(
        examples,
        networks.tags,
        reading,
        batch=plan.batch,
        seed=plan.seed,
        rank=processes.rank,
        count=processes.count,
        on_bad=on_bad,
        features=None if kept is None else kept.of([one.image for one in examples], on_bad),
    )


def _features(networks: Networks, plan: Plan, device: torch.device) -> Features | None:
    """Return what keeps the encoder's features, if the plan wants that."""
    if plan.features is None:
        return None
    return Features(plan.features, networks.network.visual_encoder.to(device).eval(), device)


def _asked(
    folder: Path, plan: Plan, tags: Sequence[str], examples: Sequence[Example]
) -> dict[str, Any]:
    """Return what is asked for, which must be what was asked for before in the folder.

    Raises:
        InputError: it is not; the message tells in what.
    """
    asked: dict[str, Any] = json.loads(
        json.dumps({**_decisive(plan), "tags": list(tags)}, default=str)
    )
    asked["examples"] = digest_of(examples)
    check_begun(folder / PLAN, asked)
    return asked


def _decisive(plan: Plan) -> dict[str, Any]:
    """Return those of the settings that decide what is learnt."""
    known = asdict(replace(plan, start=replace(plan.start, labels=None)))
    known["start"]["labels"] = str(plan.start.labels) if plan.start.labels else None
    known["features"] = plan.features is not None  # pictures are not cut then
    for name in (*_ADJUSTABLE, "workers", "device", "evaluate_every", "tensorboard", "at_once"):
        del known[name]
    return known


def _write_bad(path: Path, bad: Mapping[str, str]) -> None:
    """List the pictures that could not be read, if there are any."""
    if bad:
        lines = [json.dumps({"image": image, "reason": why}) for image, why in sorted(bad.items())]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _told_bad(folder: Path) -> dict[str, str]:
    """Return what could not be read before, in a training that goes on."""
    if not ((folder / STATE).exists() and (folder / BAD).exists()):
        return {}
    rows = map(json.loads, (folder / BAD).read_text("utf-8").splitlines())
    return {row["image"]: row["reason"] for row in rows}


def _share(part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> float:
    return float(part.sum() / whole.sum()) if whole.any() else float("nan")
