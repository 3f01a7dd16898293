"""SAM's layers: the same sums, sooner.

Above all its attention with relative positions: the published layer writes down the score of each
token for each other, 800 MB in one layer of ViT-B that sees the whole image, three times over.
Here ``scaled_dot_product_attention`` works through them in pieces.
"""

from __future__ import annotations

from itertools import product

import torch
from segment_anything.modeling.common import LayerNorm2d, MLPBlock
from segment_anything.modeling.image_encoder import Attention, get_rel_pos
from segment_anything.modeling.transformer import Attention as TransformerAttention
from torch import Tensor
from torch.nn import functional

from grounded_ram.runtime import in_pieces

_SCORES_AT_ONCE = 2**22
"""Scores whose bias is written down at a time: 16 MB, which caches hold and no page faults slow."""


class PositionedAttention(Attention):  # type: ignore[misc]
    """SAM's ``Attention`` for inference; where gradients are wanted it computes as published."""

    def forward(self, x: Tensor) -> Tensor:
        """Return what (B, H, W, C) tokens see in each other, in the same shape."""
        if torch.is_grad_enabled():
            published: Tensor = super().forward(x)
            return published
        batch, height, width, channels = x.shape
        tokens = height * width
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        queries, keys, values = qkv.unbind(0)
        by_row = queries.unflatten(2, (height, width))
        down = get_rel_pos(height, height, self.rel_pos_h).to(queries.dtype)
        across = get_rel_pos(width, width, self.rel_pos_w).to(queries.dtype)
        seen = attend(
            queries,
            keys,
            values,
            torch.einsum("bnhwc,hkc->bnhwk", by_row, down).flatten(2, 3),
            torch.einsum("bnhwc,wkc->bnhwk", by_row, across).flatten(2, 3),
        )
        out: Tensor = self.proj(seen.transpose(1, 2).reshape(batch, height, width, channels))
        return out


class PiecewiseMLP(MLPBlock):  # type: ignore[misc]
    """SAM's ``MLPBlock``, some tokens at a time; where gradients are wanted it takes all."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., C) for (..., C)."""
        rows = x.flatten(0, -2)[None]
        return in_pieces(super().forward, rows, self.lin1.out_features).view(x.shape)


class PromptAttention(TransformerAttention):  # type: ignore[misc]
    """The mask decoder's ``Attention``, between prompts and image."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return what (B, N, C) queries see in (B, M, C) keys and values: (B, N, C)."""
        seen = functional.scaled_dot_product_attention(
            self._separate_heads(self.q_proj(q), self.num_heads),
            self._separate_heads(self.k_proj(k), self.num_heads),
            self._separate_heads(self.v_proj(v), self.num_heads),
        )
        out: Tensor = self.out_proj(self._recombine_heads(seen))
        return out


class FusedLayerNorm2d(LayerNorm2d):  # type: ignore[misc]
    """SAM's ``LayerNorm2d``, in one pass over the channels."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the (B, C, H, W) map, normalised at each place."""
        places = x.permute(0, 2, 3, 1)
        normalised = functional.layer_norm(
            places, places.shape[-1:], self.weight, self.bias, self.eps
        )
        return normalised.permute(0, 3, 1, 2)


FASTER = {
    Attention: PositionedAttention,
    TransformerAttention: PromptAttention,
    MLPBlock: PiecewiseMLP,
    LayerNorm2d: FusedLayerNorm2d,
}
"""For layers of SAM those that compute the same, sooner."""


def attend(queries: Tensor, keys: Tensor, values: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Let the tokens of a map attend to one another, biased by where they are.

    Args:
        queries: (B, heads, H * W, D),
        keys: likewise,
        values: likewise.
        down: (B, heads, H * W, H), the bias of each query for each row of the map.
        across: (B, heads, H * W, W), likewise for each column.

    Returns:
        (B, heads, H * W, D).
    """
    if queries.device.type == "cpu":
        return _attend_in_pieces(queries, keys, values, down[..., None], across[..., None, :])
    return attend_by_longer_keys(queries, keys, values, down, across)


def attend_by_longer_keys(
    queries: Tensor, keys: Tensor, values: Tensor, down: Tensor, across: Tensor
) -> Tensor:
    """Do what ``attend`` does with plain attention, for which a GPU has its fastest kernels.

    A bias is a further part of the product: behind each query stand its biases for all rows and
    columns, behind each key a one for its own row and its own column.
    """
    channels, height, width = queries.shape[-1], down.shape[-1], across.shape[-1]
    place = torch.arange(height * width, device=keys.device)
    own = [functional.one_hot(place // width, height), functional.one_hot(place % width, width)]
    places = torch.cat(own, -1).to(keys.dtype).expand(*keys.shape[:2], -1, -1)
    seen = functional.scaled_dot_product_attention(
        torch.cat([queries * channels**-0.5, down, across], -1),
        torch.cat([keys, places], -1),
        functional.pad(values, (0, height + width)),  # the kernels want one width of all three
        scale=1.0,
    )
    return seen[..., :channels]


def _attend_in_pieces(
    queries: Tensor, keys: Tensor, values: Tensor, down: Tensor, across: Tensor
) -> Tensor:
    """Do what ``attend`` does with the bias of a few queries at a time, always in one memory.

    Args:
        queries: as for ``attend``,
        keys: likewise,
        values: likewise.
        down: (B, heads, H * W, H, 1).
        across: (B, heads, H * W, 1, W).
    """
    batch, heads, tokens, channels = queries.shape
    at_once = min(tokens, max(1, _SCORES_AT_ONCE // tokens))
    windows = max(1, _SCORES_AT_ONCE // (heads * tokens * at_once))
    side = heads if heads * tokens * tokens <= _SCORES_AT_ONCE else 1
    memory = queries.new_empty(min(windows, batch), side, at_once, down.shape[3], across.shape[4])
    seen = queries.new_empty(batch, tokens, heads, channels).transpose(1, 2)
    for piece in product(
        _slices(batch, len(memory)), _slices(heads, side), _slices(tokens, at_once)
    ):
        q, h, w, out = (t[piece] for t in (queries, down, across, seen))
        k, v = keys[piece[:2]], values[piece[:2]]
        bias = memory[: q.shape[0], : q.shape[1], : q.shape[2]]
        torch.add(h, w, out=bias)
        out[:] = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias.flatten(3))
    return seen


def _slices(length: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, length, size)]
