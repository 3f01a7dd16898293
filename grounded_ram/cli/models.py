"""``grounded-ram models``: the presets, their checkpoints, and what is on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Annotated, Any

import typer

from grounded_ram.cache import known_sha256
from grounded_ram.cli import terminal
from grounded_ram.cli.options import AsJson
from grounded_ram.disk import size_text
from grounded_ram.downloads import WeightFile, find_whole, locate
from grounded_ram.presets import PRESETS, Preset, resolve_preset
from grounded_ram.weights import CHECKPOINTS, Checkpoint, find_checkpoint, missing

Names = Annotated[list[str] | None, typer.Argument(metavar="PRESET|CHECKPOINT", show_default=False)]

models = typer.Typer(invoke_without_command=True)


@models.callback()
def show(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List presets and checkpoints: size, licence, and whether they are here."""
    if context.invoked_subcommand is not None:
        return
    checkpoints = [describe_checkpoint(row) for row in CHECKPOINTS.values()]
    here = {row["name"] for row in checkpoints if row["here"]}
    presets = [_describe_preset(row, here) for row in PRESETS.values()]
    if as_json:
        terminal.show_json({"presets": presets, "checkpoints": checkpoints})
        return
    terminal.show_table(
        ("preset", "here", "disk", "memory", "licence", "made of", "for"),
        (
            (
                row["name"] + (" (default)" if row["default"] else ""),
                _yes(row["here"]),
                _gigabytes(row["disk_gb"]) if row["disk_gb"] else "in the package",
                _gigabytes(row["memory_gb"]),
                row["licence"],
                ", ".join((row["tagger"], row["detector"], row["segmenter"])),
                f"{row['summary']}: {row['reason']}",
            )
            for row in presets
        ),
    )
    terminal.show_table(
        ("checkpoint", "here", "size", "licence", "what it is"),
        (
            (row["name"], _yes(row["here"]), _size(row), row["licence"], row["summary"])
            for row in checkpoints
        ),
    )
    terminal.show("Get one with `grounded-ram download NAME`.")


