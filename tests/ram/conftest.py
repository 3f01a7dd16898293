from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from grounded_ram.ram.model import RAM, RAMConfig, tagging_weights
from tests.golden_sizes import tagging_sizes


@pytest.fixture(scope="session")
def tiny_config() -> RAMConfig:
    """Three stages, unlike any official model."""
    return RAMConfig(
        image_size=96,
        patch_size=8,
        window=6,
        embed_dim=8,
        depths=(2, 4, 2),
        heads=(1, 2, 4),
        num_tags=5,
        image_proj_dim=24,
        label_dim=20,
        head_width=16,
        head_heads=2,
        head_ffn=32,
    )


@pytest.fixture
def golden_state(golden: Path) -> dict[str, torch.Tensor]:
    state = load_file(golden / "ram_tagging" / "state_dict.safetensors")
    return {key: value.float() for key, value in state.items()}


@pytest.fixture
def golden_network(golden: Path, golden_state: dict[str, torch.Tensor]) -> RAM:
    case = json.loads((golden / "ram_tagging" / "config.json").read_text(encoding="utf-8"))
    sizes = tagging_sizes(case) | {
        "image_proj_dim": case["encoder_width_of_tag_encoder_and_tagging_head"],
        "label_dim": case["label_embed_dim"],
    }
    config = RAMConfig.from_dict(sizes)
    network = RAM(config).eval()
    network.load_state_dict(tagging_weights(golden_state))
    return network


@pytest.fixture
def golden_inputs(golden: Path) -> dict[str, torch.Tensor]:
    stored = np.load(golden / "ram_tagging" / "inputs.npz")
    return {name: torch.from_numpy(stored[name]).float() for name in stored.files}


@pytest.fixture
def golden_outputs(golden: Path) -> dict[str, NDArray[np.float32]]:
    return dict(np.load(golden / "ram_tagging" / "outputs.npz"))
