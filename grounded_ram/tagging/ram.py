"""RAM as a tagger: preparing pictures, thresholds, tag lists, checkpoints."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from grounded_ram.annotation import Tags
from grounded_ram.errors import InputError, WeightsError
from grounded_ram.ram.label_queries import CLIPLabels
from grounded_ram.ram.model import RAM, UNREAD_PREFIXES, RAMConfig, tagging_weights
from grounded_ram.ram.tag2text import Tag2Text
from grounded_ram.runtime import autocast, in_batches, normalised, resized, to_device
from grounded_ram.tagging.table import TagTable, check_threshold
from grounded_ram.vocabulary.translations import read_translations
from grounded_ram.weights import Checkpoint, fetch, find_checkpoint, load_state_dict, misfit

if TYPE_CHECKING:
    from grounded_ram.images import Image

OPEN_SET_THRESHOLD = 0.5
"""Threshold of words that are no tags of the checkpoint, as the official code has it: such words
score lower than the tags that the network was trained on."""

ConfigT = TypeVar("ConfigT", bound=RAMConfig)
NetworkT = TypeVar("NetworkT", bound=nn.Module)
TableTaggerT = TypeVar("TableTaggerT", bound="TableTagger")


class TableTagger(ABC):
    """A tagger over any network of the family: each row of a table is scored in each image.

    Args:
        network: moved to ``device`` and set to evaluation.
        table: the tags asked for.
        image_size: height and width, in pixels, of the pictures that the network takes.
        device: where the network runs.
        dtype: float32, or a shorter type to run under autocast.
        batch_size: images in one run of the network. With more than 1, the last digits of a score
            can depend on the images beside it.
    """

    def __init__(
        self,
        network: nn.Module,
        table: TagTable,
        *,
        image_size: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        batch_size: int = 1,
    ) -> None:
        self.device = torch.device(device)
        self.dtype = dtype
        self.batch_size = batch_size
        self.table = table
        self.image_size = image_size
        self.network: Any = network.to(self.device).eval()

    @property
    def options(self) -> dict[str, Any]:
        """The keywords with which another tagger runs as this one does."""
        return {"device": self.device, "dtype": self.dtype, "batch_size": self.batch_size}

    def compile(self) -> None:
        """Let torch compile the image encoder, when it is first used."""
        self.network.visual_encoder.compile()

    @abstractmethod
    def logits(self, batch: Tensor) -> Tensor:
        """Return the (B, L) logits of the table's tags for (B, 3, S, S) prepared images."""

    def tag(self, images: Sequence[Image], *, threshold: float | None = None) -> list[Tags]:
        """Return the tags of each image, best first; see ``stages.Tagger``.

        Raises:
            InputError: the threshold lies outside [0, 1].
        """
        if threshold is not None:
            check_threshold(threshold)
        return [self.table.above(scores, threshold) for scores in self.scores(images)]

    def with_thresholds(
        self: TableTaggerT, own: Mapping[str, float], others: float | None = None
    ) -> TableTaggerT:
        """Return a tagger over the same network with other thresholds.

        Args:
            own: of single tags; those that are not asked for are passed over.
            others: of all other tags; None leaves each its own.
        """
        other = copy(self)
        other.table = self.table.with_thresholds(own, others)
        return other

    def scores(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Return the (B, L) scores in [0, 1] of every tag, one column a row of the table."""
        found = in_batches(self, images, self._score)
        return np.array(found, np.float32).reshape(len(images), len(self.table))

    @torch.inference_mode()
    def _score(self, images: Sequence[Image]) -> list[NDArray[np.float32]]:
        """Run the network once over a few images."""
        with autocast(self.device, self.dtype):
            logits = self.logits(self._prepared(images))
        return [*logits.float().sigmoid().cpu().numpy()]

    def _prepared(self, images: Sequence[Image]) -> Tensor:
        """Return (B, 3, S, S) images as the network takes them, on its device."""
        batch = torch.stack([prepare(image, self.image_size) for image in images])
        return to_device(batch, self.device)


class QueryTagger(TableTagger):
    """A tagger over a network with one query a tag, the same for every image.

    Args:
        network: moved to ``device`` and set to evaluation.
        table: the tags asked for.
        queries: (L, head_width) label queries, one a row of the table, as ``network.label_queries``
            makes them of any text embeddings; None means the checkpoint's own.
        options: ``device``, ``dtype`` and ``batch_size``, as ``TableTagger`` takes them.

    Raises:
        InputError: there is not one query for each tag.
    """

    def __init__(
        self,
        network: RAM | Tag2Text,
        table: TagTable,
        *,
        queries: Tensor | None = None,
        **options: Any,
    ) -> None:
        super().__init__(network, table, image_size=network.config.image_size, **options)
        with torch.inference_mode():
            asked = network.label_queries() if queries is None else queries.to(self.device)
        if len(asked) != len(table):
            raise InputError(f"expected a query for each of {len(table)} tags, got {len(asked)}")
        self.queries = asked

    def logits(self, batch: Tensor) -> Tensor:
        """Return the (B, L) logits of the table's tags for (B, 3, S, S) prepared images."""
        out: Tensor = self.network(batch, self.queries)
        return out


class RAMTagger(QueryTagger):
    """A tagger over a ``RAM`` network; arguments as ``QueryTagger`` takes them."""

    network: RAM

    def without(self, names: Collection[str]) -> RAMTagger:
        """Return a tagger over the same network that does not ask for some tags.

        Raises:
            UnknownNameError: a name is not among this tagger's tags.
        """
        rows = self.table.rows_without(names)
        table, queries = self.table.take(rows), self.queries[rows]
        return RAMTagger(self.network, table, queries=queries, **self.options)

    def extended(
        self,
        words: Collection[str],
        *,
        threshold: float = OPEN_SET_THRESHOLD,
        labels: CLIPLabels | None = None,
    ) -> RAMTagger:
        """Return a tagger over the same network that asks for some words, too, in the same pass.

        A word that is a tag already stays that tag, with its own threshold unless that switches it
        off. The order of the words has no effect.

        Args:
            words: words or phrases, as one says them.
            threshold: of the new tags; the fixed tags' own are too high for them.
            labels: what embeds the words; None means CLIP as the official RAM was trained with.

        Raises:
            InputError: a word is blank, the threshold lies outside [0, 1], or the text encoder is
                not the one that this network was trained with.
            WeightsError: the text encoder's weights are needed and absent.
        """
        table, fresh = self.table.extended(words, threshold)
        encoder = fitting_labels(labels, self.network.config, self.device)
        with torch.inference_mode():
            own = [
                self.network.label_queries(encoder.word(word)[None].to(self.device))
                for word in fresh
            ]
        queries = torch.cat([self.queries, *own])
        return RAMTagger(self.network, table, queries=queries, **self.options)


def fitting_labels(
    labels: CLIPLabels | None, config: RAMConfig, device: torch.device
) -> CLIPLabels:
    """Return the text encoder that was asked for, if it embeds words as a network expects.

    Raises:
        InputError: it does not.
    """
    encoder = labels or CLIPLabels(device=device)
    if encoder.dim != config.label_dim:
        raise InputError(
            f"this network knows its tags by {config.label_dim} numbers each, {encoder} gives "
            f"{encoder.dim}; use the text encoder that it was trained with, if there was one"
        )
    return encoder


def prepare(image: Image, size: int) -> Tensor:
    """Resize an image to (3, size, size), bilinear, whatever its shape, and normalise it."""
    return normalised(resized(image, (size, size)))


def load_ram(checkpoint: Checkpoint, *, device: torch.device, dtype: torch.dtype) -> RAMTagger:
    """Load a RAM checkpoint: official, or with a config file of its own.

    Raises:
        WeightsError: a file is absent or damaged, or the files do not fit one another.
    """
    network, table = read_ram(fetch(checkpoint), checkpoint.name)
    return RAMTagger(network, table, device=device, dtype=dtype)


def read_ram(files: Mapping[str, Path], name: str) -> tuple[RAM, TagTable]:
    """Read the network and the tags of a RAM checkpoint; see ``read_network``."""
    return read_network(RAM, RAMConfig, files, name)


def read_network(
    make: Callable[[ConfigT], NetworkT], sizes: type[ConfigT], files: Mapping[str, Path], name: str
) -> tuple[NetworkT, TagTable]:
    """Read the network and the tags of a checkpoint called ``name``.

    Args:
        make: builds the network of some sizes.
        sizes: the type of those sizes.
        files: "weights"; "config", a JSON object with "model" and "tags", without which the network
            has the official sizes; "tags" and "thresholds", one a line, where no config has tags.
        name: for messages.

    Raises:
        WeightsError: a file is damaged, or the files do not fit one another.
    """
    try:
        settings = json.loads(files["config"].read_text("utf-8")) if "config" in files else {}
        config = sizes.from_dict(settings.get("model", {}))
        table = _read_tags(settings, files)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise WeightsError(f"{name}: its config or tag list cannot be used: {reason}") from error
    size = settings.get("image_size", config.image_size)
    if size != config.image_size:
        raise WeightsError(f"{name}: image_size is {size}, but {config.image_size} in its model")
    if len(table) != config.num_tags:
        raise WeightsError(f"{name}: the network has {config.num_tags} tags, its list {len(table)}")
    network = make(config)
    load_weights(network, load_state_dict(files["weights"]), name)
    return network, table


def load_weights(
    network: nn.Module,
    state: Mapping[str, Tensor],
    name: str,
    unread: tuple[str, ...] = UNREAD_PREFIXES,
    *,
    assign: bool = True,
) -> None:
    """Put the weights of a checkpoint called ``name`` into a network.

    Args:
        network: any of the RAM family.
        state: the tensors of an official checkpoint, or of one of ours.
        name: for messages.
        unread: starts of the keys that this network has no use for.
        assign: use the file's own memory, which is mapped, instead of a second copy; not where
            the network shares tensors with another.

    Raises:
        WeightsError: a key is missing, unknown, or of another shape.
    """
    weights = tagging_weights(state, unread)
    if problems := misfit(network.state_dict(), weights):
        raise WeightsError(
            f"{name}: these are not the weights of this {type(network).__name__}: keys {problems}"
        )
    network.load_state_dict(weights, assign=assign)


def chinese_names() -> dict[str, str]:
    """Return the Chinese name of every tag of the official RAM and RAM++, by its English name.

    Raises:
        WeightsError: the list is absent and cannot be had; tagging does not need it.
    """
    return read_translations(fetch(find_checkpoint("ram-names:chinese")))


def _read_tags(settings: Mapping[str, Any], files: Mapping[str, Path]) -> TagTable:
    """Read the tags from the settings or, as the official checkpoint has them, from text files."""
    if "tags" in settings:
        return table_of_rows(settings["tags"])
    names = files["tags"].read_text(encoding="utf-8").splitlines()
    thresholds = files["thresholds"].read_text(encoding="utf-8").splitlines()
    return TagTable.of(names, [float(line) for line in thresholds])


def table_of_rows(rows: Sequence[Mapping[str, Any]]) -> TagTable:
    """Return the tags of a config: an object with "name", "kind" and "threshold" for each."""
    return TagTable(
        tuple(row["name"] for row in rows),
        tuple(row["kind"] for row in rows),
        np.array([row["threshold"] for row in rows], np.float32),
    )
