"""``grounded-ram download``: get weights before they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from grounded_ram.cli import terminal
from grounded_ram.cli.models import describe_checkpoint, size_text
from grounded_ram.errors import WeightsError
from grounded_ram.presets import resolve_preset
from grounded_ram.weights import Checkpoint, fetch, find_checkpoint


def download(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PRESET|CHECKPOINT",
            help="As `grounded-ram models` lists them; nothing means the default preset.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Download the weights of presets or checkpoints, and check those that are here.

    Exit code 0: all are here now; 1: some could not be had; 2: wrong usage.
    """
    lost = 0
    for checkpoint in _wanted(names or [resolve_preset().name]):
        before = describe_checkpoint(checkpoint)
        if before["here"]:
            terminal.show(f"{checkpoint.name}: here, whole")
            continue
        terminal.say(f"{checkpoint.name}: getting it, {size_text(before)} in all")
        try:
            fetch(checkpoint, progress=True)
            terminal.show(f"{checkpoint.name}: here now, whole")
        except WeightsError as error:
            lost += 1
            terminal.say(f"failed: {error}")
    if lost:
        raise typer.Exit(1)


def _wanted(names: Sequence[str]) -> list[Checkpoint]:
    """Return the checkpoints that names stand for, each once: a colon marks a checkpoint's name."""
    backends: dict[str, None] = {}
    for name in names:
        if ":" in name:
            backends[name] = None
        else:
            preset = resolve_preset(name)
            backends |= dict.fromkeys((preset.tagger, preset.detector, preset.segmenter))
    return [find_checkpoint(name) for name in backends]
