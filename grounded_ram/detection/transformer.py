"""The two halves of Grounding-DINO's transformer, over the layers of the ``groundingdino`` module.

The layers are the module's own. The loops around them are written here, since the module's fix
the width of the position embeddings at 256, mix up the text masks of a batch of unlike prompts,
and keep the results of the inner layers, which training needs, to themselves.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from grounded_ram.detection.config import GroundingDINOConfig
from grounded_ram.detection.deformable import DEVICES
from grounded_ram.runtime import in_pieces

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports timm by an old name, and has unescaped backslashes
    from groundingdino.models.GroundingDINO.fuse_modules import BiAttentionBlock
    from groundingdino.models.GroundingDINO.transformer import (
        DeformableTransformerDecoderLayer,
        DeformableTransformerEncoderLayer,
    )
    from groundingdino.models.GroundingDINO.transformer_vanilla import TransformerEncoderLayer
    from groundingdino.models.GroundingDINO.utils import MLP
    from groundingdino.util.misc import inverse_sigmoid


@dataclass(frozen=True, eq=False)
class ImageFeatures:
    """B images as S tokens of width C, the levels one after another.

    Args:
        tokens: (B, S, C) features.
        position: (B, S, C) position and level embedding.
        padding: (B, S) bool, True on padding.
        shapes: (height, width) of each of the V levels.
        valid: (B, V, 2) the part of each level's (width, height) that is not padding.
    """

    tokens: Tensor
    position: Tensor
    padding: Tensor
    shapes: tuple[tuple[int, int], ...]
    valid: Tensor

    def take(self, rows: Sequence[int]) -> ImageFeatures:
        """Return the images of the given rows, which may repeat."""
        index = torch.tensor(rows, device=self.tokens.device)
        tokens, position, padding = self.tokens[index], self.position[index], self.padding[index]
        return ImageFeatures(tokens, position, padding, self.shapes, self.valid[index])

    def maps(self) -> list[Tensor]:
        """Return the features of each level as a (B, C, height, width) map."""
        levels = torch.split(self.tokens.mT, [height * width for height, width in self.shapes], -1)
        return [
            level.reshape(*level.shape[:2], *size)
            for level, size in zip(levels, self.shapes, strict=True)
        ]

    @property
    def shape_tensors(self) -> dict[str, Tensor]:
        """The levels' shapes (V, 2) and first tokens (V,), as the deformable layers take them.

        Without gradients those read the shapes only on the CPU, and a GPU need not be waited for.
        """
        device = self.tokens.device
        if device.type in DEVICES and not torch.is_grad_enabled():
            device = torch.device("cpu")
        shapes = torch.tensor(self.shapes, device=device)
        sizes = shapes.prod(1)
        return {"spatial_shapes": shapes, "level_start_index": sizes.cumsum(0) - sizes}

    def centers(self) -> Tensor:
        """Return (B, S, 2) the (x, y) centre of each token's cell; 1 is where the picture ends."""
        return torch.cat(
            [
                _grid(h, w, self.valid) / self.valid[:, None, level]
                for level, (h, w) in enumerate(self.shapes)
            ],
            1,
        )


@dataclass(frozen=True, eq=False)
class TextFeatures:
    """B prompts as L tokens of width C; the masks are those of ``PromptBatch``."""

    tokens: Tensor
    real: Tensor
    sees: Tensor
    positions: Tensor


def sine_embedding(values: Tensor, width: int) -> Tensor:
    """Embed (..., n) numbers as (..., n * width) sines and cosines, taking turns."""
    index = torch.arange(width, device=values.device).div(2, rounding_mode="floor")
    wavelength = torch.tensor(10000.0, device=values.device) ** (2 * index / width)
    angle = values[..., None] * (2 * math.pi) / wavelength
    waves = torch.stack([angle[..., 0::2].sin(), angle[..., 1::2].cos()], -1)
    return waves.flatten(-3)


class EncoderLayer(DeformableTransformerEncoderLayer):  # type: ignore[misc]
    """The module's layer, with a feed-forward block that takes some tokens at a time."""

    def forward_ffn(self, src: Tensor) -> Tensor:
        """Return the (B, S, C) tokens after the feed-forward block."""
        return in_pieces(super().forward_ffn, src, self.linear1.out_features)


