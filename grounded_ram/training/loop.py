"""The one training loop: a loss per step, a cosine schedule, checkpoints to resume from."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn

logger = logging.getLogger(__name__)

_SAVE_EVERY_S = 120.0
_LOG_EVERY = 50
_LEAST_SIDE = 16  # of a matrix for Muon

StepLoss = Callable[[np.random.Generator], tuple[Tensor, dict[str, float]]]
"""Draws a batch with the generator and returns the loss and what to log beside it."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how fast to learn."""

    steps: int
    """Optimiser steps in all."""
    learning_rate: float
    """The highest rate; it warms up linearly and falls to zero along a cosine."""
    batch: int
    """Scenes a step."""
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
    modules: nn.ModuleDict,
    step_loss: StepLoss,
    schedule: Schedule,
    *,
    state_path: Path,
    seed: int,
    scales: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Train the modules in place; a run that was cut off goes on from its last saved state.

    The batch of a step depends on the seed and the step's number alone, so that a resumed run sees
    what an undisturbed one would have seen.

    Args:
        modules: everything with weights to learn.
        step_loss: the loss of one batch.
        schedule: how long and how fast.
        state_path: where weights, optimisers and step are kept; a finished run is read from it.
        seed: of the batches.
        scales: see ``make_optimizers``.
    """
    optimizers = make_optimizers(modules.named_parameters(), schedule, scales)
    start = _resume(state_path, modules, optimizers)
    modules.train()
    saved = logged = time.monotonic()
    sums: Counter[str] = Counter()
    counted = 0
    for step in range(start, schedule.steps):
        sums.update(_step(modules, optimizers, step_loss, schedule, (seed, step)))
        counted += 1
        if (step + 1) % _LOG_EVERY == 0:
            pace = counted * schedule.batch / (time.monotonic() - logged)
            logged = time.monotonic()
            line = "  ".join(f"{name} {total / counted:.4f}" for name, total in sums.items())
            sums.clear()
            counted = 0
            logger.info("step %d/%d  %.1f scenes/s  %s", step + 1, schedule.steps, pace, line)
        if time.monotonic() - saved > _SAVE_EVERY_S:
            _save(state_path, modules, optimizers, step + 1)
            saved = time.monotonic()
    if start < schedule.steps:
        _save(state_path, modules, optimizers, schedule.steps)
    modules.eval()


def _step(
    modules: nn.ModuleDict,
    optimizers: Sequence[torch.optim.Optimizer],
    step_loss: StepLoss,
    schedule: Schedule,
    seed_and_step: tuple[int, int],
) -> dict[str, float]:
    """Learn from one batch and return what to log."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["base_lr"] * schedule.factor(seed_and_step[1])
    loss, facts = step_loss(np.random.default_rng(seed_and_step))
    modules.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(modules.parameters(), schedule.clip)
    for optimizer in optimizers:
        optimizer.step()
    return facts


def _save(
    path: Path, modules: nn.Module, optimizers: Sequence[torch.optim.Optimizer], step: int
) -> None:
    state = {
        "modules": modules.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "step": step,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_suffix(".partial")
    torch.save(state, partial_path)
    partial_path.replace(path)


def _resume(path: Path, modules: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> int:
    """Load a saved state, if there is one, and return the step to go on from."""
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    modules.load_state_dict(state["modules"])
    for optimizer, kept in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(kept)
    step: int = state["step"]
    logger.info("going on from step %d of %s", step, path)
    return step
