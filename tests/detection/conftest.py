from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image as PILImage
from safetensors.torch import load_file

from grounded_ram.detection.config import GroundingDINOConfig
from grounded_ram.detection.network import GroundingDINO, load_weights
from grounded_ram.detection.text import PromptTokenizer


@pytest.fixture(scope="session")
def case(golden: Path) -> Path:
    """The golden case's folder."""
    return golden / "grounding_dino"


@pytest.fixture(scope="session")
def model_settings(case: Path) -> dict[str, Any]:
    """The golden network's sizes, as a checkpoint's config has them under "model"."""
    stored = json.loads((case / "config.json").read_text("utf-8"))
    ours = {"swin": stored["swin"], "bert": stored["bert"]}
    shared_names = GroundingDINOConfig.__dataclass_fields__.keys() & stored["cfg"].keys()
    return ours | {name: stored["cfg"][name] for name in shared_names}


@pytest.fixture(scope="session")
def golden_weights(case: Path) -> dict[str, torch.Tensor]:
    stored = load_file(case / "state_dict.safetensors")
    return {k: v.float() if v.is_floating_point() else v for k, v in stored.items()}


@pytest.fixture(scope="session")
def network(
    model_settings: dict[str, Any], golden_weights: dict[str, torch.Tensor]
) -> GroundingDINO:
    """The golden network; tests leave it as it is."""
    built = GroundingDINO(GroundingDINOConfig.from_dict(model_settings))
    load_weights(built, golden_weights)
    return built.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def tokenizer(case: Path) -> PromptTokenizer:
    return PromptTokenizer(case / "vocab.txt")


@pytest.fixture(scope="session")
def captions(case: Path) -> list[str]:
    """The two prompts of the golden case."""
    return list(json.loads((case / "outputs.json").read_text("utf-8"))["captions"])


@pytest.fixture(scope="session")
def pictures(golden: Path) -> list[NDArray[np.uint8]]:
    """Three pictures; the first two become of one size."""
    with PILImage.open(golden / "preprocess" / "rgb.png") as opened:
        first = np.array(opened.convert("RGB"))
    return [first, np.ascontiguousarray(first[:, ::-1]), np.ascontiguousarray(first[:40, :40])]
