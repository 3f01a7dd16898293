"""RAM++ as a tagger: tags are sets of descriptions, the checkpoint's and the user's."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from grounded_ram.errors import InputError
from grounded_ram.ram.plus import RAMPlus, RAMPlusConfig
from grounded_ram.tagging.ram import (
    OPEN_SET_THRESHOLD,
    TableTagger,
    fitting_labels,
    read_network,
)
from grounded_ram.tagging.table import TagTable
from grounded_ram.weights import Checkpoint, fetch

if TYPE_CHECKING:
    from grounded_ram.ram.label_queries import CLIPLabels


class RAMPlusTagger(TableTagger):
    """A tagger over a ``RAMPlus`` network.

    Args:
        network: moved to ``device`` and set to evaluation.
        table: the tags asked for.
        blocks: (L_i, K_i, label_dim) embeddings of the tags' descriptions, one row a row of the
            table in all; the tags of a block have equally many. None means the checkpoint's own.
        options: ``device``, ``dtype`` and ``batch_size``, as ``TableTagger`` takes them.

    Raises:
        InputError: there is not one set of descriptions for each tag.
    """

    def __init__(
        self,
        network: RAMPlus,
        table: TagTable,
        *,
        blocks: Sequence[Tensor] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(network, table, image_size=network.config.image_size, **options)
        asked = [network.descriptions().detach()] if blocks is None else blocks
        self.blocks = tuple(block.to(self.device) for block in asked)
        rows = sum(len(block) for block in self.blocks)
        if rows != len(table):
            raise InputError(f"expected descriptions of each of {len(table)} tags, got {rows} sets")

    def logits(self, batch: Tensor) -> Tensor:
        """Return the (B, L) logits of the table's tags for (B, 3, S, S) prepared images."""
        out: Tensor = self.network(batch, self.blocks)
        return out

    def without(self, names: Collection[str]) -> RAMPlusTagger:
        """Return a tagger over the same network that does not ask for some tags.

        Raises:
            UnknownNameError: a name is not among this tagger's tags.
        """
        rows = self.table.rows_without(names)
        table, blocks = self.table.take(rows), _take(self.blocks, rows)
        return RAMPlusTagger(self.network, table, blocks=blocks, **self.options)

    def extended(
        self,
        words: Collection[str] | Mapping[str, Collection[str]],
        *,
        threshold: float = OPEN_SET_THRESHOLD,
        labels: CLIPLabels | None = None,
    ) -> RAMPlusTagger:
        """Return a tagger over the same network that asks for some words, too, in the same pass.

        A word that is a tag already stays that tag, with its own descriptions, and with its own
        threshold unless that switches it off. The order of words and descriptions has no effect.

        Args:
            words: words or phrases, as one says them, or descriptions of each, as many as one
                likes: "a corgi is a small dog with short legs". Each image weighs them as it weighs
                those of the fixed tags, of which the first is "a photo of a corgi." and fifty are a
                language model's.
            threshold: of the new tags; the fixed tags' own are too high for them.
            labels: what embeds the texts; None means CLIP as the official RAM++ was trained with.

        Raises:
            InputError: a word is blank or has no description, the threshold lies outside [0, 1], or
                the text encoder is not the one that this network was trained with.
            WeightsError: the text encoder's weights are needed and absent.
        """
        texts = _texts_of(words)
        table, fresh = self.table.extended(words, threshold, lambda word: (len(texts[word]), word))
        encoder = fitting_labels(labels, self.network.config, self.device)
        own = [
            torch.stack([_embed(word, texts[word], encoder) for word in group])
            for _, group in groupby(fresh, key=lambda word: len(texts[word]))
        ]
        blocks = [*self.blocks, *own]
        return RAMPlusTagger(self.network, table, blocks=blocks, **self.options)


def load_ram_plus(
    checkpoint: Checkpoint, *, device: torch.device, dtype: torch.dtype
) -> RAMPlusTagger:
    """Load a RAM++ checkpoint: official, or with a config file of its own.

    Raises:
        WeightsError: a file is absent or damaged, or the files do not fit one another.
    """
    network, table = read_network(RAMPlus, RAMPlusConfig, fetch(checkpoint), checkpoint.name)
    return RAMPlusTagger(network, table, device=device, dtype=dtype)


def _texts_of(words: Collection[str] | Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    """Return the descriptions of each word, in an order of their own; none of a mere word."""
    if not isinstance(words, Mapping):
        return {word: [] for word in words}
    for word, texts in words.items():
        if isinstance(texts, str) or not texts:
            raise InputError(f"expected a list of descriptions of {word!r}, got {texts!r}")
    return {word: sorted(texts) for word, texts in words.items()}


def _embed(word: str, texts: Sequence[str], encoder: CLIPLabels) -> Tensor:
    """Return (K, label_dim) embeddings of a word's descriptions; of a mere word, the word's own."""
    return torch.stack([encoder.text(text) for text in texts] or [encoder.word(word)])


def _take(blocks: Sequence[Tensor], rows: Sequence[int]) -> list[Tensor]:
    """Return the given rows, ascending, of blocks whose rows are counted through."""
    kept, start = [], 0
    for block in blocks:
        end = start + len(block)
        here = [row - start for row in rows if start <= row < end]
        kept.append(block if len(here) == len(block) else block[here])
        start = end
    return kept
