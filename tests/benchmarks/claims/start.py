"""What the trainings of the claims start from: image encoders that have seen scenes before.

The papers start from a Swin that has learnt ImageNet. Claims 1, 2, 4 and 5 start from the tiny
preset's, which stays as it is. Claim 3 starts from one of its own, which has learnt on close-ups
and scenes without the held-out categories which thing, colour, pattern and action each cell shows,
and goes on learning.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from grounded_ram.ram.bert import TextConfig
from grounded_ram.ram.caption import CaptionTokenizer
from grounded_ram.ram.captioner import CaptionNetworks
from grounded_ram.ram.model import RAM, RAMConfig
from grounded_ram.ram.swin import SwinEncoder
from grounded_ram.scenes.catalog import CATEGORIES, PLAIN
from grounded_ram.tagging.ram import read_ram
from grounded_ram.tagging.table import TagTable
from grounded_ram.training.batches import draw_batch
from grounded_ram.training.dense import DenseHeads
from grounded_ram.training.loop import Schedule, train
from grounded_ram.training.mosaics import draw_mosaics
from grounded_ram.training.networks import Networks
from grounded_ram.training.pool import Pool
from grounded_ram.training.swin import load_swin, look_around
from grounded_ram.training.trained import write_model
from grounded_ram.weights import fetch, find_checkpoint
from tests.benchmarks.claims.clip import DIM

HELD_OUT = ("banana", "bus", "castle", "cat", "cup", "fish", "guitar", "mushroom")
"""Categories that nothing but CLIP ever sees a name of."""

_HEAD = {
    "num_tags": 1,
    "image_proj_dim": DIM,
    "label_dim": DIM,
    "head_width": 128,
    "head_ffn": 256,
    "dropout": 0.0,
    "drop_path": 0.0,
}
CONFIG = RAMConfig(
    image_size=128,
    patch_size=4,
    window=4,
    embed_dim=32,
    depths=(1, 2, 2),
    heads=(2, 4, 8),
    **_HEAD,
)
"""Claim 3's network."""
TEXT = {"max_positions": 64, "layers": 2, "heads": 4}
_OTHER_WORDS = ("a", "an", "two", "three", "four", "five", "six", "seven", "eight", "and", ",", ".")
_PLURALS = ("buses", "butterflies", "cacti", "people", "creams")
_PLACES = ("under", "the", "at", "in", "front", "of", "on", "by", "nothing")


def trained_encoder(folder: Path, pool: Pool, *, steps: int) -> SwinEncoder:
    """Train the encoder, or read what was trained before."""
    held = [CATEGORIES.index(name) for name in HELD_OUT]
    rows = np.flatnonzero(~np.isin(pool.looks[:, :, 0], held).any(1))
    columns = (pool.images, pool.owners, pool.boxes, pool.looks, pool.tags)
    without = Pool(*(np.asarray(column)[rows] for column in columns))
    torch.manual_seed(0)
    encoder = SwinEncoder(CONFIG)
    look_around(encoder)
    dense = DenseHeads([CONFIG.stage_dim(i) for i in range(len(CONFIG.depths))])
    schedule = Schedule(steps=steps, learning_rate=5e-3, batch=16, warmup=60, weight_decay=0.05)

    def step_loss(rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        draw = draw_mosaics if rng.random() < 0.6 else draw_batch
        batch = draw(without, rng, schedule.batch, CONFIG.image_size)
        cells: Tensor = dense(encoder(batch.normalised()).maps, batch)
        return cells, {"cells": cells.item()}

    modules = nn.ModuleDict({"encoder": encoder, "dense": dense})
    train(modules, step_loss, schedule, state_path=folder / "encoder.state", seed=0)
    return encoder


def tiny_encoder() -> tuple[SwinEncoder, RAMConfig]:
    """Return the tiny preset's encoder, and a network around one of its sizes."""
    network, _ = read_ram(fetch(find_checkpoint("ram:tiny")), "ram:tiny")
    return network.visual_encoder, replace(network.config, **_HEAD)


def write_start(model: Path, encoder: SwinEncoder, config: RAMConfig, seed: int) -> Path:
    """Write the files of an untrained RAM around an encoder, and return their folder."""
    if model.exists():
        return model
    torch.manual_seed(seed)
    network = RAM(config)
    load_swin(network.visual_encoder, encoder.state_dict())
    model.mkdir(parents=True)
    vocab = model / "words.txt"
    vocab.write_text("\n".join(_words()) + "\n", encoding="utf-8")
    tokenizer = CaptionTokenizer(vocab)
    sizes = TextConfig(vocab_size=len(tokenizer), **TEXT)
    text = CaptionNetworks(sizes, config.head_sizes(), network.tagging_head)
    networks = Networks(
        adapter="ram-captions",
        network=network,
        tags=("nothing",),
        text=text,
        tokenizer=tokenizer,
        vocab=vocab,
    )
    table = TagTable(("nothing",), ("object",), np.array([0.68], np.float32))
    write_model(networks, table, model)
    return model


def _words() -> list[str]:
    """Return the word list of the captions."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "|", "picture", "of"]
    names = sorted({word for name in PLAIN for word in name.split()})
    plurals = [f"{name}s" for name in CATEGORIES if " " not in name]
    return list(dict.fromkeys([*special, *_OTHER_WORDS, *_PLACES, *_PLURALS, *names, *plurals]))
