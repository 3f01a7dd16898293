"""Layers of the ``groundingdino`` module: the same sums, sooner.

Each computes as published where gradients are wanted.
"""

from __future__ import annotations

import warnings
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from grounded_ram.runtime import in_pieces

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # as in transformer.py
    from groundingdino.models.GroundingDINO.backbone.swin_transformer import Mlp, WindowAttention
    from groundingdino.models.GroundingDINO.fuse_modules import BiMultiHeadAttention


class FusedWindowAttention(WindowAttention):  # type: ignore[misc]
    """Attention within the windows of the image backbone."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return what the N tokens of each window see in each other.

        Args:
            x: (B * windows, N, C).
            mask: (windows, N, N), added to the scores.
        """
        if torch.is_grad_enabled():
            published: Tensor = super().forward(x, mask)
            return published
        count, tokens, _ = x.shape
        qkv = self.qkv(x).reshape(count, tokens, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        near = self.relative_position_bias_table[self.relative_position_index.flatten()]
        bias = near.reshape(1, tokens, tokens, -1).permute(0, 3, 1, 2)
        if mask is not None:
            images = count // len(mask)
            bias = (bias + mask[:, None]).expand(images, -1, -1, -1, -1).flatten(0, 1)
        q, k, v = qkv.unbind(0)
        seen = functional.scaled_dot_product_attention(
            q, k, v, attn_mask=bias.to(q.dtype), scale=self.scale
        )
        out: Tensor = self.proj(seen.transpose(1, 2).flatten(2))
        return out


class PiecewiseMLP(Mlp):  # type: ignore[misc]
    """The image backbone's feed-forward block, some tokens at a time."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, N, C) for (B, N, C)."""
        return in_pieces(super().forward, x, self.fc1.out_features)


class FoldedBiAttention(BiMultiHeadAttention):  # type: ignore[misc]
    """Image and text looking at each other, with the image's projections folded into the text.

    As published, each of S image tokens is projected to the heads' 1024 channels, twice, and back.
    But ``(W v) . k`` is ``v . (W' k)``: projecting the L words, of which there are far fewer, the
    other way leaves products of the image's own C channels with heads x L vectors. Likewise for
    what is seen: the sum of projected values is the projected sum.
    """

    def forward(
        self,
        v: Tensor,
        l: Tensor,  # noqa: E741  # the module's names
        attention_mask_v: Tensor | None = None,
        attention_mask_l: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return what the image sees in the text, and what the text sees in the image.

        Args:
            v: (B, S, C) image tokens.
            l: (B, L, C) text tokens.
            attention_mask_v: (B, S) bool, True on padding.
            attention_mask_l: (B, L) bool, True on padding.

        Returns:
            (B, S, C) and (B, L, C).
        """
        if torch.is_grad_enabled():
            published: tuple[Tensor, Tensor] = super().forward(
                v, l, attention_mask_v, attention_mask_l
            )
            return published
        heads = self.num_heads, self.head_dim
        keys = (self.l_proj(l) * self.scale).unflatten(-1, heads)
        words = torch.einsum("blnd,ndc->bnlc", keys, self.v_proj.weight.unflatten(0, heads))
        offset = torch.einsum("blnd,nd->bnl", keys, self.v_proj.bias.unflatten(0, heads))
        values = self.values_l_proj(l).unflatten(-1, heads)
        back = torch.einsum("blnd,cnd->bnlc", values, self.out_v_proj.weight.unflatten(-1, heads))
        if attention_mask_l is not None:
            offset = offset.masked_fill(attention_mask_l[:, None], -torch.inf)
        words, back = words.flatten(1, 2), back.flatten(1, 2)
        read = in_pieces(partial(_read, words.mT, offset, back), v, words.shape[1])
        return read + self.out_v_proj.bias, self._look(words, v, attention_mask_v)

    def _look(self, words: Tensor, v: Tensor, padding: Tensor | None) -> Tensor:
        """Return the (B, L, C) that the text sees in the image.

        Args:
            words: (B, heads * L, C) what image tokens are to be compared with.
            v: (B, S, C) image tokens.
            padding: (B, S) bool, True on padding.
        """
        scores = words @ v.mT
        if padding is not None:
            scores = scores.masked_fill(padding[:, None], -torch.inf)
        summed = scores.softmax(-1).to(v.dtype) @ v
        summed = summed.view(len(v), self.num_heads, -1, v.shape[-1])
        projection = self.values_v_proj.weight.view(self.num_heads, self.head_dim, -1)
        seen = torch.einsum("bnlc,ndc->blnd", summed, projection).flatten(2)
        out: Tensor = self.out_l_proj(seen + self.values_v_proj.bias)
        return out


def _read(words: Tensor, offset: Tensor, back: Tensor, pixels: Tensor) -> Tensor:
    """Return the (B, n, C) that (B, n, C) image tokens see in the text.

    Args:
        words: (B, C, heads * L) what the words are to be compared by,
        offset: (B, heads, L) what their likeness begins with,
        back: (B, heads * L, C) and what is seen of them.
        pixels: the image tokens.
    """
    scores = (pixels @ words).view(*pixels.shape[:2], *offset.shape[1:]) + offset[:, None]
    read: Tensor = scores.softmax(-1).to(back.dtype).flatten(2) @ back
    return read
