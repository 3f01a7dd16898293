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
from segment_anything.modeling import Sam

from grounded_ram.detection.network import GroundingDINO, load_weights
from grounded_ram.detection.text import PromptTokenizer
from grounded_ram.downloads import write_digests
from grounded_ram.ram.model import RAM
from grounded_ram.scenes.catalog import VOCABULARY
from grounded_ram.scenes.scene import make_scene
from grounded_ram.tagging.ram import RAMTagger
from grounded_ram.tagging.table import TagTable
from grounded_ram.training import tiny_detector, tiny_ram, tiny_sam, tiny_words
from grounded_ram.training.checkpoint_files import model_config, write_checkpoint
from grounded_ram.training.loop import Schedule
from grounded_ram.training.pool import Pool, open_pool
from grounded_ram.training.swin import load_swin
from grounded_ram.training.thresholds import best_threshold
from grounded_ram.training.wordpieces import write_wordpieces
from grounded_ram.weights import load_state_dict

logger = logging.getLogger(__name__)

FIRST_SEED = 10_000_000
"""Training scenes start here, far from those that demo, tests and evaluation draw."""
THRESHOLD_SEED = 20_000_000
"""Scenes kept apart for the thresholds start here."""

_BETA = 1.5  # of an object's threshold: the detector looks for it next, and may find none


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much work goes into the tiny preset."""

    scenes: int = 32_000
    """Scenes in the pool, 470 kB each on disk; of half as many the networks learn some by heart."""
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


def train_tiny(
    folder: Path, *, plan: Plan, seed: int, device: torch.device, start: Path | None = None
) -> Path:
    """Train the three networks and write the preset's files; go on where an earlier call stopped.

    From nothing, the tagger learns first, on close-ups and then on scenes; its image encoder is
    where the detector starts from, and the detector's is where the tagger starts from when it
    learns again: boxes teach an encoder what tags cannot. Synonyms and what things are kinds of
    come last.

    Args:
        folder: keeps the scenes, the state of every run, and in ``checkpoints`` the files.
        plan: how much work.
        seed: of weights and batches.
        device: where the networks learn.
        start: a folder of such files to go on from, all three networks; None starts from nothing.

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
    how: dict[str, Any] = {"seed": seed, "device": device}
    models = _learned(start, tokenizer) if start else _begun(pool, folder, plan, tokenizer, how)

    logger.info("the detector")
    schedule = plan.schedule(tiny_detector.SCHEDULE)
    state = folder / "detector.pt"
    tiny_detector.train_detector(models.detector, pool, state, tokenizer, schedule=schedule, **how)
    logger.info("the tagger")
    if start is None:
        load_swin(models.tagger.visual_encoder, models.detector.backbone[0].state_dict())
    schedule = plan.schedule(tiny_ram.AGAIN)
    tiny_ram.train_ram(models.tagger, pool, folder / "ram.pt", schedule=schedule, **how)
    logger.info("the segmenter")
    schedule = plan.schedule(tiny_sam.SCHEDULE)
    tiny_sam.train_sam(models.segmenter, pool, folder / "sam.pt", schedule=schedule, **how)
    logger.info("further words")
    schedule = plan.schedule(tiny_words.TOKENS)
    state = folder / "tokens.pt"
    tiny_words.teach_tokens(models.detector, pool, state, tokenizer, schedule=schedule, **how)

    write_checkpoint(files, "ram", models.tagger, ram_config(models.tagger, plan))
    write_checkpoint(files, "grounding_dino", models.detector, detector_config(len(tokenizer)))
    write_checkpoint(files, "sam", models.segmenter, {"model": model_config(tiny_sam.CONFIG)})
    write_digests(files)
    return files


@dataclass(frozen=True)
class _Models:
    tagger: RAM
    detector: GroundingDINO
    segmenter: Sam


def _begun(
    pool: Pool, folder: Path, plan: Plan, tokenizer: PromptTokenizer, how: Mapping[str, Any]
) -> _Models:
    """Train a first tagger from nothing, and make a detector around what it sees with."""
    logger.info("the encoder, on close-ups")
    schedule = plan.schedule(tiny_ram.CLOSE_UPS)
    encoder = tiny_ram.train_encoder(pool, folder / "encoder.pt", schedule=schedule, **how)
    logger.info("the tagger, first round")
    tagger = tiny_ram.new_ram(how["seed"], encoder.state_dict())
    schedule = plan.schedule(tiny_ram.SCENES)
    tiny_ram.train_ram(tagger, pool, folder / "ram-first.pt", schedule=schedule, **how)
    seen = tagger.visual_encoder.state_dict()
    detector = tiny_detector.new_detector(tokenizer, how["seed"], seen)
    return _Models(tagger, detector, tiny_sam.new_sam(how["seed"]))


def _learned(start: Path, tokenizer: PromptTokenizer) -> _Models:
    """Load the three networks of an earlier training."""
    tagger = RAM(tiny_ram.CONFIG)
    tagger.load_state_dict(load_state_dict(start / "ram.safetensors"))
    detector = GroundingDINO(tiny_detector.detector_config(len(tokenizer)))
    load_weights(detector, load_state_dict(start / "grounding_dino.safetensors"))
    segmenter = tiny_sam.new_sam(0)
    segmenter.load_state_dict(load_state_dict(start / "sam.safetensors"))
    return _Models(tagger, detector, segmenter)


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
    names = tuple(name for name, _ in tiny_ram.TAGS)
    kinds = tuple(VOCABULARY[name] for name in names)
    table = TagTable(names, kinds, np.full(len(names), 0.5, np.float32))
    tagger = RAMTagger(network.cpu(), table)
    scores, truth = [], []
    for seed in range(THRESHOLD_SEED, THRESHOLD_SEED + plan.threshold_scenes):
        scene = make_scene(seed, size=plan.scene_size)
        scores.append(tagger.scores([scene.image])[0])
        true = set(scene.tags.names)
        truth.append([thing in true for _, thing in tiny_ram.TAGS])
    columns = zip(kinds, np.stack(scores).T, np.array(truth).T, strict=True)
    thresholds = [
        round(best_threshold(s, t, beta=_BETA if kind == "object" else 1), 3)
        for kind, s, t in columns
    ]
    return [
        {"name": name, "kind": kind, "threshold": threshold}
        for name, kind, threshold in zip(names, kinds, thresholds, strict=True)
    ]
