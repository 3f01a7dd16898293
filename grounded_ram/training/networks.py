"""The networks that a training starts from: those of a checkpoint, for other tags, or new ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from grounded_ram.checkpoints.find import TRAINED_FILES
from grounded_ram.errors import InputError
from grounded_ram.names import split_backend, unknown_name
from grounded_ram.presets import resolve_preset
from grounded_ram.ram.alignment import Alignment, AlignmentConfig
from grounded_ram.ram.bert import TextConfig
from grounded_ram.ram.caption import CaptionTokenizer
from grounded_ram.ram.captioner import CaptionNetworks
from grounded_ram.ram.label_queries import CLIPLabels
from grounded_ram.ram.model import RAM, RAMConfig
from grounded_ram.ram.plus import RAMPlus, RAMPlusConfig
from grounded_ram.ram.tag2text import Tag2Text, Tag2TextConfig
from grounded_ram.ram.tag_decoder import HeadSizes
from grounded_ram.tagging.captions import read_text
from grounded_ram.tagging.ram import load_weights, read_network, read_ram
from grounded_ram.tagging.tag2text import read_tag2text
from grounded_ram.training.objectives import Network
from grounded_ram.weights import (
    CHECKPOINTS,
    Checkpoint,
    fetch,
    find_checkpoint,
    load_state_dict,
    with_own_files,
)

ADAPTERS = ("ram", "ram-captions", "ram-plus", "tag2text")
"""Those of the RAM family: what can be trained."""


@dataclass(frozen=True, kw_only=True)
class Networks:
    """What is trained, before it is.

    Args:
        adapter: by which the result is used: one of ``ADAPTERS``.
        network: the tagging half.
        tags: L names, in the order of its label queries.
        text: writes captions; None for a tagger alone.
        alignment: Tag2Text's; None without.
        tokenizer: of both; its vocabulary is ``vocab``.
        vocab: path of that vocabulary's file.
        learnt_codes: tags whose queries start as random codes, because no text encoder embedded
            them.
    """

    adapter: str
    network: Network
    tags: tuple[str, ...]
    text: CaptionNetworks | None = None
    alignment: Alignment | None = None
    tokenizer: CaptionTokenizer | None = None
    vocab: Path | None = None
    learnt_codes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where a training starts.

    Args:
        backend: name of a tagger of the RAM family, such as "ram:swin-l".
        folder: of an earlier training, whose files take the place of the backend's.
        random: take the sizes alone, and random weights.
        captions: train the networks that write captions, too.
        alignment: train Tag2Text's image-text alignment, too.
        labels: the text encoder that embeds tags which the checkpoint does not know; None lets
            their queries be learnt from random codes.
    """

    backend: str = "ram:tiny"
    folder: Path | None = None
    random: bool = False
    captions: bool = False
    alignment: bool = False
    labels: CLIPLabels | None = None


def start_from(
    text: str | None,
    *,
    queries: str = "auto",
    random: bool = False,
    captions: bool = False,
    alignment: bool = False,
) -> Start:
    """Read where to start from, as a user writes it.

    Args:
        text: name of a tagger, or the folder of an earlier training's model; None means the tagger
            of the default preset.
        queries: of tags that are not known there: "clip", "learnt", or "auto": by CLIP where the
            network's queries are as long as CLIP's.
        random: see ``Start``.
        captions: see ``Start``.
        alignment: see ``Start``.

    Raises:
        InputError: the folder is of no training.
        UnknownNameError: no tagger that can be trained has that name.
    """
    backend, folder = text or resolve_preset().tagger, None
    if Path(backend).is_dir():
        backend, folder = _backend_of(Path(backend)), Path(backend)
    start = Start(
        backend=backend, folder=folder, random=random, captions=captions, alignment=alignment
    )
    adapter, checkpoint = _checkpoint_of(start)
    labels = CLIPLabels() if queries != "learnt" and adapter != "tag2text" else None
    if queries == "auto" and labels is not None:
        sizes = _settings(fetch(_small_files(checkpoint)))["model"]
        labels = labels if sizes.get("label_dim", RAMConfig.label_dim) == labels.dim else None
    return replace(start, labels=labels)


