"""The tiny preset's Grounding-DINO: boxes for the names in a prompt, on picture-book scenes."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from grounded_ram.detection.config import BertConfig, GroundingDINOConfig, SwinConfig
from grounded_ram.detection.network import AllLayers, GroundingDINO
from grounded_ram.detection.text import PromptTokenizer
from grounded_ram.prompts import Prompt, make_prompts
from grounded_ram.scenes.catalog import CATEGORIES, FURTHER, further_names
from grounded_ram.training.batches import Batch, draw_batch
from grounded_ram.training.dense import DenseHeads
from grounded_ram.training.loop import Schedule, train
from grounded_ram.training.matching import Truth, grounding_loss, match, near_cells
from grounded_ram.training.mosaics import draw_mosaics
from grounded_ram.training.pool import Pool
from grounded_ram.training.swin import load_swin
from grounded_ram.training.tiny_ram import CONFIG as ENCODER

IMAGE_SIZE = ENCODER.image_size
SCHEDULE = Schedule(steps=10_000, learning_rate=2e-3, batch=8, warmup=100, weight_decay=0.02)

_SCALES = {"sampling_offsets": 0.1, "bbox_embed": 0.3}
_CLOSE_UPS_SHARE = 0.4  # of the batches
_MOST_ABSENT = 24  # absent names in a training prompt
_NONSENSE = 0.15  # share of absent names that are no word at all
_START_LOGIT = -4.4  # of every token before training: the share of positives is about one in 80


def detector_config(vocab_size: int) -> GroundingDINOConfig:
    """Return the sizes of the tiny detector for a vocabulary."""
    return GroundingDINOConfig(
        swin=SwinConfig(
            patch_size=ENCODER.patch_size,
            embed_dim=ENCODER.embed_dim,
            depths=ENCODER.depths,
            num_heads=ENCODER.heads,
            window_size=ENCODER.window,
            out_indices=(2, 3),
        ),
        bert=BertConfig(
            vocab_size=vocab_size,
            hidden_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=256,
            max_position_embeddings=64,
        ),
        hidden_dim=128,
        nheads=4,
        dim_feedforward=256,
        enc_layers=2,
        dec_layers=2,
        num_queries=40,
        num_feature_levels=2,
        embed_init_tgt=False,
        fusion_droppath=0.0,
    )


def new_detector(
    tokenizer: PromptTokenizer, seed: int, encoder: Mapping[str, Tensor]
) -> GroundingDINO:
    """Make an untrained detector around the weights of the tiny RAM's image encoder."""
    torch.manual_seed(seed)
    model = GroundingDINO(detector_config(len(tokenizer)))
    _start_low(model)
    load_swin(model.backbone[0], encoder)
    return model


