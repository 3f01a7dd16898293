"""Captions as an adapter: a tagger that also writes, guided by the tags it sees or is given."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from grounded_ram.annotation import Tags
from grounded_ram.errors import InputError, WeightsError
from grounded_ram.ram.bert import TextConfig
from grounded_ram.ram.caption import CaptionTokenizer, Search
from grounded_ram.ram.captioner import DERIVED_PREFIXES, CaptionNetworks, tied_keys
from grounded_ram.ram.model import RAM, TEXT_PREFIXES, tagging_weights
from grounded_ram.ram.tag2text import Tag2Text
from grounded_ram.runtime import autocast, in_batches
from grounded_ram.tagging.ram import QueryTagger, load_weights, read_ram
from grounded_ram.tagging.table import TagTable
from grounded_ram.weights import Checkpoint, fetch, load_state_dict

if TYPE_CHECKING:
    from grounded_ram.images import Image


class Captioner(Protocol):
    """Says in a sentence what is in a picture."""

    def caption(
        self,
        images: Sequence[Image],
        *,
        tags: Sequence[Tags | Sequence[str]] | None = None,
        num_beams: int = 3,
        max_length: int = 50,
        min_length: int = 10,
        repetition_penalty: float = 1.0,
    ) -> list[str]:
        """Return the caption of each image, in the order given; no neighbour changes it.

        Args:
            images: B images.
            tags: what each caption should speak of, B entries: names in the order in which they
                are read, or ``Tags``, whose own order does not count. An entry may be empty. None
                means the tags that the captioner sees.
            num_beams: unfinished captions kept at each step; 1 takes the likeliest word each time.
            max_length: tokens of the longest caption, four for its hidden beginning included.
            min_length: tokens, those four included, before which no caption ends.
            repetition_penalty: above 1, words that were written before become less likely.

        Raises:
            InputError: there is not one entry for each image, or a number is out of its range.
        """
        ...


class CaptioningTagger(QueryTagger):
    """A ``stages.Tagger`` and a ``Captioner`` over RAM or Tag2Text and its text networks.

    Args:
        network: moved to ``device`` and set to evaluation.
        table: the tags asked for.
        text: the text networks that share weights with ``network``; moved and set like it.
        tokenizer: over their vocabulary.
        options: ``queries``, ``device``, ``dtype``, ``batch_size``, as ``QueryTagger`` takes them.

    Raises:
        InputError: there is not one query for each tag.
    """

    def __init__(
        self,
        network: RAM | Tag2Text,
        table: TagTable,
        text: CaptionNetworks,
        tokenizer: CaptionTokenizer,
        **options: Any,
    ) -> None:
        super().__init__(network, table, **options)
        self.text = text.to(self.device).eval()
        self.tokenizer = tokenizer

    def caption(
        self,
        images: Sequence[Image],
        *,
        tags: Sequence[Tags | Sequence[str]] | None = None,
        num_beams: int = 3,
        max_length: int = 50,
        min_length: int = 10,
        repetition_penalty: float = 1.0,
    ) -> list[str]:
        """Return the caption of each image; see ``Captioner``.

        Tags that the network sees are read in the order of its list, as in its training, and so are
        ``Tags``; those of them that are not in the list come last.

        Raises:
            InputError: there is not one entry for each image, or a number is out of its range.
        """
        search = Search(
            num_beams=num_beams,
            max_length=max_length,
            min_length=min_length,
            repetition_penalty=repetition_penalty,
        )
        given = None if tags is None else self._names(tags, len(images))

        def write(rows: Sequence[int]) -> list[str]:
            names = None if given is None else [given[row] for row in rows]
            return self._write([images[row] for row in rows], names, search)

        return in_batches(self, range(len(images)), write)

    @torch.inference_mode()
    def _write(
        self, images: Sequence[Image], given: Sequence[Sequence[str]] | None, search: Search
    ) -> list[str]:
        """Look at a few images once and write their captions."""
        with autocast(self.device, self.dtype):
            batch = self._prepared(images)
            tokens = self.network.image_tokens(self.network.visual_encoder(batch).tokens)
            names = self._seen(tokens) if given is None else given
            return self.text.write(names, tokens, self.tokenizer, search)

    def _seen(self, tokens: Tensor) -> list[list[str]]:
        """Return the names of every row of the table that is above its threshold, in list order."""
        scores = self.network.decode(tokens, self.queries).float().sigmoid().cpu().numpy()
        return [
            [self.table.names[i] for i in np.flatnonzero(row > self.table.thresholds)]
            for row in scores
        ]

    def _names(self, tags: Sequence[Tags | Sequence[str]], images: int) -> list[Sequence[str]]:
        """Return the names that each caption should speak of, in the order to read them."""
        for entry in (tags, *tags):
            if isinstance(entry, str):
                raise InputError(
                    f"tags: expected one list of names for each image, got {entry!r}; "
                    'write [["dog", "tennis court"]] for one image'
                )
        if len(tags) != images:
            raise InputError(f"tags: expected {images} entries, one an image, got {len(tags)}")
        places = {name: i for i, name in reversed(list(enumerate(self.table.names)))}
        last = len(self.table)
        return [
            sorted(entry.names, key=lambda name: places.get(name, last))
            if isinstance(entry, Tags)
            else entry
            for entry in tags
        ]


def load_ram_captioner(
    checkpoint: Checkpoint, *, device: torch.device, dtype: torch.dtype
) -> CaptioningTagger:
    """Load a RAM checkpoint with its text networks; ``load_ram`` leaves them out.

    Raises:
        WeightsError: a file is absent or damaged, the files do not fit one another, or the
            checkpoint has no text networks.
    """
    files = fetch(checkpoint)
    network, table = read_ram(files, checkpoint.name)
    text, tokenizer = read_text(network, files, checkpoint.name)
    return CaptioningTagger(network, table, text, tokenizer, device=device, dtype=dtype)


def read_text(
    network: RAM | Tag2Text, files: Mapping[str, Path], name: str
) -> tuple[CaptionNetworks, CaptionTokenizer]:
    """Read the text networks of a checkpoint called ``name``, and their tokenizer.

    Args:
        network: the checkpoint's tagging half, with its weights; the tag encoder shares some.
        files: "weights"; "vocab"; "config", a JSON object whose "text" has the sizes, without which
            they are the official ones.
        name: for messages.

    Raises:
        WeightsError: a file is absent or damaged, or the files do not fit one another.
    """
    if "vocab" not in files:
        raise WeightsError(f'{name}: captions need a file "vocab" in its checkpoint row')
    tokenizer = CaptionTokenizer(files["vocab"])
    settings = json.loads(files["config"].read_text("utf-8")) if "config" in files else {}
    try:
        config = TextConfig(**settings.get("text", {}))
        text = CaptionNetworks(config, network.config.head_sizes(), network.tagging_head)
    except (TypeError, ValueError) as error:
        raise WeightsError(f"{name}: its config's text sizes cannot be used: {error}") from error
    if len(tokenizer) != config.vocab_size:
        raise WeightsError(
            f"{name}: its text networks know {config.vocab_size} tokens; {files['vocab']} with "
            f"[DEC] and [ENC] has {len(tokenizer)}"
        )
    state = tagging_weights(load_state_dict(files["weights"]), DERIVED_PREFIXES)
    _load_text(text, state, tied_keys(network.tagging_head), name)
    return text, tokenizer


def _load_text(
    text: CaptionNetworks,
    state: Mapping[str, Tensor],
    tied: Sequence[tuple[str, str]],
    name: str,
) -> None:
    """Put the weights of a checkpoint called ``name`` into text networks.

    Args:
        text: the text networks.
        state: the tensors of the whole checkpoint.
        tied: pairs of keys that must name equal tensors.
        name: for messages.
    """
    weights = {key: value for key, value in state.items() if key.startswith(TEXT_PREFIXES)}
    if not weights:
        raise WeightsError(
            f"{name}: these weights tag but do not write captions: they have no keys "
            f"{' or '.join(f'{prefix}*' for prefix in TEXT_PREFIXES)}"
        )
    load_weights(text, weights, name, unread=DERIVED_PREFIXES, assign=False)
    apart = [pair for pair in tied if not torch.equal(*(state[key] for key in pair))]
    if apart:
        raise WeightsError(
            f"{name}: expected one tensor under two names, got two: {' and '.join(apart[0])}"
        )
