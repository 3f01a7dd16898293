"""The auxiliary dense loss: what owns each cell of an encoder's feature maps.

Tags alone teach a small encoder almost nothing in the time a CPU has; telling every cell which
object, colour, pattern and action it shows teaches it far sooner. The heads are dropped afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from grounded_ram.scenes.catalog import ACTIONS, CATEGORIES, COLORS, PATTERNS
from grounded_ram.training.batches import Batch

_CLASSES = [len(CATEGORIES) + 1, len(COLORS), len(PATTERNS) + 1, len(ACTIONS)]
_BEHIND_WEIGHT = 0.15  # most cells show no object


class DenseHeads(nn.Module):
    """One linear layer a feature map: each cell's category (or behind), colour, pattern, action."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.GroupNorm(1, width), nn.Conv2d(width, sum(_CLASSES), 1))
            for width in channels
        )

    def forward(self, maps: Sequence[Tensor], batch: Batch) -> Tensor:
        """Return the mean loss over the maps, each (B, C, h, w) over the whole picture."""
        losses = [
            _cell_loss(head(features).float(), _cell_looks(batch, features.shape[-1]))
            for head, features in zip(self.heads, maps, strict=True)
        ]
        return torch.stack(losses).mean()


def _cell_looks(batch: Batch, side: int) -> Tensor:
    """Return (B, side, side, 4) looks of the pixel in the middle of each cell."""
    slots = batch.owners_at(side)
    return batch.looks[torch.arange(len(slots), device=slots.device).view(-1, 1, 1), slots]


def _cell_loss(logits: Tensor, looks: Tensor) -> Tensor:
    """Sum four cross-entropies over (B, K, h, w) logits; -1 is "behind" or, elsewhere, ignored."""
    category, color, pattern, action = torch.split(logits, _CLASSES, 1)
    weight = logits.new_ones(_CLASSES[0])
    weight[0] = _BEHIND_WEIGHT
    loss = functional.cross_entropy(category, looks[..., 0] + 1, weight)
    for part, column, share in ((color, 1, 0.5), (pattern, 2, 0.3), (action, 3, 0.5)):
        target = looks[..., column]
        if bool((target >= 0).any()):
            loss = loss + share * functional.cross_entropy(part, target, ignore_index=-1)
    return loss
