"""Further words for what the tiny detector knows already: synonyms, and what things are kinds of.

Only the words are learnt, a token each, while the network stays as it is: what it says of other
words does not change.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from grounded_ram.detection.network import GroundingDINO
from grounded_ram.detection.text import PromptTokenizer
from grounded_ram.scenes.catalog import FURTHER
from grounded_ram.training.batches import draw_batch
from grounded_ram.training.loop import Schedule, train
from grounded_ram.training.mosaics import draw_mosaics
from grounded_ram.training.pool import Pool
from grounded_ram.training.tiny_detector import IMAGE_SIZE, ask, grounding_losses

TOKENS = Schedule(steps=800, learning_rate=1e-2, batch=6, warmup=20, weight_decay=0.0)

_CLOSE_UPS_SHARE = 0.4  # of the batches
_ASKED = 0.5  # how probably each word is in a prompt


class _Rows(nn.Module):
    """The rows of a table that are learnt."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.embed = nn.Parameter(start.clone())


class _Widened(nn.Module):
    """A table of tokens whose last rows are learnt."""

    def __init__(self, fixed: Tensor, rows: _Rows) -> None:
        super().__init__()
        self.register_buffer("fixed", fixed.detach(), persistent=False)
        self._rows = [rows]  # in a list: its parameters are another module's

    def forward(self, ids: Tensor) -> Tensor:
        table = torch.cat([self.get_buffer("fixed"), self._rows[0].embed])
        return functional.embedding(ids, table)


def teach_tokens(
    model: GroundingDINO,
    pool: Pool,
    state_path: Path,
    tokenizer: PromptTokenizer,
    *,
    seed: int,
    device: torch.device,
    schedule: Schedule = TOKENS,
) -> GroundingDINO:
    """Learn the tokens of the further words in place and return the detector.

    Args:
        model: knows the plain names; the further words are its last tokens.
        pool: scenes to learn from.
        state_path: where the run is kept and resumed from.
        tokenizer: over the tiny word list.
        seed: of the batches.
        device: where it learns.
        schedule: how long and how fast.
    """
    model.to(device).eval().requires_grad_(False)
    embeddings: Any = model.bert.embeddings
    table: nn.Embedding = embeddings.word_embeddings
    rows = _Rows(torch.stack([_mean(table, tokenizer, names) for names in FURTHER.values()]))
    embeddings.word_embeddings = _Widened(table.weight[: -len(FURTHER)], rows)

    def step_loss(rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        draw = draw_mosaics if rng.random() < _CLOSE_UPS_SHARE else draw_batch
        batch = draw(pool, rng, schedule.batch, IMAGE_SIZE).to(device)
        prompts, truths = ask(batch, tokenizer, rng, further=_ASKED)
        words = tokenizer.batch([prompt.ids for prompt in prompts]).to(device)
        with torch.no_grad():
            features = model.image_features(batch.normalised())
        layers, cells = grounding_losses(model.ground(features, words), truths, words.real)
        facts = {"answer": layers[-1].item(), "cells": cells.item()}
        return torch.stack([*layers, cells]).sum(), facts

    modules = nn.ModuleDict({"words": rows}).to(device)
    train(modules, step_loss, schedule, state_path=state_path, seed=seed)
    embeddings.word_embeddings = table
    with torch.no_grad():
        table.weight[-len(FURTHER) :] = rows.embed
    return model


def _mean(table: nn.Embedding, tokenizer: PromptTokenizer, names: Sequence[str]) -> Tensor:
    """Return the mean of the tokens of some names."""
    ids = [token for name in names for token in tokenizer.encode(name)]
    return table.weight[ids].mean(0)
