"""What the trainings of the claims start from: the tiny preset's encoder, which stays as it is.

The papers start from a Swin that has learnt ImageNet. This one has learnt to tell things, colours,
patterns and actions of the picture book.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from grounded_ram.ram.bert import TextConfig
from grounded_ram.ram.caption import CaptionTokenizer
from grounded_ram.ram.captioner import CaptionNetworks
from grounded_ram.ram.model import RAM, RAMConfig
from grounded_ram.ram.swin import SwinEncoder
from grounded_ram.scenes.catalog import CATEGORIES, PLAIN
from grounded_ram.tagging.ram import read_ram
from grounded_ram.tagging.table import TagTable
from grounded_ram.training.networks import Networks
from grounded_ram.training.swin import load_swin
from grounded_ram.training.trained import write_model
from grounded_ram.weights import fetch, find_checkpoint
from tests.benchmarks.claims.clip import DIM

_HEAD = {
    "num_tags": 1,
    "image_proj_dim": DIM,
    "label_dim": DIM,
    "head_width": 128,
    "head_ffn": 256,
    "dropout": 0.0,
    "drop_path": 0.0,
}
TEXT = {"max_positions": 64, "layers": 2, "heads": 4}
_OTHER_WORDS = ("a", "an", "two", "three", "four", "five", "six", "seven", "eight", "and", ",", ".")
_PLURALS = ("buses", "butterflies", "cacti", "people", "creams")
_PLACES = ("under", "the", "at", "in", "front", "of", "on", "by", "nothing")


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
