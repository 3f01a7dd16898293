"""What a training made: measured, with thresholds, and written as the files of a tagger."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from grounded_ram.checkpoints.find import TRAINED_FILES
from grounded_ram.data_engine.examples import Example
from grounded_ram.data_engine.pictures import pixels_of
from grounded_ram.export.files import write_json
from grounded_ram.ram.plus import RAMPlus
from grounded_ram.tagging.ram import QueryTagger, TableTagger
from grounded_ram.tagging.ram_plus import RAMPlusTagger
from grounded_ram.tagging.table import TagTable
from grounded_ram.training.checkpoint_files import model_config, save_weights
from grounded_ram.training.features import Features
from grounded_ram.training.networks import Networks, trained_state
from grounded_ram.training.objectives import tag_logits
from grounded_ram.training.thresholds import best_threshold
from grounded_ram.vocabulary.table import official_vocabulary

_AT_ONCE = 64
"""Pictures whose features are decoded together."""

_FEW = 5
"""Held-out pictures of a tag below which it gets the threshold that is best for all together."""

_USUAL_THRESHOLD = 0.68
"""Where nothing is held out: that of the official models, which the same loss has trained."""


def fitted_table(
    tags: Sequence[str], scores: NDArray[np.float32], truth: NDArray[np.bool_]
) -> TagTable:
    """Return the tags with the thresholds of the best F1; rare ones get that of all together.

    Args:
        tags: L names.
        scores: (N, L) of held-out pictures.
        truth: (N, L) what they show.
    """
    vocabulary = official_vocabulary()
    own, pooled = fitted_thresholds(scores, truth)
    kinds = tuple(vocabulary.kind(tag) or "object" for tag in tags)
    thresholds = [own.get(column, pooled) for column in range(len(tags))]
    return TagTable(tuple(tags), kinds, np.array(thresholds, np.float32))


def fitted_thresholds(
    scores: NDArray[np.float32], truth: NDArray[np.bool_], *, beta: float = 1.0
) -> tuple[dict[int, float], float]:
    """Return the threshold of the best F-beta of each tag that is not rare, and of all together.

    Args:
        scores: (N, L) of held-out pictures.
        truth: (N, L) what they show.
        beta: how many times as much recall counts as precision.
    """
    if not truth.any():
        return {}, _USUAL_THRESHOLD
    own = {
        column: best_threshold(scores[:, column], truth[:, column], beta=beta)
        for column in range(truth.shape[1])
        if truth[:, column].sum() >= _FEW
    }
    return own, best_threshold(scores.ravel(), truth.ravel(), beta=beta)


def write_model(networks: Networks, table: TagTable, folder: Path) -> None:
    """Write the files of a tagger, as ``GroundedRAM(weights={"tagger": folder})`` reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(trained_state(networks), folder / TRAINED_FILES["weights"])
    config: dict[str, Any] = {
        "adapter": networks.adapter,
        "model": model_config(networks.network.config),
        "image_size": networks.network.config.image_size,
        "tags": [
            {"name": name, "kind": kind, "threshold": round(float(threshold), 4)}
            for name, kind, threshold in zip(
                table.names, table.kinds, table.thresholds, strict=True
            )
        ],
    }
    if networks.text is not None:
        config["text"] = model_config(networks.text.text_decoder.config)
    if networks.alignment is not None:
        config["alignment"] = {"dim": networks.alignment.vision_proj.out_features}
    write_json(config, folder / TRAINED_FILES["config"], indent=1)
    if networks.vocab is not None:
        shutil.copyfile(networks.vocab, folder / TRAINED_FILES["vocab"])


def make_tagger(networks: Networks, device: torch.device) -> TableTagger:
    """Return a tagger over the networks as they are now, which asks for every tag."""
    tags = networks.tags
    table = TagTable(tags, ("object",) * len(tags), np.full(len(tags), 0.5, np.float32))
    if isinstance(networks.network, RAMPlus):
        return RAMPlusTagger(networks.network, table, device=device, batch_size=16)
    return QueryTagger(networks.network, table, device=device, batch_size=16)


class Measure:
    """Scores the held-out pictures with the networks as they are when it is called."""

    def __init__(
        self,
        networks: Networks,
        examples: Sequence[Example],
        device: torch.device,
        features: Features | None = None,
    ) -> None:
        self.networks, self.examples, self.device = networks, examples, device
        self.features = features
        self.bad: dict[str, str] = {}

    def __call__(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return (N, L) scores and whether each is true, of the pictures that can be read."""
        return self._by_looking() if self.features is None else self._by_features(self.features)

    @torch.inference_mode()
    def _by_features(self, features: Features) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        network = self.networks.network.eval()
        tags = self.networks.tags
        tokens, readable = features.of([one.image for one in self.examples], self.bad.__setitem__)
        rows = [row for row, can_be in enumerate(readable.tolist()) if can_be]
        scores = np.zeros((len(rows), len(tags)), np.float32)
        for start in range(0, len(rows), _AT_ONCE):
            some = rows[start : start + _AT_ONCE]
            seen = torch.from_numpy(tokens[some].astype(np.float32)).to(self.device)
            logits = tag_logits(network, network.image_tokens(seen))
            scores[start : start + len(some)] = logits.sigmoid().cpu().numpy()
        truth = [[tag in self.examples[row].tags for tag in tags] for row in rows]
        return scores, np.array(truth, bool).reshape(len(rows), len(tags))

    def _by_looking(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        tags = self.networks.tags
        tagger = make_tagger(self.networks, self.device)
        scores = [np.zeros((0, len(tags)), np.float32)]
        truth = [np.zeros((0, len(tags)), bool)]
        for start in range(0, len(self.examples), tagger.batch_size):
            pictures = []
            for example in self.examples[start : start + tagger.batch_size]:
                pixels = pixels_of(example.image, self.bad.__setitem__)
                if pixels is None:
                    continue
                pictures.append(pixels)
                shown = set(example.tags)
                truth.append(np.array([[tag in shown for tag in tags]]))
            scores.append(tagger.scores(pictures))
        return np.concatenate(scores), np.concatenate(truth)
