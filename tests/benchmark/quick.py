"""What makes a measurement short, and stages whose weights are not here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from grounded_ram.benchmark import machine
from grounded_ram.benchmark.networks import Part, load_part
from grounded_ram.benchmark.settings import Settings
from grounded_ram.checkpoints.find import CHECKPOINTS
from grounded_ram.downloads import WeightFile
from grounded_ram.presets import PRESETS
from grounded_ram.weights import Checkpoint

CPU: dict[str, Any] = {"device": torch.device("cpu"), "dtype": torch.float32}
TINY: Mapping[Any, str] = {
    "tagger": "ram:tiny",
    "detector": "grounding-dino:tiny",
    "segmenter": "sam:tiny",
}
SMALL = Settings(preset=PRESETS["tiny"], size_wh=(96, 64), tags=4, repeat=1)
"""A measurement of a second or two."""


def small_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SIDES", {"cpu": (32, 64)})
    monkeypatch.setattr(machine, "COPIED_BYTES", {"cpu": 2**12})
    monkeypatch.setattr(machine, "_SECONDS", 0.0)


def tiny_parts(folder: Path) -> dict[str, Part]:
    return {stage: load_part(stage, name, folder, **CPU) for stage, name in TINY.items()}


def absent(name: str) -> Checkpoint:
    """Return the row of a tiny checkpoint whose weights and vocabulary lie nowhere."""
    row = CHECKPOINTS[name]
    lost = {
        role: WeightFile(name=f"lost-{role}", source=f"https://localhost/{role}")
        for role in row.files
        if role != "config"
    }
    return replace(row, name=name.replace("tiny", "absent"), files={**row.files, **lost})


def lose_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make "ram:absent", "grounding-dino:absent" and "sam:absent"."""
    for name in TINY.values():
        row = absent(name)
        monkeypatch.setitem(CHECKPOINTS, row.name, row)


def forbid_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("somebody downloads")

    monkeypatch.setattr("grounded_ram.weights.download", refuse)
    monkeypatch.delenv("GROUNDED_RAM_OFFLINE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
