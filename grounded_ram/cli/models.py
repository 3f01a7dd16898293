"""``grounded-ram models``: the presets, their checkpoints, and what is on this machine."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from grounded_ram.cli import terminal
from grounded_ram.downloads import locate
from grounded_ram.presets import PRESETS, Preset, resolve_preset
from grounded_ram.weights import CHECKPOINTS, Checkpoint, missing


def models(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON on standard output and nothing else.")
    ] = False,
) -> None:
    """List presets and checkpoints: size, licence, and whether they are here."""
    checkpoints = [describe_checkpoint(row) for row in CHECKPOINTS.values()]
    here = {row["name"] for row in checkpoints if row["here"]}
    presets = [_describe_preset(row, here) for row in PRESETS.values()]
    if as_json:
        terminal.show_json({"presets": presets, "checkpoints": checkpoints})
        return
    terminal.show_table(
        ("preset", "here", "tagger", "detector", "segmenter", "for"),
        (
            (
                row["name"] + (" (default)" if row["default"] else ""),
                _yes(row["here"]),
                row["tagger"],
                row["detector"],
                row["segmenter"],
                row["summary"],
            )
            for row in presets
        ),
    )
    terminal.show_table(
        ("checkpoint", "here", "size", "licence", "what it is"),
        (
            (row["name"], _yes(row["here"]), size_text(row), row["licence"], row["summary"])
            for row in checkpoints
        ),
    )
    terminal.show("Get one with `grounded-ram download NAME`.")


def describe_checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what is known about a checkpoint; ``size_bytes`` is None where that is not known."""
    lost = {file.name for file in missing(checkpoint)}
    files = []
    for role, file in checkpoint.files.items():
        path = locate(file)
        size = file.size if path is None else path.stat().st_size
        facts = {"role": role, "name": file.name, "source": file.source, "size_bytes": size}
        files.append({**facts, "here": file.name not in lost})
    sizes = [file["size_bytes"] for file in files]
    return {
        "name": checkpoint.name,
        "summary": checkpoint.summary,
        "licence": checkpoint.licence,
        "size_bytes": None if None in sizes else sum(sizes),
        "here": not lost,
        "files": files,
    }


def size_text(row: dict[str, Any]) -> str:
    """Write the size of a described checkpoint for people."""
    size = row["size_bytes"]
    if size is None:
        return "unknown"
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _describe_preset(preset: Preset, here: set[str]) -> dict[str, Any]:
    backends = (preset.tagger, preset.detector, preset.segmenter)
    return {
        "name": preset.name,
        "summary": preset.summary,
        "tagger": preset.tagger,
        "detector": preset.detector,
        "segmenter": preset.segmenter,
        "licence": preset.licence,
        "here": all(name in here for name in backends),
        "default": preset == resolve_preset(),
    }


def _yes(here: bool) -> str:
    return "yes" if here else "no"
