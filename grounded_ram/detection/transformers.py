"""The zero-shot detectors of the ``transformers`` library, which brings their networks.

Grounding-DINO, MM-Grounding-DINO and LLMDet, which is of the same class, read prompts; OWLv2 is in
``owlv2``. Prompts, tokens and image sizes are ours, as is what becomes of the networks' answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional
from transformers.modeling_outputs import BaseModelOutput

from grounded_ram.detection.owlv2 import OWLv2Detector
from grounded_ram.detection.prompted import PromptedDetector, read_tokenizer
from grounded_ram.detection.text import PromptBatch, PromptTokenizer
from grounded_ram.detection.text_cache import Block, TextCache
from grounded_ram.errors import MissingDependencyError, WeightsError
from grounded_ram.pretrained import load_pretrained, transformers_class
from grounded_ram.stages import Detector
from grounded_ram.weights import Checkpoint, fetch, load_state_dict

CLASSES = {
    "grounding-dino": ("GroundingDinoForObjectDetection", "4.40"),
    "mm-grounding-dino": ("MMGroundingDinoForObjectDetection", "4.55"),
    "owlv2": ("Owlv2ForObjectDetection", "4.35"),
}
"""For each ``model_type`` of a config.json its class, and the version that brought it."""

BLOCK_ENDS = (101, 102, 1012, 1029)
"""[CLS], [SEP], "." and "?": these networks know by number where a tag of the prompt ends."""

_FINEST_STRIDE = 8
"""Pixels a side of the smallest cells that these networks look at."""


@dataclass(frozen=True, eq=False)
class _Seen:
    """B images, and what the image backbone made of them: an entry of the lists for each level."""

    pixels: Tensor
    valid: Tensor
    maps: list[Tensor]
    masks: list[Tensor]
    positions: list[Tensor]

    def take(self, rows: Sequence[int]) -> _Seen:
        """Return the images of the given rows, which may repeat."""
        index = torch.tensor(rows, device=self.pixels.device)
        levels = ([t[index] for t in each] for each in (self.maps, self.masks, self.positions))
        return _Seen(self.pixels[index], self.valid[index], *levels)


class _Recall(nn.Module):
    """Stands in for the backbone, once, with what it has made of the images already."""

    def __init__(self, seen: _Seen, position_embedding: nn.Module) -> None:
        super().__init__()
        self.seen = seen
        self.position_embedding = position_embedding  # the network asks it about further levels

    def forward(self, *_: Tensor) -> tuple[list[tuple[Tensor, Tensor]], list[Tensor]]:
        """Return the levels and their positions, a list that the network extends."""
        return list(zip(self.seen.maps, self.seen.masks, strict=True)), self.seen.positions


class _RecallText(nn.Module):
    """Stands in for the text encoder, once, with the text features."""

    def __init__(self, tokens: Tensor) -> None:
        super().__init__()
        self.tokens = tokens

    def forward(self, *_: Tensor, **__: Any) -> BaseModelOutput:
        """Return the (B, L, C) features."""
        return BaseModelOutput(last_hidden_state=self.tokens)


class TransformersDetector(PromptedDetector[_Seen]):
    """Finds boxes with a network of the Grounding-DINO family; see ``PromptedDetector``.

    Args:
        network: ``GroundingDinoForObjectDetection`` or ``MMGroundingDinoForObjectDetection`` of
            ``transformers``, with its weights, on its device; both must stay as they are, since the
            text features of tags are kept.
        tokenizer: the text encoder's tokenizer.
        short_side: an image is resized so that its shorter side has this many pixels,
        long_side: but its longer side no more than this many.
        dtype: torch.float32, or torch.bfloat16 to compute under autocast.
        batch_size: images, and prompts, taken at once; leave it at 1 with ``transformers`` before
            4.46, whose networks let the padding of unlike prompts in.
    """

    def __init__(
        self,
        network: Any,
        tokenizer: PromptTokenizer,
        *,
        short_side: int = 800,
        long_side: int = 1333,
        dtype: torch.dtype = torch.float32,
        batch_size: int = 1,
    ) -> None:
        super().__init__(
            tokenizer,
            max_text_len=network.config.max_text_len,
            max_positions=network.config.text_config.max_position_embeddings,
            device=network.device,
            short_side=short_side,
            long_side=long_side,
            dtype=dtype,
            batch_size=batch_size,
        )
        self.network = network.eval()
        self._text = TextCache(partial(_encode, network))

    def _see(self, pixels: Tensor) -> _Seen:
        pixels, valid = _with_room(pixels, self.network.config.num_queries)
        levels, positions = self.network.model.backbone(pixels, valid)
        maps, masks = zip(*levels, strict=True)
        return _Seen(pixels, valid, list(maps), list(masks), positions)

    def _answer(
        self, seen: _Seen, rows: Sequence[int], prompts: PromptBatch
    ) -> tuple[Tensor, Tensor]:
        seen = seen.take(rows)
        found = _over(seen, self._text.features(prompts), self.network)(
            pixel_values=seen.pixels,
            pixel_mask=seen.valid,
            input_ids=prompts.ids,
            attention_mask=prompts.real.long(),
        )
        return found.logits, found.pred_boxes


def load_transformers(
    checkpoint: Checkpoint, *, device: torch.device, dtype: torch.dtype
) -> Detector:
    """Build the detector of a checkpoint; files that are not there are downloaded.

    The files have the names and the content that ``transformers`` gives them: "config", "weights",
    and for the Grounding-DINO family "vocab" and perhaps "preprocessor".

    Raises:
        WeightsError: a file is absent, or does not fit the others, or is of another kind of model.
        MissingDependencyError: the installed ``transformers`` has no such network, or a faulty one.
    """
    files = fetch(checkpoint)
    kind = json.loads(files["config"].read_text("utf-8")).get("model_type")
    if kind not in CLASSES:
        raise WeightsError(
            f"{checkpoint.name}: expected a config.json whose model_type is one of "
            f"{', '.join(CLASSES)}, got {kind!r}"
        )
    network_class = transformers_class(*CLASSES[kind])
    if kind == "owlv2":
        owl: Any = load_pretrained(network_class, files, checkpoint.name)
        return OWLv2Detector(owl.requires_grad_(False).to(device), dtype=dtype)
    refuse_faulty(transformers.__version__, checkpoint.name)
    network: Any = load_pretrained(network_class, files, checkpoint.name)
    restore_heads(network, load_state_dict(files["weights"]))
    short_side, long_side = _read_sides(files, checkpoint.name)
    return TransformersDetector(
        network.requires_grad_(False).to(device),
        _read_tokenizer(files, network.config.text_config.vocab_size, checkpoint.name),
        short_side=short_side,
        long_side=long_side,
        dtype=dtype,
    )


def refuse_faulty(version: str, name: str) -> None:
    """Refuse versions 5.0 to 5.22 of ``transformers``: they number the tokens of prompts wrongly.

    The full stop behind a tag has the place of the tag's first token there, which changes all that
    these networks say.

    Raises:
        MissingDependencyError: it is such a version.
    """
    major, minor = map(int, version.split(".")[:2])
    if (5, 0) <= (major, minor) < (5, 23):
        raise MissingDependencyError(
            f"transformers {version} reads prompts wrongly, as 5.0 to 5.22 do, so that {name} "
            "would find other things; type: pip install 'transformers>=5.23'"
        )


def restore_heads(network: Any, weights: Mapping[str, Tensor]) -> None:
    """Give each decoder layer heads of its own, where the file has them.

    MM-Grounding-DINO and LLMDet are published so; unless the config says it too, ``transformers``
    lets all layers use the first one's, without a word, and the boxes are worthless.
    """
    for kind in ("bbox_embed", "class_embed"):
        heads = getattr(network, kind)
        for layer in range(1, len(heads)):
            names = (f"{kind}.{layer}.", f"model.decoder.{kind}.{layer}.")  # under which they are
            own = {
                key.removeprefix(name): tensor
                for name in names
                for key, tensor in weights.items()
                if key.startswith(name)
            }
            if own:
                heads[layer] = deepcopy(heads[layer])
                heads[layer].load_state_dict(own)
                setattr(network.model.decoder, kind, heads)


def _encode(network: Any, blocks: Sequence[Block]) -> Tensor:
    """Return the features of blocks: by itself each is a text like any other, and needs no mask."""
    ids = torch.tensor(blocks, device=network.device)
    hidden = network.model.text_backbone(ids).last_hidden_state
    features: Tensor = network.model.text_projection(hidden)
    return features


def _over(seen: _Seen, tokens: Tensor, network: Any) -> Any:
    """Return the network over images seen and prompts read; all else is shared with it."""
    inner, outer = copy(network.model), copy(network)
    inner._modules = inner._modules | {
        "backbone": _Recall(seen, network.model.backbone.position_embedding),
        "text_backbone": _RecallText(tokens),
        "text_projection": nn.Identity(),  # the features have been through it
    }
    outer._modules = {**outer._modules, "model": inner}
    return outer


def _with_room(pixels: Tensor, queries: int) -> tuple[Tensor, Tensor]:
    """Pad a sliver until it has a cell for each query: these networks never use fewer.

    Returns:
        The (B, 3, h, w) images and (B, h, w) int64, 0 where they were padded.
    """
    height, width = pixels.shape[-2:]
    short, long = sorted((height, width))
    cells = ceil(queries / ceil(long / _FINEST_STRIDE))  # wanted along the shorter side
    more = 0 if ceil(short / _FINEST_STRIDE) >= cells else cells * _FINEST_STRIDE - short
    padding = (0, 0, 0, more) if height <= width else (0, more)
    valid = torch.ones_like(pixels[:, 0], dtype=torch.long)
    return functional.pad(pixels, padding), functional.pad(valid, padding)


def _read_sides(files: Mapping[str, Path], name: str) -> tuple[int, int]:
    """Return the shorter and the longer side at which the network sees images."""
    if "preprocessor" not in files:
        return 800, 1333
    size = json.loads(files["preprocessor"].read_text("utf-8")).get("size")
    try:
        return int(size["shortest_edge"]), int(size["longest_edge"])
    except (KeyError, TypeError) as error:
        raise WeightsError(
            f"{name}: expected the preprocessor's size as shortest_edge and longest_edge, "
            f"got {size!r}"
        ) from error


def _read_tokenizer(files: Mapping[str, Path], vocab_size: int, name: str) -> PromptTokenizer:
    if "vocab" not in files:
        raise WeightsError(
            f"{name} has no vocab.txt; give BERT's: --weights detector.vocab=PATH on the command "
            "line"
        )
    tokenizer = read_tokenizer(files["vocab"], vocab_size, name)
    if tokenizer.block_ends != BLOCK_ENDS:
        raise WeightsError(
            f"{name}: expected [CLS], [SEP], '.' and '?' as the tokens {BLOCK_ENDS}, "
            f"got {tokenizer.block_ends}"
        )
    return tokenizer
