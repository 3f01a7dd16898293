"""``grounded-ram download``: get weights before they are needed."""

from __future__ import annotations

from typing import Annotated

import typer

from grounded_ram.cli import terminal
from grounded_ram.cli.models import find_checkpoints
from grounded_ram.disk import size_text
from grounded_ram.errors import WeightsError
from grounded_ram.presets import resolve_preset
from grounded_ram.weights import Checkpoint, fetch, missing


def download(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PRESET|CHECKPOINT",
            help="As `grounded-ram models` lists them; nothing means the default preset. "
            "adapter:owner/repo@revision is a repository on the hub.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Download the weights of presets or checkpoints, and check those that are here.

    What broke off goes on where it stopped. Exit code 0: all are here now; 1: some could not be
    had; 2: wrong usage.
    """
    lost = 0
    with terminal.downloading() as on_progress:
        for checkpoint in find_checkpoints(names or [resolve_preset().name]):
            if not missing(checkpoint):
                terminal.show(f"{checkpoint.name}: here, whole")
                continue
            terminal.say(f"{checkpoint.name}: getting {_what(checkpoint)}")
            try:
                fetch(checkpoint, on_progress=on_progress)
                terminal.show(f"{checkpoint.name}: here now, whole")
            except WeightsError as error:
                lost += 1
                terminal.say(f"failed: {error}")
    if lost:
        raise typer.Exit(1)


def _what(checkpoint: Checkpoint) -> str:
    sizes = [file.size for file in missing(checkpoint)]
    known = [size for size in sizes if size is not None]
    size = size_text(sum(known)) if len(known) == len(sizes) else "files of unknown size"
    return f"{size}, licence: {checkpoint.licence}"
