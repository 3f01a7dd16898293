"""The sizes of a Grounding-DINO network; the defaults are those of the official Swin-T model.

Fields bear the names of the official configuration files where those have one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from grounded_ram.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class SwinConfig:
    """Sizes of the image backbone."""

    patch_size: int = 4
    embed_dim: int = 96
    depths: tuple[int, ...] = (2, 2, 6, 2)
    num_heads: tuple[int, ...] = (3, 6, 12, 24)
    window_size: int = 7
    out_indices: tuple[int, ...] = (1, 2, 3)
    """Stages whose output is used; stage i has stride patch_size * 2**i."""
    drop_path: float = 0.0
    """Stochastic depth; only training feels it."""


@dataclass(frozen=True, kw_only=True)
class BertConfig:
    """Sizes of the text encoder."""

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    dropout: float = 0.0
    """On hidden states and attention; only training feels it."""


@dataclass(frozen=True, kw_only=True)
class GroundingDINOConfig:
    """Sizes of the whole network."""

    swin: SwinConfig = field(default_factory=SwinConfig)
    bert: BertConfig = field(default_factory=BertConfig)
    hidden_dim: int = 256
    """Width of the transformer; a multiple of 32 and of nheads."""
    nheads: int = 8
    """Heads of the image layers and the decoder; the text and fusion layers have half as many."""
    dim_feedforward: int = 2048
    enc_layers: int = 6
    dec_layers: int = 6
    num_queries: int = 900
    num_feature_levels: int = 4
    """At least the number of Swin stages used; further levels halve the last one."""
    enc_n_points: int = 4
    dec_n_points: int = 4
    embed_init_tgt: bool = True
    """Queries start from learned vectors; otherwise from the features of the best proposals."""
    max_text_len: int = 256
    """Longest prompt in tokens, [CLS] and [SEP] counted."""
    fusion_droppath: float = 0.1
    """Stochastic depth of the fusion layers; only training feels it."""

    def __post_init__(self) -> None:
        if self.hidden_dim % 32 or self.hidden_dim % self.nheads or self.nheads % 2:
            raise InputError(
                f"hidden_dim must be a multiple of 32 and of an even nheads, "
                f"got hidden_dim={self.hidden_dim}, nheads={self.nheads}"
            )
        if self.num_feature_levels < len(self.swin.out_indices):
            raise InputError(
                f"num_feature_levels={self.num_feature_levels} is fewer than "
                f"swin.out_indices={self.swin.out_indices}"
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GroundingDINOConfig:
        """Read a config from parsed JSON.

        Raises:
            InputError: a key is unknown, or the sizes do not fit together.
        """
        nested = {"swin": SwinConfig, "bert": BertConfig}
        read = {k: _read(nested[k], v, k) if k in nested else v for k, v in values.items()}
        return _read(cls, read, "model")


@dataclass(frozen=True, kw_only=True)
class DetectorConfig:
    """A checkpoint's "config" file: the network, and the size at which it sees images."""

    model: GroundingDINOConfig = field(default_factory=GroundingDINOConfig)
    short_side: int = 800
    """An image is resized so that its shorter side has this many pixels,"""
    long_side: int = 1333
    """but its longer side no more than this many."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DetectorConfig:
        """Read a config from parsed JSON.

        Raises:
            InputError: a key is unknown, or the sizes do not fit together.
        """
        model = GroundingDINOConfig.from_dict(values.get("model", {}))
        return _read(cls, {**values, "model": model}, "the detector's config")


def _read(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(values.keys() - known):
        raise InputError(
            f"unknown keys in {where}: {', '.join(unknown)}; known: {', '.join(sorted(known))}"
        )
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
