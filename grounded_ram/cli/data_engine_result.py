"""What ``grounded-ram data-engine`` says in the end: tags, removals, models, how to use them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grounded_ram.cli import terminal
from grounded_ram.cli.train import measured
from grounded_ram.presets import resolve_preset

if TYPE_CHECKING:
    from grounded_ram.training.networks import Start
    from grounded_ram.training.rounds import Loop

FEW = 20
"""Held-out pictures, below which what is measured with them is rough."""


def measure_note(held_out: int, *, can_measure: bool) -> str | None:
    """Say what is to be known of what is measured, if there is such a thing.

    Args:
        held_out: how many pictures are held out and can be read.
        can_measure: whether one of them has a tag that is learnt.
    """
    others = "or give --truth DATA; as other settings begin a loop anew, choose another -o for it"
    if not held_out:
        return (
            "nothing is measured, and thresholds are the usual ones, as no picture that can be "
            f"read is held out. Hold some out (--hold-out 0.1), {others}"
        )
    if not can_measure:
        return (
            "mAP, precision and recall cannot be measured, as none of the held-out pictures "
            f"({held_out:,}) has one of the tags that are learnt. Hold out more (--hold-out), "
            f"others (--seed), {others}"
        )
    if held_out < FEW:
        return (
            f"mAP, precision and recall are rough, as they come of few held-out pictures "
            f"({held_out:,}). Hold out more (--hold-out), {others}"
        )
    return None


def use_command(loop: Loop, start: Start, finder: dict[str, Any], *, picture: str) -> str:
    """Return a command that labels a picture with the last model of a loop.

    Args:
        loop: what came of it.
        start: of its first model.
        finder: as ``Rounds`` has it.
        picture: its path.
    """
    writes = start.captions and start.backend.startswith("ram:")
    words = [
        *("grounded-ram", "label", picture, "-o", str(loop.best.model.parents[1] / "labelled")),
        *("--preset", resolve_preset(finder["preset"]).name),
        *("--tagger", "ram-captions:swin-l" if writes else start.backend),
    ]
    for stage, path in {"tagger": loop.best.model, **finder["weights"]}.items():
        words += ["--weights", f"{stage}={path}"]
    if "box_threshold" in finder:
        words += ["--box-threshold", str(finder["box_threshold"])]
    return shlex.join(words)


def record_of(loop: Loop, folder: Path, *, is_whole: bool) -> dict[str, Any]:
    """Return what came of a loop, as JSON holds it."""
    results = {"first": loop.first, "again": loop.again, "fine-tuned": loop.fine}
    return {
        "folder": str(folder),
        "model": str(loop.best.model),
        "learnt_tags": len(loop.best.tags),
        "pictures": loop.pictures,
        "unreadable": loop.unreadable,
        "tags": dict(zip(("given", "generated", "cleaned"), loop.tags, strict=True)),
        "removed": loop.removed,
        "not_judged": loop.untouched,
        "models": [
            {"name": name, **measured(result)} for name, result in results.items() if result
        ],
        "truth_is_whole": is_whole,
    }


def show(record: dict[str, Any]) -> None:
    """Print the tags after each step, what was removed, and the models."""
    pictures = max(1, record["pictures"])
    terminal.show_table(
        ("tags", "number", "a picture"),
        ((name, f"{n:,}", f"{n / pictures:.2f}") for name, n in record["tags"].items()),
    )
    terminal.show_table(
        ("of these", "why", "number"),
        (
            *(("removed", why, f"{n:,}") for why, n in record["removed"].items()),
            *(("not judged", why, f"{n:,}") for why, n in record["not_judged"].items()),
        ),
    )
    _show_models(record)
    if record["unreadable"]:
        terminal.show(f"could not be read, their tags stay: {record['unreadable']:,}")
    terminal.show(f"what went, and why: {Path(record['folder']) / '3-removed.jsonl'}")
    terminal.show(f"model: {record['model']}")
    terminal.show(f"Use it, on your pictures instead of this one: {record['use']}")


def _show_models(record: dict[str, Any]) -> None:
    """Print what was measured of each model, and how far that can be believed."""
    names = ("mAP", "precision", "recall")
    terminal.show_table(
        ("model", "pictures", "held out", *names),
        (
            (
                row["name"],
                f"{row['pictures']:,}",
                f"{row['held_out']:,}",
                *("-" if row[name] is None else f"{row[name]:.3f}" for name in names),
            )
            for row in record["models"]
        ),
    )
    last = record["models"][-1]
    can_measure = last["mAP"] is not None
    if note := measure_note(last["held_out"], can_measure=can_measure):
        terminal.show(note)
    if can_measure:
        terminal.show(
            "thresholds are fitted to the pictures that precision and recall are measured on"
        )
    if can_measure and not record["truth_is_whole"]:
        terminal.show(
            "held-out pictures show more than their captions tell: what is right and untold counts "
            "as wrong; measure on whole tags with --truth DATA"
        )
