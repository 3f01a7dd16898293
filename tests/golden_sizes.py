"""The sizes of a golden case of the RAM family, under the names that our configs have."""

from __future__ import annotations

from typing import Any


def tagging_sizes(case: dict[str, Any]) -> dict[str, Any]:
    """Return what a golden ``config.json`` says of the image encoder and the tagging head."""
    swin, head = case["swin"], case["q2l_config"]
    return {
        "image_size": case["image_size"],
        "patch_size": case["patch_size"],
        "window": swin["window_size"],
        "embed_dim": swin["embed_dim"],
        "depths": swin["depths"],
        "heads": swin["num_heads"],
        "num_tags": len(case["tag_list"]),
        "head_width": head["hidden_size"],
        "head_layers": head["num_hidden_layers"],
        "head_heads": head["num_attention_heads"],
        "head_ffn": head["intermediate_size"],
    }