class Encoder(nn.Module):
    """Lets image and text look at each other, then each at itself, layer by layer."""

    def __init__(self, config: GroundingDINOConfig) -> None:
        super().__init__()
        width, half_heads = config.hidden_dim, config.nheads // 2
        half_ffn, layers = config.dim_feedforward // 2, range(config.enc_layers)
        self.half_heads = half_heads
        self.layers = nn.ModuleList(
            EncoderLayer(
                d_model=width,
                d_ffn=config.dim_feedforward,
                dropout=0.0,
                n_levels=config.num_feature_levels,
                n_heads=config.nheads,
                n_points=config.enc_n_points,
            )
            for _ in layers
        )
        self.text_layers = nn.ModuleList(
            TransformerEncoderLayer(width, half_heads, dim_feedforward=half_ffn, dropout=0.0)
            for _ in layers
        )
        self.fusion_layers = nn.ModuleList(
            BiAttentionBlock(
                v_dim=width,
                l_dim=width,
                embed_dim=half_ffn,
                num_heads=half_heads,
                dropout=0.0,
                drop_path=config.fusion_droppath,
            )
            for _ in layers
        )

    def forward(self, image: ImageFeatures, text: TextFeatures) -> tuple[Tensor, Tensor]:
        """Return the image tokens (B, S, C) and the text tokens (B, L, C)."""
        pixels, words = image.tokens, text.tokens
        word_position = sine_embedding(text.positions[..., None], words.shape[-1]).transpose(0, 1)
        # One mask a head, the heads of an image side by side, which is the order attention wants.
        hidden = (~text.sees).repeat_interleave(self.half_heads, 0)
        references = image.centers()[:, :, None] * image.valid[:, None]
        shapes = image.shape_tensors
        for fuse, read, look in zip(self.fusion_layers, self.text_layers, self.layers, strict=True):
            pixels, words = fuse(
                v=pixels, l=words, attention_mask_v=image.padding, attention_mask_l=~text.real
            )
            words = read(words.transpose(0, 1), src_mask=hidden, pos=word_position).transpose(0, 1)
            pixels = look(
                src=pixels,
                pos=image.position,
                reference_points=references,
                key_padding_mask=image.padding,
                **shapes,
            )
        return pixels, words


class DecoderLayer(DeformableTransformerDecoderLayer):  # type: ignore[misc]
    """The module's layer, less its deprecated way of leaving autocast."""

    def forward_ffn(self, tgt: Tensor) -> Tensor:
        """Return the (Q, B, C) queries after the feed-forward block."""
        with torch.autocast(tgt.device.type, enabled=False):
            queries = tgt.float()
            hidden = self.dropout3(self.activation(self.linear1(queries)))
            queries = queries + self.dropout4(self.linear2(hidden))
        normalised: Tensor = self.norm3(queries)
        return normalised


class Decoder(nn.Module):
    """Moves boxes onto objects, layer by layer."""

    def __init__(self, config: GroundingDINOConfig, box_heads: nn.ModuleList) -> None:
        super().__init__()
        width = config.hidden_dim
        self.layers = nn.ModuleList(
            DecoderLayer(
                d_model=width,
                d_ffn=config.dim_feedforward,
                dropout=0.0,
                n_levels=config.num_feature_levels,
                n_heads=config.nheads,
                n_points=config.dec_n_points,
                use_text_cross_attention=True,
            )
            for _ in range(config.dec_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.ref_point_head = MLP(2 * width, width, width, 2)
        self.bbox_embed = box_heads

    def forward(
        self, queries: Tensor, boxes: Tensor, image: ImageFeatures, text: TextFeatures
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Refine Q boxes; ``image`` and ``text`` hold what the encoder returned.

        Args:
            queries: (B, Q, C) features to start from.
            boxes: (B, Q, 4) cxcywh to start from, in [0, 1].
            image: the image tokens.
            text: the text tokens.

        Returns:
            For each layer its queries (B, Q, C) and its boxes (B, Q, 4).
        """
        shapes = image.shape_tensors
        scale = image.valid.repeat(1, 1, 2)[:, None]
        half, queries = queries.shape[-1] // 2, queries.transpose(0, 1)
        seen, found, start = [], [], boxes
        for layer, box_head in zip(self.layers, self.bbox_embed, strict=True):
            references = boxes[:, :, None] * scale  # (B, Q, V, 4)
            waves = sine_embedding(references[:, :, 0, [1, 0, 2, 3]], half)
            queries = layer(
                tgt=queries,
                tgt_query_pos=self.ref_point_head(waves).transpose(0, 1),
                tgt_reference_points=references.transpose(0, 1),
                memory_text=text.tokens,
                text_attention_mask=~text.real,
                memory=image.tokens.transpose(0, 1),
                memory_key_padding_mask=image.padding,
                memory_spatial_shapes=shapes["spatial_shapes"],
                memory_level_start_index=shapes["level_start_index"],
            )
            normalised = self.norm(queries).transpose(0, 1)
            seen.append(normalised)
            found.append((box_head(normalised) + inverse_sigmoid(start)).sigmoid())
            # The next layer starts from the box of the queries before the norm; gradients reach it
            # through that layer's own box, not through where it looks.
            start = (box_head(queries.transpose(0, 1)) + inverse_sigmoid(boxes)).sigmoid()
            boxes = start.detach()
        return seen, found


def _grid(height: int, width: int, like: Tensor) -> Tensor:
    """Return (1, height * width, 2) the (x, y) centres of a level's cells, in [0, 1]."""
    y = (torch.arange(height, device=like.device, dtype=like.dtype) + 0.5) / height
    x = (torch.arange(width, device=like.device, dtype=like.dtype) + 0.5) / width
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(1, -1, 2)
