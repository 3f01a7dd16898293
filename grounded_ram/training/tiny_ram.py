"""The tiny preset's RAM: tags from pixels, on picture-book scenes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from grounded_ram.ram.model import RAM, RAMConfig
from grounded_ram.ram.swin import SwinEncoder
from grounded_ram.scenes.catalog import FURTHER, PLAIN
from grounded_ram.training.batches import draw_batch
from grounded_ram.training.dense import DenseHeads
from grounded_ram.training.loop import Schedule, train
from grounded_ram.training.losses import asymmetric_loss
from grounded_ram.training.mosaics import draw_mosaics
from grounded_ram.training.pool import Pool
from grounded_ram.training.swin import load_swin, look_around

TAGS = (
    *((name, name) for name in PLAIN),
    *((word, category) for word, categories in FURTHER.items() for category in categories),
)
"""One row a label code: the tag, and the plain name of what the code stands for. A word for several
things has the code of each, and the score of the best one counts."""

CONFIG = RAMConfig(
    image_size=256,
    patch_size=4,
    window=8,
    embed_dim=32,
    depths=(2, 2, 4, 2),
    heads=(4, 8, 8, 16),
    num_tags=len(TAGS),
    image_proj_dim=256,
    label_dim=256,
    head_width=256,
    head_ffn=512,
    dropout=0.0,
    drop_path=0.0,
)
CLOSE_UPS = Schedule(steps=12_000, learning_rate=6e-3, batch=8, warmup=100, weight_decay=0.05)
"""The encoder alone, on mosaics."""
SCENES = Schedule(steps=6_000, learning_rate=4e-3, batch=12, warmup=60, weight_decay=0.05)
"""The whole tagger, from that encoder, on mosaics and scenes."""
AGAIN = Schedule(steps=6_000, learning_rate=3e-3, batch=12, warmup=60, weight_decay=0.05)
"""The whole tagger, from the detector's encoder."""

_TAGS_SHARE = 0.3  # weight of the tags' loss beside that of the cells
_CLOSE_UPS_SHARE = 0.5  # of the batches
_ALL = list(range(len(PLAIN)))
_ALL_BUT_PLACES = [i for i, kind in enumerate(PLAIN.values()) if kind != "scene"]


def train_encoder(
    pool: Pool, state_path: Path, *, seed: int, device: torch.device, schedule: Schedule = CLOSE_UPS
) -> SwinEncoder:
    """Teach an encoder shapes and colours from close-ups, and return it; see ``train_ram``."""
    torch.manual_seed(seed)
    encoder, dense = SwinEncoder(CONFIG), _dense_heads()
    look_around(encoder)
    modules = nn.ModuleDict({"encoder": encoder, "dense": dense}).to(device)

    def step_loss(rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        batch = draw_mosaics(pool, rng, schedule.batch, CONFIG.image_size).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            cells = dense(encoder(batch.normalised()).maps, batch)
        return cells, {"cells": cells.item()}

    train(modules, step_loss, schedule, state_path=state_path, seed=seed)
    return encoder


def new_ram(seed: int, encoder: Mapping[str, Tensor]) -> RAM:
    """Make an untrained tagger around the weights of a Swin of the same size."""
    torch.manual_seed(seed)
    model = RAM(CONFIG)
    places = list(PLAIN)
    with torch.no_grad():
        model.label_embed[:] = model.label_embed[[places.index(thing) for _, thing in TAGS]]
    load_swin(model.visual_encoder, encoder)
    return model


def train_ram(
    model: RAM,
    pool: Pool,
    state_path: Path,
    *,
    seed: int,
    device: torch.device,
    schedule: Schedule = SCENES,
) -> RAM:
    """Train the tagger on plain names in place and return it; its label codes stay as they are.

    Args:
        model: where it starts.
        pool: scenes to learn from.
        state_path: where the run is kept and resumed from.
        seed: of the auxiliary heads and the batches.
        device: where it learns.
        schedule: how long and how fast.
    """
    torch.manual_seed(seed)
    model.label_embed.requires_grad_(False)
    dense = _dense_heads()
    modules = nn.ModuleDict({"model": model, "dense": dense}).to(device)

    def step_loss(rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        close_ups = rng.random() < _CLOSE_UPS_SHARE
        draw = draw_mosaics if close_ups else draw_batch
        batch = draw(pool, rng, schedule.batch, CONFIG.image_size).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            tokens, maps = model.visual_encoder(batch.normalised())
            logits = model.decode(model.image_tokens(tokens), model.label_queries())
            cells = dense(maps, batch)
        told = _ALL_BUT_PLACES if close_ups else _ALL
        tags = asymmetric_loss(logits[:, told], batch.tags[:, told], gamma_neg=4.0) / len(logits)
        return _TAGS_SHARE * tags + cells, {"tags": tags.item(), "cells": cells.item()}

    train(modules, step_loss, schedule, state_path=state_path, seed=seed)
    return model


def _dense_heads() -> DenseHeads:
    return DenseHeads([CONFIG.stage_dim(i) for i in range(len(CONFIG.depths))])