@models.command()
def verify(
    names: Names = None,
    *,
    run: Annotated[
        bool,
        typer.Option(
            "--run",
            help="Run those that are here on public pictures too, and compare with what others "
            "published of them; needs a network.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read the files that are here once more and compare their SHA-256; nothing named means all.

    Exit code 0: what is here is whole, and agrees; 1: some file is damaged, or some result differs;
    2: wrong usage.
    """
    checkpoints = find_checkpoints(names) if names else list(CHECKPOINTS.values())
    rows = [
        {"checkpoint": checkpoint.name, "role": role, "name": file.name, **_state(file)}
        for checkpoint in checkpoints
        for role, file in checkpoint.files.items()
    ]
    damaged = list(dict.fromkeys(r["checkpoint"] for r in rows if r["state"] == "damaged"))
    whole = [checkpoint for checkpoint in checkpoints if run and not missing(checkpoint)]
    results = _held_against_published(whole)
    if as_json:
        terminal.show_json({"files": rows, **({"results": results} if run else {})})
    else:
        columns = ("checkpoint", "name", "state", "path")
        cells = ([row[column] or "" for column in columns] for row in rows)
        terminal.show_table(("checkpoint", "file", "state", "lies in"), cells)
        if run:
            _show_results(results, whole)
    if damaged:
        terminal.say(f"damaged; get them anew: grounded-ram download {' '.join(damaged)}")
    if damaged or any(row["result"] == "differs" for row in results):
        raise typer.Exit(1)


def _held_against_published(checkpoints: Sequence[Checkpoint]) -> list[dict[str, Any]]:
    """Return how near each checkpoint comes to each result that others published of it."""
    if not checkpoints:
        return []
    from grounded_ram.evaluation.published import check_published
    from grounded_ram.runtime import pick_device

    with terminal.clean_stdout():
        outcomes = check_published([row.name for row in checkpoints], device=pick_device("auto"))
    return [
        {
            "checkpoint": outcome.example.checkpoint,
            "picture": outcome.example.image,
            "result": "agrees" if outcome.agrees else "not tried" if outcome.untried else "differs",
            "why": outcome.untried or "; ".join(outcome.differences),
            "score_error": None if isnan(outcome.score_error) else outcome.score_error,
            "pixel_error": None if isnan(outcome.pixel_error) else outcome.pixel_error,
            "source": outcome.example.source,
        }
        for outcome in outcomes
    ]


def _show_results(results: Sequence[dict[str, Any]], checkpoints: Sequence[Checkpoint]) -> None:
    """Print the results, and which checkpoints there was nothing to hold against."""
    headings = ("checkpoint", "picture", "result", "score off by", "box off by (px)", "why")
    terminal.show_table(
        headings,
        (
            (
                row["checkpoint"],
                row["picture"].rsplit("/", 1)[-1],
                row["result"],
                "" if row["score_error"] is None else f"{row['score_error']:.3f}",
                "" if row["pixel_error"] is None else f"{row['pixel_error']:.1f}",
                row["why"],
            )
            for row in results
        ),
    )
    held = {row["checkpoint"] for row in results}
    if alone := [row.name for row in checkpoints if row.name not in held]:
        terminal.say(f"nobody published a result to compare with: {', '.join(alone)}")


def find_checkpoints(names: Sequence[str]) -> list[Checkpoint]:
    """Return the checkpoints that names stand for, each once: a colon marks a checkpoint's name."""
    backends: dict[str, None] = {}
    for name in names:
        if ":" in name:
            backends[name] = None
        else:
            preset = resolve_preset(name)
            backends |= dict.fromkeys((preset.tagger, preset.detector, preset.segmenter))
    return [find_checkpoint(name) for name in backends]


def describe_checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what is known about a checkpoint; ``size_bytes`` is None where that is not known.

    Small files of unknown size are not counted.
    """
    files = [{"role": role, **_describe(file)} for role, file in checkpoint.files.items()]
    sizes = [
        file["size_bytes"] for file in files if file["role"] == "weights" or file["size_bytes"]
    ]
    return {
        "name": checkpoint.name,
        "summary": checkpoint.summary,
        "licence": checkpoint.licence,
        "terms": checkpoint.terms,
        "size_bytes": None if None in sizes else sum(sizes),
        "here": not missing(checkpoint),
        "files": files,
    }


def _describe(file: WeightFile) -> dict[str, Any]:
    whole, path = find_whole(file), locate(file)
    return {
        "name": file.name,
        "sources": list(file.sources),
        "sha256": file.sha256,
        "size_bytes": file.size if path is None else path.stat().st_size,
        "here": whole is not None,
        "path": None if whole is None else str(whole),
    }


def _state(file: WeightFile) -> dict[str, Any]:
    """Tell whether a file is whole by reading it, and where it lies."""
    whole, path = find_whole(file, reread=True), locate(file)
    found = whole or path
    state = "whole" if whole else "damaged" if path else "absent"
    return {
        "state": state,
        "path": None if found is None else str(found),
        "sha256": None if found is None else known_sha256(found),
        "expected_sha256": file.sha256,
    }


def _describe_preset(preset: Preset, here: set[str]) -> dict[str, Any]:
    backends = (preset.tagger, preset.detector, preset.segmenter)
    return {
        "name": preset.name,
        "summary": preset.summary,
        "tagger": preset.tagger,
        "detector": preset.detector,
        "segmenter": preset.segmenter,
        "reason": preset.reason,
        "disk_gb": preset.disk_gb,
        "memory_gb": preset.memory_gb,
        "licence": preset.licence,
        "here": all(name in here for name in backends),
        "default": preset == resolve_preset(),
    }


def _gigabytes(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1f} GB"


def _size(row: dict[str, Any]) -> str:
    return "unknown" if row["size_bytes"] is None else size_text(row["size_bytes"])


def _yes(here: bool) -> str:
    return "yes" if here else "no"
