"""How fast taggers learn here: python -m tests.benchmarks.training_speed [ram:tiny ram:swin-l ...]

Random weights of the sizes of each, pictures of noise, one process; the pictures are in memory, so
that the networks alone are measured. Ratios within a run count: machines are noisy.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch

from grounded_ram.training.feed import ExampleBatch
from grounded_ram.training.loop import Schedule, make_optimizers
from grounded_ram.training.networks import Start, make_networks
from grounded_ram.training.objectives import Objective, Parts

STEPS = 3
TAGS = [f"tag {number}" for number in range(100)]


def seconds_a_picture(backend: str, batch: int, *, frozen: bool, captions: bool) -> float:
    start = Start(backend=backend, random=True, captions=captions)
    networks = make_networks(start, TAGS)
    if frozen:
        networks.network.visual_encoder.requires_grad_(False)
    objective = Objective(
        networks.network, Parts(text=networks.text, tokenizer=networks.tokenizer)
    ).train()
    schedule = Schedule(steps=STEPS, learning_rate=1e-4, batch=batch, muon=False)
    (optimizer,) = make_optimizers(objective.named_parameters(), schedule, {})
    side = networks.network.config.image_size
    generator = torch.Generator().manual_seed(0)
    caption = "a red car and two dogs in front of a house" if captions else ""
    pictures = ExampleBatch(
        torch.randn(batch, 3, side, side, generator=generator),
        (torch.rand(batch, len(TAGS), generator=generator) < 0.05).float(),
        (caption,) * batch,
        (tuple(TAGS[:3]),) * batch,
    )
    spent = []
    for _ in range(STEPS):
        begin = time.perf_counter()
        loss, _ = objective(pictures, np.random.default_rng(0))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        spent.append(time.perf_counter() - begin)
    return min(spent) / batch


def main() -> None:
    torch.manual_seed(0)
    for backend in sys.argv[1:] or ["ram:tiny", "ram:swin-l"]:
        batch = 16 if backend.endswith("tiny") else 2
        for frozen in (False, True):
            pace = seconds_a_picture(backend, batch, frozen=frozen, captions=False)
            what = "encoder frozen" if frozen else "whole network"
            print(f"{backend:20} {what:15} batch {batch:3}: {1 / pace:.2f} pictures/s")


if __name__ == "__main__":
    main()
