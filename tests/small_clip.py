"""A CLIP model of open_clip's own classes, too small to know anything: random weights in a file."""

import json
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file

SIZES = {
    "vision_cfg": {"image_size": 32, "patch_size": 16, "width": 16, "layers": 1, "head_width": 8},
    "text_cfg": {"width": 16, "heads": 2, "layers": 2},
}


def save_small_clip(folder: Path, *, dim: int = 512, seed: int = 0) -> tuple[str, Path]:
    """Write random weights, and return the name by which open_clip knows the model, and the file.

    Every parameter is drawn anew with a wide spread, so that mistakes show.
    """
    name = f"small-clip-{dim}"
    config = folder / f"{name}.json"
    config.write_text(json.dumps({"embed_dim": dim, **SIZES}), encoding="utf-8")
    open_clip.add_model_config(config)
    generator = torch.Generator().manual_seed(seed)
    state = open_clip.CLIP(**open_clip.get_model_config(name)).state_dict()
    weights = folder / f"{name}-{seed}.safetensors"
    drawn = {key: torch.randn(value.shape, generator=generator) for key, value in state.items()}
    save_file({key: value * 0.3 for key, value in drawn.items()}, weights)
    return name, weights
