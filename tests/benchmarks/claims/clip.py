"""A CLIP of open_clip's own classes that knows the words of the picture book, held-out ones, too.

It stands for the CLIP of the web. A close-up or a scene is drawn to the words that are true of it
and away from all others of their kind, by cross-entropy; no boxes are told.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from safetensors.torch import save_file
from torch import Tensor, nn

from grounded_ram.ram.label_queries import CLIPLabels, prompts
from grounded_ram.scenes.catalog import (
    ACTIONS,
    CATEGORIES,
    COLORS,
    PATTERNS,
    PLAIN,
    VOCABULARY,
    further_names,
)
from grounded_ram.training.loop import Schedule, train
from grounded_ram.training.pool import NONE, Pool

NAME, DIM, SIDE = "picture-book-clip", 64, 64
SIZES = {
    "embed_dim": DIM,
    "vision_cfg": {"image_size": SIDE, "layers": [1, 1, 1, 1], "width": 24, "head_width": 24},
    "text_cfg": {"context_length": 56, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
}
KINDS = tuple(VOCABULARY.values())
_CLOSE_UPS = 0.6  # of a batch


def trained_clip(folder: Path, pool: Pool, *, steps: int, seed: int) -> CLIPLabels:
    """Train it, or read what was trained before, and return its text encoder."""
    config = folder / f"{NAME}.json"
    config.write_text(json.dumps(SIZES), encoding="utf-8")
    open_clip.add_model_config(config)
    weights = folder / f"{NAME}-{seed}.safetensors"
    if not weights.exists():
        torch.manual_seed(seed)
        network = open_clip.CLIP(**SIZES)
        _train(network, pool, folder / f"{NAME}-{seed}.state", steps, seed)
        state = {key: value.clone().contiguous() for key, value in network.state_dict().items()}
        save_file(state, weights)
    return CLIPLabels(NAME, weights)


def _train(network: nn.Module, pool: Pool, state: Path, steps: int, seed: int) -> None:
    tokenizer = open_clip.get_tokenizer(NAME)
    schedule = Schedule(
        steps=steps, learning_rate=2e-3, batch=64, warmup=100, weight_decay=0.05, muon=False
    )
    objects = np.argwhere(np.asarray(pool.looks[:, :, 0]) != NONE)

    def step_loss(rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        near = round(schedule.batch * _CLOSE_UPS)
        rows = objects[rng.choice(len(objects), near, replace=False)]
        shown = [_close_up(pool, scene, slot, rng) for scene, slot in rows.tolist()]
        scenes = rng.choice(len(pool), schedule.batch - near, replace=False)
        shown += [_whole(pool, int(scene), rng) for scene in scenes]
        texts = tokenizer([str(rng.choice(prompts(word))) for word in VOCABULARY])
        images = normalised(np.stack([image for image, _ in shown]))
        seen, words, scale = network(images, texts)
        logits = scale.clamp(max=100) * seen @ words.T
        true = torch.tensor([[word in names for word in VOCABULARY] for _, names in shown])
        loss = torch.stack([_of_kind(logits, true, kind) for kind in set(KINDS)]).sum()
        return loss, {"words": loss.item()}

    train(network, step_loss, schedule, state_path=state, seed=seed)


def normalised(pixels: NDArray[np.uint8]) -> Tensor:
    """Return (B, 3, SIDE, SIDE) as CLIP sees them."""
    mean = torch.tensor(OPENAI_DATASET_MEAN).view(3, 1, 1)
    std = torch.tensor(OPENAI_DATASET_STD).view(3, 1, 1)
    return (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - mean) / std


def _of_kind(logits: Tensor, true: Tensor, kind: str) -> Tensor:
    """Return the cross-entropy of the true words of a kind, of those pictures that have any."""
    columns = [i for i, other in enumerate(KINDS) if other == kind]
    shares = true[:, columns].float()
    counts = shares.sum(1, keepdim=True)
    each = -(shares / counts.clamp(min=1) * logits[:, columns].log_softmax(1)).sum(1)
    return each.sum() / (counts > 0).sum().clamp(min=1)


def _close_up(
    pool: Pool, scene: int, slot: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], set[str]]:
    """Return the picture of one object, and the words that are true of it."""
    x0, y0, x1, y1 = pool.boxes[scene, slot]
    side = max(x1 - x0, y1 - y0) * rng.uniform(1.05, 1.4)
    left, top = (x0 + x1 - side) / 2, (y0 + y1 - side) / 2
    matrix = np.array([[SIDE / side, 0, -left * SIDE / side], [0, SIDE / side, -top * SIDE / side]])
    image = cv2.warpAffine(
        np.asarray(pool.images[scene]), matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT_101
    )
    return _mirrored(np.asarray(image, np.uint8), rng), _words(pool, scene, slot)


def _words(pool: Pool, scene: int, slot: int) -> set[str]:
    category, color, pattern, action = pool.looks[scene, slot].tolist()
    words = {CATEGORIES[category], *further_names(CATEGORIES[category]), sorted(COLORS)[color]}
    words |= {PATTERNS[pattern - 1]} if pattern else set()
    return words | ({ACTIONS[action]} if action != NONE else set())


def _whole(pool: Pool, scene: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], set[str]]:
    """Return a scene, and the words that are true of it."""
    image = cv2.resize(np.asarray(pool.images[scene]), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    words = {name for name, true in zip(PLAIN, pool.tags[scene], strict=True) if true}
    words |= {further for name in words for further in further_names(name)}
    return _mirrored(np.asarray(image, np.uint8), rng), words


def _mirrored(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    return image[:, ::-1] if rng.random() < 0.5 else image