def train_detector(
    model: GroundingDINO,
    pool: Pool,
    state_path: Path,
    tokenizer: PromptTokenizer,
    *,
    seed: int,
    device: torch.device,
    schedule: Schedule = SCHEDULE,
) -> GroundingDINO:
    """Train the detector in place and return it.

    It finds things long before it can name them, so an auxiliary loss names each cell's object.

    Args:
        model: where it starts.
        pool: scenes to learn from.
        state_path: where the run is kept and resumed from.
        tokenizer: over the tiny word list.
        seed: of the auxiliary heads and the batches.
        device: where it learns.
        schedule: how long and how fast.
    """
    torch.manual_seed(seed)
    config = model.config
    dense = DenseHeads([config.hidden_dim] * config.num_feature_levels)
    modules = nn.ModuleDict({"model": model, "dense": dense}).to(device)

    def step_loss(rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        draw = draw_mosaics if rng.random() < _CLOSE_UPS_SHARE else draw_batch
        batch = draw(pool, rng, schedule.batch, IMAGE_SIZE).to(device)
        prompts, truths = ask(batch, tokenizer, rng)
        words = tokenizer.batch([prompt.ids for prompt in prompts]).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            features = model.image_features(batch.normalised())
            found = model.ground(features, words)
            named = dense(features.maps(), batch)
        layers, cells = grounding_losses(found, truths, words.real)
        facts = {"answer": layers[-1].item(), "cells": cells.item(), "named": named.item()}
        return torch.stack([*layers, cells, named]).sum(), facts

    train(modules, step_loss, schedule, state_path=state_path, seed=seed, scales=_SCALES)
    return model


def grounding_losses(
    found: AllLayers, truths: list[Truth], real: Tensor
) -> tuple[list[Tensor], Tensor]:
    """Return the loss of each decoder layer, and of all the encoder's cells."""
    layers = []
    for layer in found.layers:
        pairs = [match(layer, row, truth) for row, truth in enumerate(truths)]
        counted = real[:, None, :].expand_as(layer.logits)
        layers.append(grounding_loss(layer, truths, pairs, counted))
    near = [near_cells(found.anchors[row], truth) for row, truth in enumerate(truths)]
    counted = real[:, None, :] & found.usable[:, :, None]
    return layers, grounding_loss(found.proposals, truths, near, counted)


def ask(
    batch: Batch, tokenizer: PromptTokenizer, rng: np.random.Generator, *, further: float = 0.0
) -> tuple[list[Prompt], list[Truth]]:
    """Write a prompt for each image, the true names among absent ones, and mark the true tokens.

    Args:
        batch: B images and what is on them.
        tokenizer: over the tiny word list.
        rng: chooses the absent names.
        further: how probably each further word is asked for, too.
    """
    prompts, names = [], []
    for looks in batch.looks[:, :, 0].tolist():
        asked = _names([CATEGORIES[c] for c in looks if c >= 0], further, rng)
        names.append(asked)
        prompts.append(make_prompts(asked, tokenizer)[0])
    truths = []
    for row, (asked, prompt) in enumerate(zip(names, prompts, strict=True)):
        slots = (batch.looks[row, :, 0] >= 0).nonzero()[:, 0]
        low, high = batch.boxes[row, slots, :2], batch.boxes[row, slots, 2:]
        tokens = low.new_zeros(len(slots), len(prompt.ids))
        for i, slot in enumerate(slots.tolist()):
            name = CATEGORIES[int(batch.looks[row, slot, 0])]
            for place, other in enumerate(asked):
                if other in (name, *further_names(name)):
                    tokens[i, slice(*prompt.spans[place])] = 1
        truths.append(Truth(torch.cat([(low + high) / 2, high - low], 1), tokens))
    return prompts, truths


def _names(true: list[str], further: float, rng: np.random.Generator) -> list[str]:
    """Return the true names, each once, among absent ones and further words, in random order."""
    others = sorted(set(CATEGORIES) - set(true))
    absent = rng.permutation(others)[: int(rng.integers(1, _MOST_ABSENT + 1))].tolist()
    nonsense = {_nonsense(rng) for _ in absent if rng.random() < _NONSENSE}
    words = {word for word in FURTHER if further and rng.random() < further}
    asked = sorted({*true, *absent, *nonsense, *words})
    order: list[int] = rng.permutation(len(asked)).tolist()
    return [asked[i] for i in order]


def _nonsense(rng: np.random.Generator) -> str:
    """Make up a word, so that words the model was never taught find nothing."""
    letters = rng.choice(list(string.ascii_lowercase), int(rng.integers(3, 9)))
    return "".join(letters)


def _start_low(model: GroundingDINO) -> None:
    """Let every token start as improbable as positives are rare; the comparison has no bias for it.

    A logit is the product of two LayerNorm outputs, so biases of opposite sign set its mean, and
    small weights keep its spread small.
    """
    shift = math.sqrt(-_START_LOGIT / model.config.hidden_dim)
    transformer = model.transformer
    text_layers = len(transformer.encoder.text_layers)
    norms = {
        "enc_output_norm": shift,
        "decoder.norm": shift,
        f"encoder.text_layers.{text_layers - 1}.norm2": -shift,
    }
    with torch.no_grad():
        for name, bias in norms.items():
            nn.init.constant_(transformer.get_parameter(f"{name}.weight"), 0.25)
            nn.init.constant_(transformer.get_parameter(f"{name}.bias"), bias)
        for name, parameter in transformer.named_parameters():
            if name.endswith(("gamma_v", "gamma_l")):
                parameter.fill_(0.1)
