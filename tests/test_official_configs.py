"""The packaged configs of official checkpoints against the official classes' keys and shapes."""

import json
from pathlib import Path
from typing import Any

import torch

from grounded_ram.detection.config import DetectorConfig
from grounded_ram.detection.network import GroundingDINO
from grounded_ram.downloads import ASSETS
from grounded_ram.ram.model import RAM, RAMConfig

NO_WEIGHTS = ("position_ids", "relative_position_index", "attn_mask")
CAPTIONS_ONLY = ("tag_encoder.", "text_decoder.")


def config(name: str) -> Any:
    return json.loads((ASSETS / "configs" / f"{name}.json").read_text("utf-8"))


def official_shapes(shared: Path, name: str) -> dict[str, tuple[int, ...]]:
    manifest = json.loads((shared / "golden" / f"manifest_{name}.json").read_text("utf-8"))
    return {
        key: tuple(row["shape"])
        for key, row in manifest["keys"].items()
        if not key.endswith(NO_WEIGHTS) and not key.startswith(CAPTIONS_ONLY)
    }


def shapes(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    state = network.state_dict().items()
    return {key: tuple(value.shape) for key, value in state if not key.endswith(NO_WEIGHTS)}


def test_ram_swin_l_is_the_official_network(shared: Path) -> None:
    settings = config("ram_swin_l")
    with torch.device("meta"):
        network = RAM(RAMConfig.from_dict(settings["model"]))
    assert shapes(network) == official_shapes(shared, "ram")
    assert settings["image_size"] == 384


def test_grounding_dino_swin_b_is_the_official_network(shared: Path) -> None:
    network = GroundingDINO(DetectorConfig.from_dict(config("grounding_dino_swin_b")).model)
    assert shapes(network) == official_shapes(shared, "grounding_dino_swinb")


def test_grounding_dino_swin_t_has_the_official_sizes() -> None:
    found = DetectorConfig.from_dict(config("grounding_dino_swin_t"))
    assert found == DetectorConfig()  # the defaults are the official Swin-T
    assert (found.short_side, found.long_side) == (800, 1333)