def make_networks(start: Start, tags: Sequence[str]) -> Networks:
    """Build the networks for some tags.

    A tag that the checkpoint knows keeps its query; the query of another is made by the text
    encoder, or learnt.

    Args:
        start: where from.
        tags: L names, each once.

    Raises:
        InputError: the tags or the parts that are asked for do not fit the checkpoint.
        UnknownNameError: no tagger has that name.
        WeightsError: weights are absent or do not fit.
    """
    if not tags or len(set(tags)) != len(tags):
        raise InputError(f"expected tags to learn, each once, got {len(tags)}: {list(tags)[:10]}")
    adapter, checkpoint = _checkpoint_of(start)
    if start.alignment and adapter != "tag2text":
        raise InputError(f"alignment is a part of Tag2Text, not of {start.backend!r}")
    return _Maker(start, adapter, checkpoint, tuple(tags)).make()


def _checkpoint_of(start: Start) -> tuple[str, Checkpoint]:
    """Return the adapter and the files of a start."""
    adapter, _ = split_backend(start.backend)
    if adapter not in ADAPTERS:
        raise unknown_name("tagger that can be trained", adapter, ADAPTERS)
    checkpoint = find_checkpoint(start.backend)
    if start.folder is not None:
        checkpoint = with_own_files(checkpoint, {"weights": start.folder})
    return adapter, checkpoint


def _backend_of(folder: Path) -> str:
    """Return the name of a backend whose adapter reads the model in a folder.

    Raises:
        InputError: there is none in it.
    """
    try:
        adapter = _settings({"config": folder / TRAINED_FILES["config"]})["adapter"]
        return next(name for name in CHECKPOINTS if name.startswith(f"{adapter}:"))
    except (OSError, ValueError, LookupError, StopIteration) as error:
        raise InputError(
            f'{str(folder)!r}: expected the folder "model" of a training, with a '
            f"{TRAINED_FILES['config']}; or a name such as ram:swin-l"
        ) from error


def _settings(files: Mapping[str, Path]) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads(files["config"].read_text("utf-8"))
    return settings


