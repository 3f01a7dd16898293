"""One Swin teaches the other: RAM's image encoder and the detector's backbone share their shape."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from grounded_ram.errors import WeightsError


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
