"""Small masks blown up to the size of a photograph, only where they can be positive.

Bilinear interpolation averages: where all logits around are negative, so is the result. Whole
masks of a photograph of 12 megapixels take 48 MB each in float32, most of them for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from grounded_ram.runtime import PIECE_NUMBERS


@dataclass(frozen=True)
class Step:
    """One bilinear resizing, without aligned corners, of which the upper left part is kept.

    Args:
        size_hw: size after it.
        kept_hw: size of the part that is kept; None keeps all.
    """

    size_hw: tuple[int, int]
    kept_hw: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class Window:
    """The part of a mask in which all its pixels lie.

    Args:
        top: first row.
        left: first column.
        mask: (h, w) bool; h and w may be 0.
    """

    top: int
    left: int
    mask: Tensor


@dataclass(frozen=True)
class _Axis:
    """One axis of one step: ``scale`` input cells an output cell, of which there are ``kept``."""

    cells: int
    size: int
    kept: int

    @property
    def is_whole(self) -> bool:
        """Whether each input cell becomes so and so many whole output cells."""
        return self.size % self.cells == 0

    @property
    def scale(self) -> float:
        return self.cells / self.size

    def reach(self, positive: range) -> range:
        """Return the outputs that can be positive where only these inputs are."""
        first = math.floor((positive.start - 0.5) / self.scale - 0.5)
        last = math.ceil((positive.stop + 0.5) / self.scale - 0.5)
        return range(max(0, first), min(self.kept, last + 1))

    def needs(self, outputs: range) -> range:
        """Return the inputs that some outputs are averages of, and one more at each end.

        ``averages`` is in float32, as torch has it, and may round a place into the next cell.
        """
        first = math.floor((outputs.start + 0.5) * self.scale - 0.5) - 1
        last = math.floor((outputs.stop - 0.5) * self.scale - 0.5) + 2
        return range(max(0, first), min(self.cells, last + 1))

    def averages(self, inputs: range, outputs: range, like: Tensor) -> tuple[Tensor, ...]:
        """Return for each output its two inputs, counted from the first, and the second's share."""
        places = torch.arange(outputs.start, outputs.stop, device=like.device, dtype=torch.float32)
        source = ((places + 0.5) * self.scale - 0.5).clamp_(min=0)
        low = source.floor()
        share = source - low
        first = low.long()
        second = (first + 1).clamp_(max=self.cells - 1)
        return first - inputs.start, second - inputs.start, share.to(like.dtype)


def upscale(logits: Tensor, steps: Sequence[Step]) -> list[Window]:
    """Tell where masks are positive, at the size after some resizings.

    Args:
        logits: (N, h, w) float32.
        steps: what is done to them, one after another.

    Returns:
        A ``Window`` for each mask.
    """
    positive = logits > 0
    spans = [_spans(positive.any(dim)) for dim in (2, 1)]
    return [
        _window(mask, rows, columns, steps)
        for mask, rows, columns in zip(logits, *spans, strict=True)
    ]


def _spans(hits: Tensor) -> list[range]:
    """Return from where to where each row of (N, n) bool has hits."""
    found = hits.cpu()
    first, last = found.int().argmax(1), found.shape[1] - found.flip(1).int().argmax(1)
    some = found.any(1)
    return [
        range(start, stop) if any_ else range(0)
        for start, stop, any_ in zip(first.tolist(), last.tolist(), some.tolist(), strict=True)
    ]


def _window(mask: Tensor, rows: range, columns: range, steps: Sequence[Step]) -> Window:
    """Blow up one (h, w) mask, which is positive only in some rows and columns."""
    nothing = Window(0, 0, mask.new_zeros(0, 0, dtype=torch.bool))
    if not rows:
        return nothing
    down, across = _axes(mask.shape[0], steps, 0), _axes(mask.shape[1], steps, 1)
    vertical, horizontal = _windows(down, rows), _windows(across, columns)
    if not (vertical[-1] and horizontal[-1]):
        return nothing
    values = mask[_slice(vertical[0]), _slice(horizontal[0])]
    last = len(steps) - 1
    for step, (y, x) in enumerate(zip(down, across, strict=True)):
        windows = (vertical[step], vertical[step + 1]), (horizontal[step], horizontal[step + 1])
        if y.is_whole and x.is_whole and step < last:
            values = _multiply(values, (y, x), windows)
            continue
        first, second, share = x.averages(*windows[1], values)
        values = torch.lerp(values.index_select(1, first), values.index_select(1, second), share)
        values = _rows(values, y.averages(*windows[0], values), signs=step == last)
    return Window(vertical[-1].start, horizontal[-1].start, values)


def _multiply(
    values: Tensor, axes: tuple[_Axis, _Axis], windows: tuple[tuple[range, range], ...]
) -> Tensor:
    """Blow up (h, w) values by whole factors: then a part of a map meets the cells of the whole."""
    times = [axis.size // axis.cells for axis in axes]
    size = [side * factor for side, factor in zip(values.shape, times, strict=True)]
    whole = functional.interpolate(values[None, None], size, mode="bilinear")[0, 0]
    rows, columns = (
        slice(outputs.start - factor * inputs.start, outputs.stop - factor * inputs.start)
        for (inputs, outputs), factor in zip(windows, times, strict=True)
    )
    return whole[rows, columns]


def _rows(values: Tensor, averages: tuple[Tensor, ...], *, signs: bool) -> Tensor:
    """Average rows of (h, w), some at a time, or tell only where the averages are positive."""
    first, second, share = averages
    height, width = len(first), values.shape[1]
    out = values.new_empty(height, width, dtype=torch.bool if signs else values.dtype)
    memory = values.new_empty(2, min(height, max(1, PIECE_NUMBERS // 16 // width)), width)
    for start in range(0, height, memory.shape[1]):
        some = slice(start, min(height, start + memory.shape[1]))
        above, below = memory[:, : some.stop - some.start]
        torch.index_select(values, 0, first[some], out=above)
        torch.index_select(values, 0, second[some], out=below)
        means = above.lerp_(below, share[some, None])
        torch.gt(means, 0, out=out[some]) if signs else out[some].copy_(means)
    return out


def _axes(cells: int, steps: Sequence[Step], dim: int) -> list[_Axis]:
    axes = []
    for step in steps:
        size = step.size_hw[dim]
        kept = size if step.kept_hw is None else step.kept_hw[dim]
        axes.append(_Axis(cells, size, kept))
        cells = kept
    return axes


def _windows(axes: Sequence[_Axis], positive: range) -> list[range]:
    """Return what must be known of the input and of the output of each step."""
    for axis in axes:
        positive = axis.reach(positive)
    windows = [positive]
    for axis in reversed(axes):
        windows.insert(0, axis.needs(windows[0]) if windows[0] else range(0))
    return windows


def _slice(span: range) -> slice:
    return slice(span.start, span.stop)
