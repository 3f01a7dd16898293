"""Tag2Text: an image encoder, one learnt query a tag, and a classifier of its own for each tag.

Huang et al., "Tag2Text: Guiding Vision-Language Model via Image Tagging" (2023), section 3. What
writes captions is in ``captioner``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from grounded_ram.ram.swin import SwinEncoder
from grounded_ram.ram.tag_decoder import TagDecoder, TaggingConfig


@dataclass(frozen=True, kw_only=True)
class Tag2TextConfig(TaggingConfig):
    """Sizes of Tag2Text; the defaults are those of the official one, with Swin-B at 384 pixels.

    Raises:
        InputError: the sizes contradict each other.
    """

    embed_dim: int = 128
    """Channels of the first stage; each further stage has twice as many."""
    heads: tuple[int, ...] = (4, 8, 16, 32)
    """Attention heads of each stage."""
    num_tags: int = 3429


class TagClassifier(nn.Module):
    """A weight row and a bias for each tag; official keys ``fc.W`` and ``fc.b``."""

    def __init__(self, num_tags: int, width: int) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.empty(1, num_tags, width).uniform_(-(width**-0.5), width**-0.5))
        self.b = nn.Parameter(torch.zeros(1, num_tags))

    def forward(self, x: Tensor, rows: Tensor) -> Tensor:
        """Return (B, L) logits of the tags in the given rows (L,), for features x (B, L, width)."""
        return (self.W[:, rows] * x).sum(-1) + self.b[:, rows]


class Tag2Text(nn.Module):
    """The tagging half of Tag2Text: one logit for each tag, with the official key names."""

    def __init__(self, config: Tag2TextConfig) -> None:
        super().__init__()
        self.config = config
        self.visual_encoder = SwinEncoder(config)
        self.label_embed = nn.Embedding(config.num_tags, config.head_width)
        self.tagging_head = TagDecoder(config.head_sizes())
        self.fc = TagClassifier(config.num_tags, config.head_width)

    def label_queries(self) -> Tensor:
        """Return the (num_tags,) numbers by which ``decode`` knows the tags."""
        return torch.arange(self.config.num_tags, device=self.fc.b.device)

    def image_tokens(self, tokens: Tensor) -> Tensor:
        """Return the encoder's (B, 1 + N, C) tokens: the head looks at them as they are."""
        return tokens

    def decode(self, image_tokens: Tensor, queries: Tensor) -> Tensor:
        """Return the (B, L) logits of L tags, each looked for in B images.

        Args:
            image_tokens: (B, 1 + N, C), as ``image_tokens`` returned them.
            queries: (L,) numbers of tags, some of those that ``label_queries`` returned.
        """
        asked = self.label_embed(queries).expand(len(image_tokens), -1, -1)
        logits: Tensor = self.fc(self.tagging_head(asked, image_tokens), queries)
        return logits

    def forward(self, images: Tensor, queries: Tensor | None = None) -> Tensor:
        """Return (B, L) logits for (B, 3, S, S) normalised images.

        Args:
            images: B images of the configured size.
            queries: (L,) numbers of tags; None means all.
        """
        tokens = self.visual_encoder(images).tokens
        asked = self.label_queries() if queries is None else queries
        return self.decode(self.image_tokens(tokens), asked)