class _Maker:
    """Builds the networks of one start."""

    def __init__(
        self, start: Start, adapter: str, checkpoint: Checkpoint, tags: tuple[str, ...]
    ) -> None:
        self.start, self.adapter, self.tags = start, adapter, tags
        self.name = checkpoint.name
        self.files: Mapping[str, Path] = fetch(
            _small_files(checkpoint) if start.random else checkpoint
        )

    def make(self) -> Networks:
        """Return the networks."""
        old, known = self._tagger()
        network = _resized(old, len(self.tags))
        fresh = [tag for tag in self.tags if tag not in known]
        self._fill_labels(network, old, known, fresh)
        text, alignment, tokenizer = self._texts(old, network)
        writes = text is not None and isinstance(network, RAM)
        by_codes = self.start.labels is None or isinstance(network, Tag2Text)
        return Networks(
            adapter="ram-captions" if writes else self.adapter,
            network=network,
            tags=self.tags,
            text=text,
            alignment=alignment,
            tokenizer=tokenizer,
            vocab=self.files.get("vocab") if tokenizer else None,
            learnt_codes=tuple(fresh) if by_codes else (),
        )

    def _tagger(self) -> tuple[Network, dict[str, int]]:
        """Return the checkpoint's tagging half, and the row of each of its tags."""
        if self.start.random:
            return self._new(), {}
        network: Network
        if self.adapter == "tag2text":
            network, table, _ = read_tag2text(self.files, self.name)
        elif self.adapter == "ram-plus":
            network, table = read_network(RAMPlus, RAMPlusConfig, self.files, self.name)
        else:
            network, table = read_ram(self.files, self.name)
        # Of a name that comes twice, the first row.
        return network, {name: row for row, name in reversed(list(enumerate(table.names)))}

    def _new(self) -> Network:
        sizes = {**_settings(self.files)["model"], "num_tags": len(self.tags)}
        if self.adapter == "tag2text":
            return Tag2Text(Tag2TextConfig.from_dict(sizes))
        if self.adapter == "ram-plus":
            return RAMPlus(RAMPlusConfig.from_dict(sizes))
        return RAM(RAMConfig.from_dict(sizes))

    @torch.no_grad()
    def _fill_labels(
        self, network: Network, old: Network, known: Mapping[str, int], fresh: Sequence[str]
    ) -> None:
        """Give each tag its query: the checkpoint's own, the text encoder's, or a random code."""
        kept = [(row, known[tag]) for row, tag in enumerate(self.tags) if tag in known]
        for ours, theirs in kept:
            for own, other in zip(_label_rows(network), _label_rows(old), strict=True):
                own[ours] = other[theirs]
        labels = self.start.labels
        if labels is None or isinstance(network, Tag2Text):
            return
        if labels.dim != network.config.label_dim:
            raise InputError(
                f"{self.name} knows its tags by {network.config.label_dim} numbers each, {labels} "
                f"gives {labels.dim}; use the text encoder that it was trained with, or none"
            )
        rows = _label_rows(network)[0]
        for row, tag in enumerate(self.tags):
            if tag in fresh:
                rows[row] = labels.word(tag)  # RAM++: each of its descriptions says the same

    def _texts(
        self, old: Network, network: Network
    ) -> tuple[CaptionNetworks | None, Alignment | None, CaptionTokenizer | None]:
        """Return the networks that read and write texts, if they are asked for."""
        if not (self.start.captions or self.start.alignment):
            return None, None, None
        if isinstance(network, RAMPlus):
            raise InputError("RAM++ writes no captions; train ram-captions or tag2text for them")
        if "vocab" not in self.files:
            raise InputError(
                f"{self.name} has no vocabulary of words, so no captions; start from "
                "ram-captions:swin-l, tag2text:swin-b, or a folder with a vocab.txt"
            )
        assert not isinstance(old, RAMPlus)
        tokenizer = CaptionTokenizer(self.files["vocab"])
        head = network.config.head_sizes()
        if self.start.random:
            sizes = TextConfig(**_settings(self.files).get("text", {}))
            sizes = replace(sizes, vocab_size=len(tokenizer))
            text = CaptionNetworks(sizes, head, network.tagging_head)
        else:
            # It shares the tagging head, which ``network`` took over as it was.
            text, tokenizer = read_text(network, self.files, self.name)
        if not self.start.alignment:
            return text, None, tokenizer
        return text, self._alignment(text, head), tokenizer

    def _alignment(self, text: CaptionNetworks, head: HeadSizes) -> Alignment:
        """Return the alignment parts: the checkpoint's own if it has them, or new ones."""
        config = AlignmentConfig.from_dict(_settings(self.files).get("alignment", {}))
        alignment = Alignment(config, text.text_decoder.config, head, text.text_decoder)
        state = {} if self.start.random else load_state_dict(self.files["weights"])
        own = {
            key.removeprefix("alignment."): value
            for key, value in state.items()
            if key.startswith("alignment.")
        }
        if own:
            load_weights(alignment, own, self.name, unread=(), assign=False)
        return alignment


def _resized(old: Network, num_tags: int) -> Network:
    """Return the same network for another number of tags, whose queries are random codes."""
    config: Any = replace(old.config, num_tags=num_tags)
    network: Any = type(old)(config)
    state = dict(old.state_dict())
    own = (
        {"label_embed", "label_embed.weight", "fc.W", "fc.b"}
        if isinstance(old, Tag2Text)
        else {"label_embed"}
    )
    fresh = network.state_dict()
    network.load_state_dict({key: fresh[key] if key in own else state[key] for key in fresh})
    out: Network = network
    return out


def _label_rows(network: Network) -> list[Tensor]:
    """Return views of all weights that have a row for each tag, that row first."""
    if isinstance(network, Tag2Text):
        return [network.label_embed.weight, network.fc.W[0], network.fc.b[0]]
    if isinstance(network, RAMPlus):
        return [network.descriptions()]
    return [network.label_embed]


def _small_files(checkpoint: Checkpoint) -> Checkpoint:
    """Return a row with the files alone that say a checkpoint's sizes and words."""
    files = {role: file for role, file in checkpoint.files.items() if role in ("config", "vocab")}
    return replace(checkpoint, files=files)


def trained_state(networks: Networks) -> dict[str, Tensor]:
    """Return all weights under the official key names, a shared tensor under each of its names."""
    state = dict(networks.network.state_dict())
    if networks.text is not None:
        state |= networks.text.state_dict()
    if networks.alignment is not None:
        state |= {f"alignment.{k}": v for k, v in networks.alignment.state_dict().items()}
    return state
