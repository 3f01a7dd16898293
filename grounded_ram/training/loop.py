"""The one training loop: a loss per step, a cosine schedule, a state to go on from.

One process or several, each with batches of its own; their gradients are averaged once a step.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from grounded_ram.errors import TrainingError
from grounded_ram.runtime import free_memory, is_out_of_memory
from grounded_ram.training.processes import ONE, Processes
from grounded_ram.training.state import load_state, save_state

logger = logging.getLogger(__name__)

_SAVE_EVERY_S = 120.0
_LOG_EVERY = 50
_LEAST_SIDE = 16  # of a matrix for Muon
_MOST_BROKEN = 10
"""Steps in a row without a finite loss, after which a run stops."""

Facts = dict[str, float]

Loss = tuple[Tensor, Facts]
"""The loss of a step or of a part of it, and what to log beside it."""

StepLoss = Callable[[np.random.Generator], Loss]
"""Draws a batch with the generator and returns its loss."""


class Lesson(Protocol):
    """What is learnt in a step."""

    def draw(self, step: int, rng: np.random.Generator) -> Sequence[Callable[[], Loss]]:
        """Return the parts of a step, whose losses add up; none where nothing could be read."""
        ...

    def halve(self) -> bool:
        """Learn in smaller parts from now on; return False if they are as small as can be."""
        ...


@dataclass(frozen=True)
class Drawn:
    """A lesson whose steps have one part each."""

    loss: StepLoss

    def draw(self, step: int, rng: np.random.Generator) -> Sequence[Callable[[], Loss]]:
        """Return the one part."""
        return [lambda: self.loss(rng)]

    def halve(self) -> bool:
        """Tell that there is nothing to halve."""
        return False


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how fast to learn."""

    steps: int
    """Optimiser steps in all."""
    learning_rate: float
    """The highest rate; it warms up linearly and falls to zero along a cosine."""
    batch: int
    """Pictures a step, of each process."""
    warmup: int = 100
    """Steps of warming up."""
    weight_decay: float = 0.01
    """Of matrices and convolutions; vectors have none."""
    clip: float = 2.0
    """Gradients are scaled down to this norm."""
    muon: bool = True
    """Whether Muon learns the matrices inside the networks; AdamW learns all the rest."""

    def factor(self, step: int) -> float:
        """Return the share of the learning rate that a step uses."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return float(0.5 * (1 + np.cos(np.pi * done)))


def make_optimizers(
    named: Iterable[tuple[str, nn.Parameter]], schedule: Schedule, scales: Mapping[str, float]
) -> list[torch.optim.Optimizer]:
    """Give the matrices inside the networks to Muon, if it is wanted, the rest to AdamW.

    Muon (Jordan et al., 2024) turns each matrix's momentum into the nearest orthogonal one; its
    steps are scaled as in "Muon is Scalable for LLM Training" (Liu et al., 2025). Tables,
    convolutions, vectors and heads of few rows stay with AdamW.

    Args:
        named: what ``named_parameters()`` gives.
        schedule: for the learning rate and the weight decay.
        scales: part of a parameter's name -> factor on its learning rate; the first that fits.
    """
    groups: dict[tuple[bool, float, bool], list[nn.Parameter]] = {}
    for name, parameter in named:
        if parameter.requires_grad:
            scale = next((s for part, s in scales.items() if part in name), 1.0)
            inner = schedule.muon and _is_inner_matrix(name, parameter)
            key = (inner, scale, parameter.ndim > 1)
            groups.setdefault(key, []).append(parameter)
    optimizers: list[torch.optim.Optimizer] = []
    for by_muon in (True, False):
        rows = [
            {
                "params": parameters,
                "lr": schedule.learning_rate * scale,
                "base_lr": schedule.learning_rate * scale,
                "weight_decay": schedule.weight_decay if decays else 0.0,
            }
            for (muon, scale, decays), parameters in groups.items()
            if muon == by_muon
        ]
        if rows and by_muon:
            optimizers.append(torch.optim.Muon(rows, adjust_lr_fn="match_rms_adamw"))
        elif rows:
            optimizers.append(torch.optim.AdamW(rows, betas=(0.9, 0.98)))
    return optimizers


def _is_inner_matrix(name: str, parameter: nn.Parameter) -> bool:
    """Tell whether a parameter maps features to features."""
    table = any(part in name for part in ("embed", "position", "rel_pos", "token"))
    return parameter.ndim == 2 and min(parameter.shape) >= _LEAST_SIDE and not table


def train(
    modules: nn.Module,
    lesson: StepLoss | Lesson,
    schedule: Schedule,
    *,
    state_path: Path,
    seed: int,
    scales: Mapping[str, float] = MappingProxyType({}),
    processes: Processes = ONE,
    watch: Callable[[int, Facts], None] = lambda step, facts: None,
) -> None:
    """Train the modules in place; a run that was cut off goes on from its last saved state.

    The batch of a step and what chance does in it depend on the seed and the step's number alone,
    so that a resumed run sees what an undisturbed one would have seen.

    Args:
        modules: everything with weights to learn.
        lesson: what is learnt in each step.
        schedule: how long and how fast.
        state_path: where weights, optimisers and step are kept; a finished run is read from it.
        seed: of the batches.
        scales: see ``make_optimizers``.
        processes: those that learn together.
        watch: called after each step, with how many are done and what its lesson tells. If it
            raises KeyboardInterrupt, the state is saved first.

    Raises:
        TrainingError: the losses are not finite any more, or the memory is too small; the message
            tells what to change. The last state stays.
        InputError: the state is of another run, or damaged.
    """
    run = _Run(
        modules,
        Drawn(lesson) if callable(lesson) else lesson,
        schedule,
        make_optimizers(modules.named_parameters(), schedule, scales),
        processes,
        seed,
    )
    start = _resume(state_path, run)
    modules.train()
    log = _Log(schedule)
    saved = time.monotonic()
    with torch.random.fork_rng(devices=[]):
        for step in range(start, schedule.steps):
            facts = run.step(step)
            log.add(step, facts)
            if processes.all_of(time.monotonic() - saved > _SAVE_EVERY_S):
                _save(state_path, run, step + 1)
                saved = time.monotonic()
            try:
                watch(step + 1, facts)
            except KeyboardInterrupt:  # between two steps, so that what is kept is whole
                if processes.rank == 0:
                    save_state(state_path, modules, run.optimizers, {"step": step + 1})
                raise
    if start < schedule.steps:
        _save(state_path, run, schedule.steps)
    modules.eval()


@dataclass
class _Run:
    """A training under way."""

    modules: nn.Module
    lesson: Lesson
    schedule: Schedule
    optimizers: Sequence[torch.optim.Optimizer]
    processes: Processes
    seed: int
    broken: int = 0
    """Steps in a row whose loss or gradients were not finite."""

    def step(self, step: int) -> Facts:
        """Learn from one batch and return what to log."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["base_lr"] * self.schedule.factor(step)
        facts = self._gradients(step)
        parameters = [p for p in self.modules.parameters() if p.requires_grad]
        self.processes.average_gradients(parameters)
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.schedule.clip)
        if math.isfinite(float(norm)):
            self.broken = 0
            for optimizer in self.optimizers:
                optimizer.step()
        else:
            self._count_broken(step)
        return facts

    def _gradients(self, step: int) -> Facts:
        """Compute the gradients of a step, in smaller parts if the memory is too small for them."""
        while True:
            facts = self._try(step)
            if facts is not None:
                return facts
            if self.processes.count > 1 or not self.lesson.halve():
                raise TrainingError(
                    f"step {step + 1}: out of memory; put fewer pictures into memory at once "
                    "(--at-once 1) or use bfloat16 (--dtype bfloat16), and type the command again; "
                    "or, in a new folder, let the image encoder as it is (--freeze); or use a GPU "
                    "with more memory"
                )
            logger.warning("out of memory: going on with half as many pictures at a time")

    def _try(self, step: int) -> Facts | None:
        """Compute the gradients of a step; return None if the memory is too small."""
        rank = self.processes.rank
        rng = np.random.default_rng((self.seed, step, rank) if rank else (self.seed, step))
        torch.manual_seed(int(np.random.default_rng((self.seed, step, rank, 1)).integers(2**62)))
        self.modules.zero_grad(set_to_none=True)
        facts: Counter[str] = Counter()
        try:
            for part in self.lesson.draw(step, rng):
                loss, told = part()
                loss.backward()  # type: ignore[no-untyped-call]
                facts.update(told)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            facts.clear()
        else:
            return dict(facts)
        self.modules.zero_grad(set_to_none=True)
        free_memory()
        return None

    def _count_broken(self, step: int) -> None:
        self.broken += 1
        logger.warning("step %d: its loss is not finite; it is left out", step + 1)
        if self.broken >= _MOST_BROKEN:
            raise TrainingError(
                f"{self.broken} steps in a row, up to step {step + 1}, had no finite loss: the "
                "networks have broken down. Lower the learning rate (--learning-rate "
                f"{self.schedule.learning_rate / 4:g}), or use --dtype float32, and type the "
                "command again: it goes on from the last state that was saved"
            )


