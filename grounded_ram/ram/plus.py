"""RAM++: RAM whose tags are sets of descriptions, weighed anew for each image.

Huang et al., "Open-Set Image Tagging with Multi-Grained Text Supervision" (2023): a language model
describes each tag in many ways, and the image decides which descriptions make the tag's query.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from grounded_ram.errors import InputError
from grounded_ram.ram.model import RAMConfig, TextQueryNetwork


@dataclass(frozen=True, kw_only=True)
class RAMPlusConfig(RAMConfig):
    """Sizes of RAM++; the defaults are those of the official RAM++.

    Raises:
        InputError: the sizes contradict each other.
    """

    descriptions: int = 51
    """Descriptions of each tag that the checkpoint knows."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image_proj_dim != self.label_dim:
            raise InputError(
                "descriptions are compared with the projected image: expected one image_proj_dim "
                f"and label_dim, got {self.image_proj_dim} and {self.label_dim}"
            )


class RAMPlus(TextQueryNetwork):
    """Recognize Anything Plus: one logit for each tag, with the official key names.

    The tags of a pass come in blocks: the tags of a block have equally many descriptions, K. A
    block is never copied, however many images look at it.
    """

    config: RAMPlusConfig

    def __init__(self, config: RAMPlusConfig) -> None:
        super().__init__(config, label_rows=config.num_tags * config.descriptions)
        self.reweight_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def descriptions(self) -> Tensor:
        """Return the checkpoint's own block, (num_tags, descriptions, label_dim): no copy."""
        return self.label_embed.view(self.config.num_tags, self.config.descriptions, -1)

    def description_weights(self, class_tokens: Tensor, block: Tensor) -> Tensor:
        """Return how much each description counts in each image, (B, L, K), 1 in all for each tag.

        Args:
            class_tokens: (B, label_dim), the first of ``image_tokens``.
            block: (L, K, label_dim) embeddings, used as they are.
        """
        directions = nn.functional.normalize(class_tokens, dim=-1)
        likeness = torch.einsum("bd,lkd->blk", directions, block)
        return (self.reweight_scale.exp() * likeness).softmax(dim=-1)

    def label_embeddings(self, class_tokens: Tensor, block: Tensor) -> Tensor:
        """Return the (B, L, label_dim) embeddings of tags, made for each image.

        Args:
            class_tokens: (B, label_dim), the first of ``image_tokens``.
            block: (L, K, label_dim) embeddings of the tags' descriptions.
        """
        # A shorter type would copy the whole block for each image, and lose digits of the weights.
        with torch.autocast(class_tokens.device.type, enabled=False):
            weights = self.description_weights(class_tokens.float(), block)
            return torch.einsum("blk,lkd->bld", weights, block)

    def forward(self, images: Tensor, blocks: Sequence[Tensor] | None = None) -> Tensor:
        """Return (B, L) logits for (B, 3, S, S) normalised images.

        Args:
            images: B images of the configured size.
            blocks: (L_i, K_i, label_dim) embeddings of descriptions, the L_i adding up to L; None
                means the checkpoint's own.
        """
        return self.tag_logits(self.image_tokens(self.visual_encoder(images).tokens), blocks)

    def tag_logits(self, image_tokens: Tensor, blocks: Sequence[Tensor] | None = None) -> Tensor:
        """Return (B, L) logits of tags for (B, 1 + N, image_proj_dim) image tokens.

        Args:
            image_tokens: as ``image_tokens`` returned them.
            blocks: as ``forward`` takes them.
        """
        asked = [self.descriptions()] if blocks is None else blocks
        embeddings = [self.label_embeddings(image_tokens[:, 0], block) for block in asked]
        return self.decode(image_tokens, self.label_queries(torch.cat(embeddings, dim=1)))

    def text_logits(self, image_tokens: Tensor, texts: Tensor) -> Tensor:
        """Return the (B, M) logits of M texts, each asked of B images as if it were a tag.

        Training aligns captions with images by them (section 3.2); retrieval ranks by them.

        Args:
            image_tokens: (B, 1 + N, image_proj_dim), as ``image_tokens`` returned them.
            texts: (M, label_dim) embeddings of the texts, as CLIP's text encoder makes them.
        """
        return self.decode(image_tokens, self.label_queries(texts))
