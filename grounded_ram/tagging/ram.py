"""RAM as a tagger: preparing pictures, thresholds, tag lists, checkpoints."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PILImage
from torch import Tensor

from grounded_ram.annotation import Tags
from grounded_ram.errors import InputError, UnknownNameError, WeightsError
from grounded_ram.ram.model import RAM, RAMConfig, tagging_weights
from grounded_ram.weights import Checkpoint, fetch, load_state_dict

if TYPE_CHECKING:
    from grounded_ram.images import Image

UNJUDGED = "unjudged"
"""The kind of a tag whose list says no kinds."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, eq=False)
class TagTable:
    """The tags that a tagger asks for, one row a query.

    Args:
        names: L tag names; a name may come twice, and its better row counts.
        kinds: L kinds.
        thresholds: (L,) float32; a tag is seen if its score is strictly above: 1 switches it off.

    Raises:
        InputError: the three do not have the same length.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    thresholds: NDArray[np.float32]

    def __post_init__(self) -> None:
        n = len(self.names)
        if len(self.kinds) != n or self.thresholds.shape != (n,):
            raise InputError(
                f"expected {n} kinds and thresholds for {n} tags, got {len(self.kinds)} kinds "
                f"and thresholds of shape {self.thresholds.shape}"
            )

    @classmethod
    def of(
        cls, names: Sequence[str], thresholds: Sequence[float], kind: str = UNJUDGED
    ) -> TagTable:
        """Make a table whose tags are all of one kind."""
        return cls(tuple(names), (kind,) * len(names), np.asarray(thresholds, np.float32))

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: Sequence[int]) -> TagTable:
        """Return the given rows, in the order given."""
        return TagTable(
            tuple(self.names[i] for i in rows),
            tuple(self.kinds[i] for i in rows),
            self.thresholds[list(rows)],
        )

    def above(self, scores: NDArray[np.float32], threshold: float | None) -> Tags:
        """Return the tags scored strictly above their threshold, best first.

        Args:
            scores: (L,) in [0, 1]; equal scores stay in the order of the table.
            threshold: one for all tags; None means each tag's own.
        """
        limits = self.thresholds if threshold is None else np.float32(threshold)
        best_first = np.argsort(-scores, kind="stable")
        rows: dict[str, int] = {}
        for i in best_first[(scores > limits)[best_first]]:
            rows.setdefault(self.names[i], int(i))
        kept = list(rows.values())
        return Tags(tuple(rows), scores[kept], tuple(self.kinds[i] for i in kept))


class RAMTagger:
    """A tagger over a ``RAM`` network.

    Args:
        network: moved to ``device`` and set to evaluation.
        table: the tags asked for.
        queries: (L, head_width) label queries, one a row of the table, as ``network.label_queries``
            makes them of any text embeddings; None means the checkpoint's own.
        device: where the network runs.
        dtype: float32, or a shorter type to run under autocast.
        batch_size: images in one run of the network. With more than 1, the last digits of a score
            can depend on the images beside it.

    Raises:
        InputError: there is not one query for each tag.
    """

    def __init__(
        self,
        network: RAM,
        table: TagTable,
        *,
        queries: Tensor | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        batch_size: int = 1,
    ) -> None:
        self.device = torch.device(device)
        self.dtype = dtype
        self.batch_size = batch_size
        self.network = network.to(self.device).eval()
        self.table = table
        with torch.inference_mode():
            asked = network.label_queries() if queries is None else queries.to(self.device)
        if len(asked) != len(table):
            raise InputError(f"expected a query for each of {len(table)} tags, got {len(asked)}")
        self.queries = asked

    def tag(self, images: Sequence[Image], *, threshold: float | None = None) -> list[Tags]:
        """Return the tags of each image, best first; see ``stages.Tagger``.

        Raises:
            InputError: the threshold lies outside [0, 1].
        """
        if threshold is not None and not 0 <= threshold <= 1:
            raise InputError(f"threshold: expected a number in [0, 1], got {threshold}")
        return [self.table.above(scores, threshold) for scores in self.scores(images)]

    def scores(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Return the (B, L) scores in [0, 1] of every tag, one column a row of the table."""
        found = np.zeros((len(images), len(self.table)), np.float32)
        for start in range(0, len(images), self.batch_size):
            chunk = images[start : start + self.batch_size]
            found[start : start + len(chunk)] = self._score(chunk)
        return found

    def without(self, names: Collection[str]) -> RAMTagger:
        """Return a tagger over the same network that does not ask for some tags.

        Raises:
            UnknownNameError: a name is not among this tagger's tags.
        """
        unknown = sorted(set(names) - set(self.table.names))
        if unknown:
            raise UnknownNameError(f"no such tag: {', '.join(unknown)}")
        rows = [i for i, name in enumerate(self.table.names) if name not in names]
        return RAMTagger(
            self.network,
            self.table.take(rows),
            queries=self.queries[rows],
            device=self.device,
            dtype=self.dtype,
            batch_size=self.batch_size,
        )

    @torch.inference_mode()
    def _score(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Run the network once over a few images."""
        size = self.network.config.image_size
        batch = torch.stack([prepare(image, size) for image in images]).to(self.device)
        shorter = self.dtype != torch.float32
        with torch.autocast(self.device.type, self.dtype if shorter else None, enabled=shorter):
            logits = self.network(batch, self.queries)
        scores: NDArray[np.float32] = logits.float().sigmoid().cpu().numpy()
        return scores


def prepare(image: Image, size: int) -> Tensor:
    """Resize an image to (3, size, size), bilinear, whatever its shape, and normalise it."""
    resized = PILImage.fromarray(image).resize((size, size), PILImage.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(resized)).permute(2, 0, 1).float().div(255)
    mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    return (pixels - mean[:, None, None]) / std[:, None, None]


def load_ram(checkpoint: Checkpoint, *, device: torch.device, dtype: torch.dtype) -> RAMTagger:
    """Load a RAM checkpoint: official, or with a config file of its own.

    Raises:
        WeightsError: a file is absent or damaged, or the files do not fit one another.
    """
    network, table = read_ram(fetch(checkpoint), checkpoint.name)
    return RAMTagger(network, table, device=device, dtype=dtype)


def read_ram(files: Mapping[str, Path], name: str) -> tuple[RAM, TagTable]:
    """Read the network and the tags of a checkpoint called ``name``.

    Args:
        files: "weights"; "config", a JSON object with "model" and "tags", without which the network
            has the official sizes; "tags" and "thresholds", one a line, where no config has tags.
        name: for messages.

    Raises:
        WeightsError: a file is damaged, or the files do not fit one another.
    """
    try:
        settings = json.loads(files["config"].read_text("utf-8")) if "config" in files else {}
        config = RAMConfig.from_dict(settings.get("model", {}))
        table = _read_tags(settings, files)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise WeightsError(f"{name}: its config or tag list cannot be used: {reason}") from error
    size = settings.get("image_size", config.image_size)
    if size != config.image_size:
        raise WeightsError(f"{name}: image_size is {size}, but {config.image_size} in its model")
    if len(table) != config.num_tags:
        raise WeightsError(f"{name}: the network has {config.num_tags} tags, its list {len(table)}")
    network = RAM(config)
    load_weights(network, load_state_dict(files["weights"]), name)
    return network, table


def load_weights(network: RAM, state: Mapping[str, Tensor], name: str) -> None:
    """Put the weights of a checkpoint called ``name`` into a network.

    Raises:
        WeightsError: a key is missing, unknown, or of another shape.
    """
    weights = tagging_weights(state)
    expected = network.state_dict()
    wrong = {
        "missing": sorted(expected.keys() - weights.keys()),
        "unknown": sorted(weights.keys() - expected.keys()),
        "of another shape": sorted(
            key
            for key in expected.keys() & weights.keys()
            if expected[key].shape != weights[key].shape
        ),
    }
    problems = [
        f"{len(keys)} {what} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
        for what, keys in wrong.items()
        if keys
    ]
    if problems:
        raise WeightsError(
            f"{name}: these are not the weights of this RAM: keys {'; '.join(problems)}"
        )
    network.load_state_dict(weights)


def _read_tags(settings: Mapping[str, Any], files: Mapping[str, Path]) -> TagTable:
    """Read the tags from the settings or, as the official checkpoint has them, from text files."""
    if "tags" in settings:
        rows = settings["tags"]
        return TagTable(
            tuple(row["name"] for row in rows),
            tuple(row["kind"] for row in rows),
            np.array([row["threshold"] for row in rows], np.float32),
        )
    names = files["tags"].read_text(encoding="utf-8").splitlines()
    thresholds = files["thresholds"].read_text(encoding="utf-8").splitlines()
    return TagTable.of(names, [float(line) for line in thresholds])
