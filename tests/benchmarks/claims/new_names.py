"""Claim 3: label queries by a text encoder recognise names that were never trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from grounded_ram.data_engine.examples import Example
from grounded_ram.evaluation.tagging import mean_average_precision
from grounded_ram.ram.model import RAM
from grounded_ram.training.networks import make_networks
from grounded_ram.training.objectives import Objective, Parts
from tests.benchmarks.claims.book import NAMES
from tests.benchmarks.claims.clip import BookCLIP
from tests.benchmarks.claims.study import Row, Study, tags_of_captions

HELD_OUT = ("banana", "bus", "castle", "cat", "cup", "fish", "guitar", "mushroom")
"""Names that no tagger is trained with; CLIP has seen them, and so has the frozen encoder, as
ImageNet's has seen most things."""

TRAINED = tuple(name for name in NAMES if name not in HELD_OUT)

WEIGHTS = {"without distillation": 0.0, "with distillation": 1.0, "with 30 times as much": 30.0}
"""Factors on the loss of distillation."""


def of_new_names(study: Study) -> Row:
    """Return mAP of the held-out names: by taggers, and by CLIP, which they learn from."""
    examples = [
        replace(one, tags=tuple(tag for tag in one.tags if tag in TRAINED))
        for one in tags_of_captions(study.pages)
    ]
    seen = {name: np.array([name in page.truth for page in study.test]) for name in NAMES}
    known, new = (np.stack([seen[n] for n in some], 1) for some in (TRAINED, HELD_OUT))
    row = {"chance": float(new.mean())}
    for title, weight in WEIGHTS.items():
        scores, clip_scores = _scores(study, examples, title, weight)
        row[title] = mean_average_precision(scores[:, len(TRAINED) :], new)
        row[f"{title}, names that were trained"] = mean_average_precision(
            scores[:, : len(TRAINED)], known
        )
    row["the teacher alone"] = mean_average_precision(clip_scores, new)
    return row


def _scores(
    study: Study, examples: Sequence[Example], title: str, weight: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return (N, trained and held out) of a tagger, and (N, held out) of its teacher."""
    clip = study.clip()
    plan = study.plan(start=replace(study.plan().start, labels=clip))
    torch.manual_seed(plan.seed)
    networks = make_networks(plan.start, TRAINED)
    network = networks.network
    assert isinstance(network, RAM)
    network.label_embed.requires_grad_(False)  # as in the official training
    parts = Parts(teacher=clip if weight else None)
    study.learn(title, networks, Objective(network, parts, distil_weight=weight), examples)
    tokens, _ = study.kept(networks).of([page.image for page in study.test], lambda *bad: None)
    return _by_both(network.eval(), clip, tokens)


@torch.inference_mode()
def _by_both(
    network: RAM, clip: BookCLIP, tokens: NDArray[np.float16]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    words = {name: clip.word(name) for name in (*TRAINED, *HELD_OUT)}
    queries = network.label_queries(torch.stack([*words.values()]))
    directions = torch.stack([words[name] for name in HELD_OUT])
    scores: list[Tensor] = []
    teacher: list[Tensor] = []
    for start in range(0, len(tokens), 50):
        seen = torch.from_numpy(tokens[start : start + 50].astype(np.float32))
        scores.append(network.decode(network.image_tokens(seen), queries))
        teacher.append(nn.functional.normalize(clip.images(seen), dim=-1) @ directions.T)
    return torch.cat(scores).numpy(), torch.cat(teacher).numpy()
