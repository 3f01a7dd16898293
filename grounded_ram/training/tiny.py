"""From nothing to the tiny preset's files: scenes, three networks, thresholds, checkpoints."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from grounded_ram.detection.text import PromptTokenizer
from grounded_ram.downloads import write_digests
from grounded_ram.ram.model import RAM
from grounded_ram.scenes.catalog import VOCABULARY
from grounded_ram.scenes.scene import make_scene
from grounded_ram.tagging.ram import RAMTagger, TagTable
from grounded_ram.training import tiny_detector, tiny_ram, tiny_sam
from grounded_ram.training.checkpoint_files import model_config, write_checkpoint
from grounded_ram.training.loop import Schedule
from grounded_ram.training.pool import open_pool
from grounded_ram.training.thresholds import best_threshold
from grounded_ram.training.wordpieces import write_wordpieces

logger = logging.getLogger(__name__)

FIRST_SEED = 10_000_000
"""Training scenes start here, far from those that demo, tests and evaluation draw."""
THRESHOLD_SEED = 20_000_000
"""Scenes kept apart for the thresholds start here."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much work goes into the tiny preset."""

    scenes: int = 16_000
    """Scenes in the pool; 470 kB each on disk."""
    scene_size: int = 256
    """Side of a scene in pixels."""
    threshold_scenes: int = 1_000
    """Scenes that the thresholds are fitted to."""
    stretch: float = 1.0
    """Factor on the steps of every schedule."""
    workers: int = os.cpu_count() or 1
    """Processes that draw."""

    def schedule(self, base: Schedule) -> Schedule:
        """Return a schedule of so many times the steps."""
        steps = max(1, round(base.steps * self.stretch))
        return replace(base, steps=steps, warmup=min(base.warmup, steps // 2))


def train_tiny(folder: Path, *, plan: Plan, seed: int, device: torch.device) -> Path:
    """Train the three networks and write the preset's files; go on where an earlier call stopped.

    The tagger learns first, on close-ups and then on scenes; its image encoder is where the
    detector starts from, and the detector's is where the tagger starts from when it learns again:
    boxes teach an encoder what tags cannot.

    Args:
        folder: keeps the scenes, the state of every run, and in ``checkpoints`` the files.
        plan: how much work.
        seed: of weights and batches.
        device: where the networks learn.

    Returns:
        The folder of the files, to be copied over ``grounded_ram/assets/tiny``.
    """
    pool = open_pool(
        folder / "scenes",
        first_seed=FIRST_SEED,
        count=plan.scenes,
        size=plan.scene_size,
        workers=plan.workers,
    )
    files = folder / "checkpoints"
    write_wordpieces(files / "vocab.txt")
    tokenizer = PromptTokenizer(files / "vocab.txt")
    common: dict[str, Any] = {"seed": seed, "device": device}

    logger.info("the encoder, on close-ups")
    encoder = tiny_ram.train_encoder(
        pool, folder / "encoder.pt", schedule=plan.schedule(tiny_ram.CLOSE_UPS), **common
    )
    logger.info("the tagger, first round")
    first = tiny_ram.train_ram(
        pool,
        folder / "ram-first.pt",
        schedule=plan.schedule(tiny_ram.SCENES),
        encoder=encoder.state_dict(),
        **common,
    )
    logger.info("the detector")
    detector = tiny_detector.train_detector(
        pool,
        folder / "detector.pt",
        tokenizer,
        schedule=plan.schedule(tiny_detector.SCHEDULE),
        encoder=first.visual_encoder.state_dict(),
        **common,
    )
    logger.info("the tagger, second round")
    tagger = tiny_ram.train_ram(
        pool,
        folder / "ram.pt",
        schedule=plan.schedule(tiny_ram.AGAIN),
        encoder=detector.backbone[0].state_dict(),
        **common,
    )
    logger.info("the segmenter")
    segmenter = tiny_sam.train_sam(
        pool, folder / "sam.pt", schedule=plan.schedule(tiny_sam.SCHEDULE), **common
    )

    write_checkpoint(files, "ram", tagger, ram_config(tagger, plan))
    write_checkpoint(files, "grounding_dino", detector, detector_config(len(tokenizer)))
    write_checkpoint(files, "sam", segmenter, {"model": model_config(tiny_sam.CONFIG)})
    write_digests(files)
    return files


def detector_config(vocab_size: int) -> dict[str, Any]:
    """Return the config file of the detector."""
    return {
        "model": model_config(tiny_detector.detector_config(vocab_size)),
        "short_side": tiny_detector.IMAGE_SIZE,
        "long_side": tiny_detector.IMAGE_SIZE * 2,
    }


def ram_config(network: RAM, plan: Plan) -> dict[str, Any]:
    """Return the config file of the tagger, with a threshold for each tag."""
    return {
        "model": model_config(network.config),
        "image_size": network.config.image_size,
        "tags": _fitted_tags(network, plan),
    }


def _fitted_tags(network: RAM, plan: Plan) -> list[Mapping[str, Any]]:
    """Return one row a tag: name, kind, threshold."""
    names, kinds = tuple(VOCABULARY), tuple(VOCABULARY.values())
    table = TagTable(names, kinds, np.full(len(names), 0.5, np.float32))
    tagger = RAMTagger(network.cpu(), table)
    scores, truth = [], []
    for seed in range(THRESHOLD_SEED, THRESHOLD_SEED + plan.threshold_scenes):
        scene = make_scene(seed, size=plan.scene_size)
        scores.append(tagger.scores([scene.image])[0])
        true = set(scene.tags.names)
        truth.append([name in true for name in names])
    columns = zip(np.stack(scores).T, np.array(truth).T, strict=True)
    thresholds = [round(best_threshold(s, t), 3) for s, t in columns]
    return [
        {"name": name, "kind": kind, "threshold": threshold}
        for name, kind, threshold in zip(names, kinds, thresholds, strict=True)
    ]
