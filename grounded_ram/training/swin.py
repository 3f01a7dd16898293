"""How a Swin starts to learn: from another one of its shape, or from looking around."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from grounded_ram.errors import WeightsError

_NEIGHBOURS = [(y, x) for y in (-1.0, 0.0, 1.0) for x in (-1.0, 0.0, 1.0) if y or x]


def load_swin(swin: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load the weights of a Swin into one of the same shape, whatever its outputs are for.

    The norms of the outputs differ between the two and keep their start values.

    Raises:
        WeightsError: a weight of a layer is missing.
    """
    report = swin.load_state_dict(dict(weights), strict=False)
    buffers = {name for name, _ in swin.named_buffers()}
    lost = [key for key in report.missing_keys if key not in buffers and key[:4] != "norm"]
    if lost:
        raise WeightsError(f"these weights are of another Swin: they lack {', '.join(lost)}")


def look_around(swin: nn.Module) -> None:
    """Let every attention head start by looking at one neighbour, each at another one.

    An attention that starts even must first learn to be local; heads that start like the taps of a
    convolution learn shapes sooner, after ConViT (d'Ascoli et al., 2021, section 3).

    Args:
        swin: its relative position tables, (2w - 1)^2 offsets by heads, are set in place.
    """
    for name, table in swin.named_parameters():
        if not name.endswith("relative_position_bias_table"):
            continue
        reach = (math.isqrt(len(table)) - 1) // 2
        line = torch.arange(-reach, reach + 1.0)
        offsets = torch.cartesian_prod(line, line)
        for head in range(table.shape[1]):
            neighbour = torch.tensor(_NEIGHBOURS[head % len(_NEIGHBOURS)])
            with torch.no_grad():
                table[:, head] = -(offsets - neighbour).square().sum(1)
