"""The real classes of ``transformers``, small, in files laid out as published ones are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from grounded_ram.detection.transformers import CLASSES, refuse_faulty
from grounded_ram.errors import MissingDependencyError
from grounded_ram.weights import Checkpoint, WeightFile
from tests.detection.published_layout import published_layout
from tests.segmentation.small_networks import shake

SIDES = {"shortest_edge": 64, "longest_edge": 110}

DINO: dict[str, Any] = {
    "backbone_config": {
        "model_type": "swin",
        "embed_dim": 12,
        "depths": [2, 2, 2, 2],
        "num_heads": [2, 2, 4, 4],
        "window_size": 4,
        "out_indices": [2, 3, 4],
    },
    "text_config": {
        "model_type": "bert",
        "vocab_size": 1225,
        "hidden_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 96,
        "max_position_embeddings": 64,
    },
    "num_queries": 20,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "encoder_n_points": 2,
    "decoder_n_points": 2,
}
"""The sizes of the golden Grounding-DINO network."""

OWL: dict[str, Any] = {
    "text_config": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    },
    "vision_config": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 48,
        "patch_size": 8,
    },
    "projection_dim": 32,
}


def need(kind: str) -> Any:
    """Return the class of a model_type, or skip the test."""
    name, since = CLASSES[kind]
    if not hasattr(transformers, name):
        pytest.skip(f"transformers {transformers.__version__}: {name} came with {since}")
    if kind != "owlv2":
        try:
            refuse_faulty(transformers.__version__, kind)
        except MissingDependencyError as error:
            pytest.skip(str(error))
    return getattr(transformers, name)


def build(kind: str, sizes: Mapping[str, Any]) -> Any:
    network_class = need(kind)
    config = network_class.config_class.from_dict(json.loads(json.dumps(sizes)))
    return shake(network_class(config), seed=7)  # with which each finds several tags


def checkpoint(kind: str, folder: Path, vocab: Path) -> Checkpoint:
    """Return the row of the files in a folder."""
    names = {"config": "config.json", "weights": "model.safetensors"}
    files = {role: folder / name for role, name in names.items()}
    if kind != "owlv2":
        files |= {"vocab": vocab, "preprocessor": folder / "preprocessor_config.json"}
        files["preprocessor"].write_text(json.dumps({"size": SIDES}), encoding="utf-8")
    return Checkpoint(
        name=f"transformers:{kind}",
        summary="a test",
        licence="none",
        files={r: WeightFile(name=p.name, source=f"file:{p}") for r, p in files.items()},
    )


def write_grounding_dino(folder: Path, official: Mapping[str, torch.Tensor]) -> None:
    """Write official weights; the box head, which all layers share, is published once."""
    config = DINO | {"model_type": "grounding-dino"}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    weights = published_layout(official)
    copies = ("model.decoder.bbox_embed.", "bbox_embed.1.")
    once = {name: t for name, t in weights.items() if not name.startswith(copies)}
    save_file(once, folder / "model.safetensors")


def write_mm_grounding_dino(folder: Path) -> Any:
    """Write a network each of whose decoder layers has its own heads, and return it.

    Each head has two names; version 4.55, with which these models were published, kept the
    decoder's for all layers but the first.
    """
    own = {"decoder_bbox_embed_share": False, "decoder_cls_embed_share": False}
    network = build("mm-grounding-dino", DINO | own)
    network.save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    save_file(
        {published_head(name): t for name, t in weights.items()}, folder / "model.safetensors"
    )
    return network


def published_head(name: str) -> str:
    short = name.removeprefix("model.decoder.")
    if not short.startswith(("bbox_embed.", "class_embed.")):
        return name
    return short if short.split(".")[1] == "0" else f"model.decoder.{short}"


def write_owlv2(folder: Path) -> Any:
    """Write a network, and return it."""
    network = build("owlv2", OWL)
    network.save_pretrained(folder)
    return network