class _Log:
    """Says now and then how far a run is."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.sums: Counter[str] = Counter()
        self.counted = 0
        self.since = time.monotonic()

    def add(self, step: int, facts: Facts) -> None:
        """Count what a step told, and say it if it is time to."""
        self.sums.update(facts)
        self.counted += 1
        if (step + 1) % _LOG_EVERY:
            return
        pace = self.counted * self.schedule.batch / (time.monotonic() - self.since)
        line = "  ".join(f"{name} {total / self.counted:.4f}" for name, total in self.sums.items())
        logger.info("step %d/%d  %.1f pictures/s  %s", step + 1, self.schedule.steps, pace, line)
        self.sums.clear()
        self.counted, self.since = 0, time.monotonic()


def _save(path: Path, run: _Run, step: int) -> None:
    if run.processes.rank == 0:
        save_state(path, run.modules, run.optimizers, {"step": step})
    run.processes.wait()


def _resume(path: Path, run: _Run) -> int:
    """Load a saved state, if there is one, and return the step to go on from."""
    if not path.exists():
        return 0
    asked = [[dict(group) for group in one.param_groups] for one in run.optimizers]
    step: int = load_state(path, run.modules, run.optimizers)["step"]
    for optimizer, groups in zip(run.optimizers, asked, strict=True):
        for group, now in zip(optimizer.param_groups, groups, strict=True):
            group["base_lr"] = now["base_lr"]  # it may have been lowered since
    logger.info("going on from step %d of %s", step, path)
    return step
