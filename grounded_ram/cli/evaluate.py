"""``grounded-ram evaluate``: how good a preset is on picture-book scenes never trained on."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from grounded_ram.cli import terminal
from grounded_ram.cli.options import AsJson, Device, OwnWeights, own_weights


def evaluate(
    *,
    scenes: Annotated[int, typer.Option(min=1, max=100_000, help="How many scenes.")] = 500,
    preset: Annotated[
        str, typer.Option(help="The preset; only the tiny one was trained on such scenes.")
    ] = "tiny",
    weights: OwnWeights = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Print tagging mAP, box and mask AP and the share of right labels on fresh scenes.

    The scenes are always the same, so that two runs can be compared.
    """
    with terminal.clean_stdout():
        from grounded_ram.evaluation.picture_book import FIRST_SEED, evaluate_picture_book
        from grounded_ram.pipeline import GroundedRAM

        seeds = range(FIRST_SEED, FIRST_SEED + scenes)
        watched = terminal.progress(seeds, len(seeds), "evaluating")
        model = GroundedRAM(preset, weights=own_weights(weights), device=device)
        with terminal.downloading() as on_progress:
            model.fetch_weights(on_progress=on_progress)
        rows = evaluate_picture_book(model, watched)
    if as_json:
        terminal.show_json({"preset": preset, "scenes": scenes, "rows": [asdict(r) for r in rows]})
        return
    terminal.show_table(
        (f"{preset}, on {scenes} unseen scenes", "value", "aim for tiny"),
        ((row.name, f"{row.value:.3f}", f"{row.least:.2f}") for row in rows),
    )
