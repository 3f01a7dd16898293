"""Deformable attention (Zhu et al., "Deformable DETR", 2021): each query looks at a few points.

The ``groundingdino`` module samples one level after the other, by ``grid_sample``, and keeps every
sample. Here a query's samples of all levels are one weighted sum of rows, an ``embedding_bag``.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # as in transformer.py
    from groundingdino.models.GroundingDINO.ms_deform_attn import MultiScaleDeformableAttention

DEVICES = ("cpu", "cuda")
"""Where torch has all that ``sample`` needs; elsewhere layers compute as published."""

_SAMPLES_AT_ONCE = 2**17
"""Points whose places are worked out at a time on a CPU: what caches hold."""


class SummedAttention(MultiScaleDeformableAttention):  # type: ignore[misc]
    """The module's layer for inference; where gradients are wanted it computes as published."""

    def forward(
        self,
        query: Tensor,
        *,
        value: Tensor,
        reference_points: Tensor,
        spatial_shapes: Tensor,
        key_padding_mask: Tensor | None = None,
        **others: Tensor,
    ) -> Tensor:
        """Return the (B, Q, C) that (B, Q, C) queries see.

        Args:
            query: with their positions added.
            value: (B, S, C) what is looked at, the levels one after another.
            reference_points: (B, Q, V, 2) points or (B, Q, V, 4) boxes cxcywh, in [0, 1].
            spatial_shapes: (V, 2) heights and widths of the levels.
            key_padding_mask: (B, S) bool, True where nothing is to be seen.
            others: what only the published way of computing needs.
        """
        if torch.is_grad_enabled() or query.device.type not in DEVICES:
            published: Tensor = super().forward(
                query=query,
                value=value,
                reference_points=reference_points,
                spatial_shapes=spatial_shapes,
                key_padding_mask=key_padding_mask,
                **others,
            )
            return published
        heads, levels, points = self.num_heads, self.num_levels, self.num_points
        seen = self.value_proj(value)
        if key_padding_mask is not None:
            seen = seen.masked_fill(key_padding_mask[..., None], 0.0)
        weights = self.attention_weights(query).unflatten(-1, (heads, levels * points))
        sampled = sample(
            seen.float().unflatten(-1, (heads, -1)),
            [(int(height), int(width)) for height, width in spatial_shapes.tolist()],
            references=reference_points.float(),
            offsets=self.sampling_offsets(query).float().unflatten(-1, (heads, levels, points, 2)),
            weights=weights.float().softmax(-1).unflatten(-1, (levels, points)),
        )
        out: Tensor = self.output_proj(sampled.flatten(2))
        return out


def sample(
    values: Tensor,
    shapes: Sequence[tuple[int, int]],
    *,
    references: Tensor,
    offsets: Tensor,
    weights: Tensor,
) -> Tensor:
    """Sum bilinear samples of maps; outside of a map there is nothing to see.

    Args:
        values: (B, S, heads, D) float32, the cells of V maps one after another, row by row.
        shapes: height and width of each map.
        references: (B, Q, V, 2) the points from which offsets count, (x, y) in [0, 1] of each map;
            or (B, Q, V, 4) boxes cxcywh, of whose halves offsets are parts.
        offsets: (B, Q, heads, V, P, 2): in cells of each map; of boxes, in P-ths of their halves.
        weights: (B, Q, heads, V, P).

    Returns:
        (B, Q, heads, D).
    """
    batch, _, heads, _ = values.shape
    sizes = references.new_tensor([[width, height] for height, width in shapes])
    centers = (references[..., :2] * sizes - 0.5)[:, :, None, :, None]
    if references.shape[-1] == 4:
        halves = references[..., 2:] * sizes / 2
        offsets = offsets * (halves / offsets.shape[-2])[:, :, None, :, None]
    table = _with_border(values, shapes).flatten(0, 2)
    steps, starts = _layout(shapes, values.device)
    first = torch.arange(heads, dtype=torch.int32, device=values.device)  # a head's first row
    cells = len(table) // (batch * heads)
    out = torch.empty_like(values[:, :1]).repeat(1, offsets.shape[1], 1, 1)
    at_once = offsets.shape[1]
    if values.device.type == "cpu":
        at_once = max(1, min(at_once, _SAMPLES_AT_ONCE // weights[0, 0].numel()))
    for image in range(batch):
        for start in range(0, offsets.shape[1], at_once):
            some = slice(start, start + at_once)
            places = centers[image, some] + offsets[image, some]
            cell, share = _corners(places, weights[image, some], sizes, steps, starts)
            rows = (cell + image * cells) * heads + first[:, None, None, None]
            summed = functional.embedding_bag(
                rows.flatten(2).flatten(0, 1),
                table,
                mode="sum",
                per_sample_weights=share.flatten(2).flatten(0, 1),
            )
            out[image, some] = summed.view(-1, heads, summed.shape[-1])
    return out


def _with_border(values: Tensor, shapes: Sequence[tuple[int, int]]) -> Tensor:
    """Return the maps of (B, S, heads, D) values with a border of zeros, one after another."""
    levels = torch.split(values, [height * width for height, width in shapes], 1)
    room = (0, 0, 0, 0, 1, 2, 1, 2)
    framed = [
        functional.pad(level.reshape(len(values), *shape, *values.shape[2:]), room).flatten(1, 2)
        for level, shape in zip(levels, shapes, strict=True)
    ]
    return torch.cat(framed, 1)


def _layout(shapes: Sequence[tuple[int, int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return (V, 2) what a step in x and in y adds to a cell's number, and (V,) where maps start.

    The numbers are those of maps with their border, and the cell (0, 0) of a map is behind it.
    """
    steps, starts, start = [], [], 0
    for height, width in shapes:
        line = width + 3
        steps.append([1, line])
        starts.append(start + line + 1)
        start += (height + 3) * line
    return (
        torch.tensor(steps, dtype=torch.float32, device=device),
        torch.tensor(starts, dtype=torch.int32, device=device),
    )


def _corners(
    places: Tensor, weights: Tensor, sizes: Tensor, steps: Tensor, starts: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the four cells around each place, and what each weighs.

    Args:
        places: (Q, heads, V, P, 2) in cells, (0, 0) being the middle of a map's first.
        weights: (Q, heads, V, P).
        sizes: (V, 2) width and height of each map.
        steps: as ``_layout`` returns them,
        starts: likewise.

    Returns:
        Numbers and weights, (Q, heads, V, P, 4) int32 and float32.
    """
    x, y = (
        torch.minimum(one.contiguous().clamp_(min=-1.0), most[:, None])
        for one, most in zip(places.unbind(-1), sizes.unbind(-1), strict=True)
    )
    left, top = x.floor(), y.floor()
    right, down = x.sub_(left), y.sub_(top)
    number = top.mul_(steps[:, 1:]).add_(left).to(torch.int32) + starts[:, None]
    around = torch.stack([steps[:, 0] * 0, steps[:, 0], steps[:, 1], steps.sum(1)], -1)
    cells = number[..., None] + around.to(torch.int32)[:, None]
    share = torch.empty_like(cells, dtype=torch.float32)
    lower = weights * down
    upper = weights - lower
    torch.mul(upper, right, out=share[..., 1])
    torch.sub(upper, share[..., 1], out=share[..., 0])
    torch.mul(lower, right, out=share[..., 3])
    torch.sub(lower, share[..., 3], out=share[..., 2])
    return cells, share
