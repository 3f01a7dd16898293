"""``grounded-ram train-tiny``: remake the tiny preset's weights from a seed."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from grounded_ram.cli import terminal


def train_tiny(
    folder: Annotated[Path, typer.Argument(help="Keeps scenes, states to resume, and weights.")],
    *,
    seed: Annotated[int, typer.Option(min=0, help="Of first weights and batches.")] = 0,
    device: Annotated[str, typer.Option(help='"auto", "cpu", "cuda", "cuda:1".')] = "auto",
    scenes: Annotated[int, typer.Option(min=500, help="Scenes to learn from.")] = 32_000,
    stretch: Annotated[
        float, typer.Option(min=0.0001, help="Factor on the steps of every run.")
    ] = 1.0,
    start: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Go on from the weights in DIR instead of from nothing."),
    ] = None,
) -> None:
    """Draw scenes, train tagger, detector and segmenter, and write their files.

    Typed again, it goes on where it stopped. On a CPU it takes about 15 hours, whatever its cores:
    the networks are too small to share the work.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    from grounded_ram.runtime import pick_device
    from grounded_ram.training.tiny import Plan
    from grounded_ram.training.tiny import train_tiny as run

    plan = Plan(scenes=scenes, stretch=stretch)
    files = run(folder, plan=plan, seed=seed, device=pick_device(device), start=start)
    terminal.show(f"wrote {files}; copy its files over grounded_ram/assets/tiny to use them")
