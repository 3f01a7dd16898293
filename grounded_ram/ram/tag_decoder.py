"""The tagging head: label queries look at the image, by cross-attention alone.

The labels never look at each other, so a label's logit does not depend on which others are asked.
The attribute names spell the official keys: ``encoder.layer.I.crossattention.self.query`` etc.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, cast

from torch import Tensor, nn
from torch.nn import functional

from grounded_ram.errors import InputError
from grounded_ram.ram.swin import SwinConfig

LAYER_NORM_EPS = 1e-12


@dataclass(frozen=True, kw_only=True)
class HeadSizes:
    """Sizes of the tagging head.

    Raises:
        InputError: the width cannot be split over the heads.
    """

    layers: int
    width: int
    """Channels of the queries."""
    memory_dim: int
    """Channels of the image tokens."""
    heads: int
    ffn: int
    """Channels inside the feed-forward network."""
    dropout: float

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise InputError(f"{self.width} channels cannot be split over {self.heads} heads")


@dataclass(frozen=True, kw_only=True)
class TaggingConfig(SwinConfig):
    """Sizes of an image encoder and a tagging head; the head's are those of all official models.

    Raises:
        InputError: the sizes contradict each other.
    """

    num_tags: int
    """Tags that the checkpoint knows."""
    head_width: int = 768
    """Channels of a query inside the head."""
    head_layers: int = 2
    """Layers of the head."""
    head_heads: int = 4
    """Attention heads of each of the head's layers."""
    head_ffn: int = 3072
    """Channels inside the head's feed-forward networks."""
    dropout: float = 0.1
    """In training: dropout inside the head."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.head_sizes()

    @property
    def memory_dim(self) -> int:
        """Channels of the image tokens that the head looks at: the encoder's own."""
        return self.out_dim

    def head_sizes(self) -> HeadSizes:
        """Return the sizes of the tagging head."""
        return HeadSizes(
            layers=self.head_layers,
            width=self.head_width,
            memory_dim=self.memory_dim,
            heads=self.head_heads,
            ffn=self.head_ffn,
            dropout=self.dropout,
        )


class KeysValues(NamedTuple):
    """What T tokens answer with when they are attended to: (B, heads, T, width / heads) each."""

    keys: Tensor
    values: Tensor


class AttentionProjections(nn.Module):
    """Multi-head attention up to, and without, the output projection."""

    def __init__(self, sizes: HeadSizes) -> None:
        super().__init__()
        self.heads = sizes.heads
        self.dropout = sizes.dropout
        self.query = nn.Linear(sizes.width, sizes.width)
        self.key = nn.Linear(sizes.memory_dim, sizes.width)
        self.value = nn.Linear(sizes.memory_dim, sizes.width)

    def forward(self, queries: Tensor, memory: Tensor) -> Tensor:
        """Return (B, L, width) for queries (B, L, width) and memory (B, T, memory_dim)."""
        return self.attend(queries, self.read(memory))

    def read(self, memory: Tensor) -> KeysValues:
        """Return the keys and values of memory (B, T, memory_dim), to compute them once."""
        return KeysValues(self._split(self.key(memory)), self._split(self.value(memory)))

    def attend(self, queries: Tensor, memory: KeysValues, sees: Tensor | None = None) -> Tensor:
        """Return (B, L, width) for queries (B, L, width).

        Args:
            queries: (B, L, width).
            memory: keys and values of T tokens, as ``read`` returned them.
            sees: bool that broadcasts to (B, heads, L, T), True where a query may attend.
        """
        attended = functional.scaled_dot_product_attention(
            self._split(self.query(queries)),
            memory.keys,
            memory.values,
            attn_mask=sees,
            dropout_p=self.dropout if self.training else 0.0,
        )
        return attended.transpose(1, 2).flatten(2)

    def _split(self, x: Tensor) -> Tensor:
        """Reshape (B, N, width) to (B, heads, N, width / heads)."""
        batch, n, width = x.shape
        return x.reshape(batch, n, self.heads, width // self.heads).transpose(1, 2)


class AddAndNorm(nn.Module):
    """Project, add to the residual, normalise."""

    def __init__(self, in_dim: int, sizes: HeadSizes) -> None:
        super().__init__()
        self.dense = nn.Linear(in_dim, sizes.width)
        self.LayerNorm = nn.LayerNorm(sizes.width, eps=LAYER_NORM_EPS)
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        """Return (B, L, width) for x (B, L, in_dim) and the residual (B, L, width)."""
        out: Tensor = self.LayerNorm(self.dropout(self.dense(x)) + residual)
        return out


class CrossAttention(nn.Module):
    """Attention of the queries to the image, with its residual."""

    def __init__(self, sizes: HeadSizes) -> None:
        super().__init__()
        self.self = AttentionProjections(sizes)
        self.output = AddAndNorm(sizes.width, sizes)

    def forward(self, queries: Tensor, memory: Tensor) -> Tensor:
        """Return (B, L, width) for queries (B, L, width) and memory (B, T, memory_dim)."""
        return self.look(queries, self.self.read(memory))

    def look(self, queries: Tensor, memory: KeysValues) -> Tensor:
        """Return (B, L, width) for queries (B, L, width) and a memory that was read before."""
        out: Tensor = self.output(self.self.attend(queries, memory), queries)
        return out


class Intermediate(nn.Module):
    """The first half of the feed-forward network."""

    def __init__(self, sizes: HeadSizes) -> None:
        super().__init__()
        self.dense = nn.Linear(sizes.width, sizes.ffn)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, L, ffn) for x (B, L, width)."""
        return functional.gelu(self.dense(x))


class TagDecoderLayer(nn.Module):
    """Cross-attention, then the feed-forward network, each followed by a LayerNorm."""

    def __init__(self, sizes: HeadSizes) -> None:
        super().__init__()
        self.crossattention = CrossAttention(sizes)
        self.intermediate = Intermediate(sizes)
        self.output = AddAndNorm(sizes.ffn, sizes)

    def forward(self, queries: Tensor, memory: Tensor) -> Tensor:
        """Return (B, L, width) for queries (B, L, width) and memory (B, T, memory_dim)."""
        attended = self.crossattention(queries, memory)
        out: Tensor = self.output(self.intermediate(attended), attended)
        return out


class TagDecoderLayers(nn.Module):
    """The layers, under the official name ``layer``."""

    def __init__(self, sizes: HeadSizes) -> None:
        super().__init__()
        self.layer = nn.ModuleList(TagDecoderLayer(sizes) for _ in range(sizes.layers))

    def forward(self, queries: Tensor, memory: Tensor) -> Tensor:
        """Return (B, L, width) for queries (B, L, width) and memory (B, T, memory_dim)."""
        for layer in self.layer:
            queries = layer(queries, memory)
        return queries


class TagDecoder(nn.Module):
    """The tagging head; official keys ``tagging_head.*``."""

    def __init__(self, sizes: HeadSizes) -> None:
        super().__init__()
        self.encoder = TagDecoderLayers(sizes)
        self.apply(_init_linear)

    @property
    def layers(self) -> list[TagDecoderLayer]:
        """The layers, the first one first."""
        return cast("list[TagDecoderLayer]", list(self.encoder.layer))

    def forward(self, queries: Tensor, memory: Tensor) -> Tensor:
        """Return (B, L, width) for queries (B, L, width) and image tokens (B, T, memory_dim)."""
        out: Tensor = self.encoder(queries, memory)
        return out


def _init_linear(module: nn.Module) -> None:
    """Give linear layers the start that BERT is trained from."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
