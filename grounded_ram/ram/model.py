"""RAM: an image encoder, one query a tag, and a head that lets each query look at the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from grounded_ram.ram.swin import SwinEncoder
from grounded_ram.ram.tag_decoder import TagDecoder, TaggingConfig

TEXT_PREFIXES = ("tag_encoder.", "text_decoder.")
"""Keys of the two networks that write captions."""

UNREAD_PREFIXES = (*TEXT_PREFIXES, "alignment.")
"""Keys of a checkpoint that tagging leaves unread: those, and in one that we trained those of what
aligns texts with images.

The tag encoder repeats weights that it shares with the tagging head; the head reads its own copy.
"""

DERIVED_SUFFIXES = (".relative_position_index", ".attn_mask")
"""Keys of an official checkpoint that follow from the sizes; timm computes them when built."""


@dataclass(frozen=True, kw_only=True)
class RAMConfig(TaggingConfig):
    """Sizes of RAM, on top of its image encoder's; the defaults are those of the official RAM.

    Raises:
        InputError: the sizes contradict each other.
    """

    num_tags: int = 4585
    image_proj_dim: int = 512
    """Channels of the image tokens that the head looks at."""
    label_dim: int = 512
    """Channels of a label embedding."""

    @property
    def memory_dim(self) -> int:
        """Channels of the image tokens that the head looks at: the projected ones."""
        return self.image_proj_dim


class TextQueryNetwork(nn.Module):
    """What RAM and RAM++ share: text embeddings of tags become queries, which look at the image.

    Args:
        config: the sizes.
        label_rows: text embeddings of the checkpoint's own tags. They start as random codes.
    """

    def __init__(self, config: RAMConfig, label_rows: int) -> None:
        super().__init__()
        self.config = config
        self.visual_encoder = SwinEncoder(config)
        self.image_proj = nn.Linear(config.out_dim, config.image_proj_dim)
        self.label_embed = nn.Parameter(torch.randn(label_rows, config.label_dim))
        self.wordvec_proj = nn.Linear(config.label_dim, config.head_width)
        self.tagging_head = TagDecoder(config.head_sizes())
        self.fc = nn.Linear(config.head_width, 1)

    def label_queries(self, label_embed: Tensor) -> Tensor:
        """Return the (..., L, head_width) queries of (..., L, label_dim) embeddings of tags."""
        return functional.relu(self.wordvec_proj(label_embed))

    def image_tokens(self, tokens: Tensor) -> Tensor:
        """Project the encoder's (B, 1 + N, C) tokens to (B, 1 + N, image_proj_dim)."""
        out: Tensor = self.image_proj(tokens)
        return out

    def decode(self, image_tokens: Tensor, queries: Tensor) -> Tensor:
        """Return the (B, L) logits of L queries, each asked of B images.

        Args:
            image_tokens: (B, 1 + N, image_proj_dim), as ``image_tokens`` returned them.
            queries: (L, head_width) for all images or (B, L, head_width), as ``label_queries``
                returned them.
        """
        batch = queries.expand(len(image_tokens), -1, -1)
        logits: Tensor = self.fc(self.tagging_head(batch, image_tokens))
        return logits.squeeze(-1)


class RAM(TextQueryNetwork):
    """Recognize Anything: one logit for each tag, with the official key names."""

    def __init__(self, config: RAMConfig) -> None:
        super().__init__(config, label_rows=config.num_tags)

    def label_queries(self, label_embed: Tensor | None = None) -> Tensor:
        """Return the (L, head_width) queries, which no image changes.

        Args:
            label_embed: (L, label_dim) embeddings of tags of the caller's choice; None means the
                checkpoint's own tags.
        """
        return super().label_queries(self.label_embed if label_embed is None else label_embed)

    def forward(self, images: Tensor, queries: Tensor | None = None) -> Tensor:
        """Return (B, L) logits for (B, 3, S, S) normalised images.

        Args:
            images: B images of the configured size.
            queries: what ``label_queries`` returned, to compute it once for many images.
        """
        if queries is None:
            queries = self.label_queries()
        tokens = self.visual_encoder(images).tokens
        return self.decode(self.image_tokens(tokens), queries)


def tagging_weights(
    state: Mapping[str, Tensor], unread: tuple[str, ...] = UNREAD_PREFIXES
) -> dict[str, Tensor]:
    """Pick from an official checkpoint what a network reads, under the names it has here.

    Every other key is kept as it is, so that loading fails on it.

    Args:
        state: the tensors of the checkpoint.
        unread: starts of the keys that this network has no use for.
    """
    return {
        # Older official files call the tagging head by another name.
        key.replace("vision_multi", "tagging_head"): value
        for key, value in state.items()
        if not key.startswith(unread) and not key.endswith(DERIVED_SUFFIXES)
    }
