"""The packaged configs of official checkpoints against the official classes' keys and shapes."""

import json
from pathlib import Path
from typing import Any

import torch

from grounded_ram.detection.config import DetectorConfig
from grounded_ram.detection.network import GroundingDINO
from grounded_ram.downloads import ASSETS
from grounded_ram.ram.bert import TextConfig
from grounded_ram.ram.captioner import CaptionNetworks, tied_keys
from grounded_ram.ram.model import RAM, RAMConfig
from grounded_ram.ram.plus import RAMPlus, RAMPlusConfig
from grounded_ram.ram.tag2text import Tag2Text, Tag2TextConfig

NO_WEIGHTS = ("position_ids", "relative_position_index", "attn_mask")
CAPTIONS_ONLY = ("tag_encoder.", "text_decoder.")


def config(name: str) -> Any:
    return json.loads((ASSETS / "configs" / f"{name}.json").read_text("utf-8"))


def manifest(shared: Path, name: str) -> Any:
    return json.loads((shared / "golden" / f"manifest_{name}.json").read_text("utf-8"))


def official_shapes(
    shared: Path, name: str, but: tuple[str, ...] = CAPTIONS_ONLY
) -> dict[str, tuple[int, ...]]:
    return {
        key: tuple(row["shape"])
        for key, row in manifest(shared, name)["keys"].items()
        if not key.endswith(NO_WEIGHTS) and not key.startswith(but)
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


def test_ram_swin_l_with_its_text_networks_is_the_official_network(shared: Path) -> None:
    settings = config("ram_swin_l")
    with torch.device("meta"):
        network = RAM(RAMConfig.from_dict(settings["model"]))
        text = CaptionNetworks(TextConfig(), network.config.head_sizes(), network.tagging_head)
    assert shapes(network) | shapes(text) == official_shapes(shared, "ram", but=())
    check_ties(network, text, manifest(shared, "ram"))


def test_tag2text_swin_b_is_the_official_network(shared: Path) -> None:
    settings = config("tag2text_swin_b")
    with torch.device("meta"):
        network = Tag2Text(Tag2TextConfig.from_dict(settings["model"]))
        sizes = TextConfig(**settings["text"])
        text = CaptionNetworks(sizes, network.config.head_sizes(), network.tagging_head)
    assert shapes(network) | shapes(text) == official_shapes(shared, "tag2text", but=())
    check_ties(network, text, manifest(shared, "tag2text"))
    # The defaults are the official sizes.
    assert network.config == Tag2TextConfig()
    assert sizes == TextConfig()


def check_ties(network: RAM | Tag2Text, text: CaptionNetworks, facts: Any) -> None:
    """One tensor has two names exactly where it has them officially, and counts once."""
    tied = {frozenset(pair) for pair in tied_keys(network.tagging_head)}
    assert tied == {frozenset(pair) for pair in facts["tied"]}
    parameters = {id(p): p.numel() for m in (network, text) for p in m.parameters()}
    assert sum(parameters.values()) == facts["n_parameters_unique"]


def test_ram_plus_swin_l_is_the_official_network(shared: Path) -> None:
    settings = config("ram_plus_swin_l")
    with torch.device("meta"):
        network = RAMPlus(RAMPlusConfig.from_dict(settings["model"]))
    assert shapes(network) == official_shapes(shared, "ram_plus")
    assert settings["image_size"] == 384


def test_grounding_dino_swin_b_is_the_official_network(shared: Path) -> None:
    network = GroundingDINO(DetectorConfig.from_dict(config("grounding_dino_swin_b")).model)
    assert shapes(network) == official_shapes(shared, "grounding_dino_swinb")


def test_grounding_dino_swin_t_has_the_official_sizes() -> None:
    found = DetectorConfig.from_dict(config("grounding_dino_swin_t"))
    assert found == DetectorConfig()  # the defaults are the official Swin-T
    assert (found.short_side, found.long_side) == (800, 1333)
