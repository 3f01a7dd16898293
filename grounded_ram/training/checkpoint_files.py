"""Trained networks -> the files of the tiny preset's checkpoints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, nn

from grounded_ram.disk import put_in_place


def write_checkpoint(
    folder: Path, stem: str, network: nn.Module, config: Mapping[str, Any]
) -> None:
    """Write ``stem.safetensors`` and ``stem.json`` into the folder.

    Weights are rounded to float16, which halves the files. A tensor with several names
    is written under each.

    Args:
        folder: made if absent.
        stem: of both files' names.
        network: its ``state_dict()`` is written.
        config: what the adapter reads; plain JSON values.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: value.half() if value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }
    save_weights(state, folder / f"{stem}.safetensors")
    (folder / f"{stem}.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def save_weights(state: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors, whole or not at all; one with several names is written under each."""
    kept = {name: value.detach().cpu().clone().contiguous() for name, value in state.items()}
    draft = path.with_name(f"{path.name}.part")
    save_file(kept, draft)
    put_in_place(draft, path)


def model_config(config: Any) -> dict[str, Any]:
    """Return a frozen config as the JSON values its ``from_dict`` reads."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return values
