"""Where and how networks run: device, number type, pixels, and batches of inputs of one size."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from PIL import Image as PILImage

from grounded_ram.errors import InputError
from grounded_ram.images import Image

logger = logging.getLogger(__name__)

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Of red, green and blue over ImageNet, where 1 is white: most networks want pixels so spread."""

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""Number types that networks run in, by name."""

MOST_BY_PILLOW = 2**22
"""Pixels of the largest image that Pillow resizes."""

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory")
"""What torch says on a GPU and on a CPU."""

PIECE_NUMBERS = 2**22
"""Numbers of a layer that are in memory at a time on a CPU, where that is up to us: 16 MB."""


def pick_device(device: str | torch.device = "auto") -> torch.device:
    """Return the device that was asked for; "auto" is CUDA, else MPS, else the CPU.

    Raises:
        InputError: torch knows no such device, or this machine has none.
    """
    if device == "auto":
        return torch.device(_best_device())
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise InputError(
            f'device must be "auto", "cpu", "cuda", "cuda:1" or "mps"; got {device!r}'
        ) from error
    here = {"cpu": 1, "cuda": _cuda_count(), "mps": int(torch.backends.mps.is_available())}
    if (chosen.index or 0) >= here.get(chosen.type, 0):
        present = ", ".join(
            [name if n == 1 else f"{name}:0-{n - 1}" for name, n in here.items() if n]
        )
        raise InputError(
            f"device {str(chosen)!r} is not on this machine; here are: {present}. "
            'Use device="auto" to take the best one.'
        )
    return chosen


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Let torch compute with this many threads meanwhile; None leaves it as it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def pick_dtype(dtype: str | torch.dtype, device: torch.device) -> torch.dtype:
    """Return the number type that was asked for.

    Args:
        dtype: "float32", "bfloat16", or "auto": bfloat16 on a CUDA device that computes in it, else
            float32.
        device: where the networks will run.

    Raises:
        InputError: networks do not run in that type.
    """
    if dtype == "auto":
        fast = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
        return torch.bfloat16 if fast else torch.float32
    chosen = DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if chosen is None or chosen not in DTYPES.values():
        raise InputError(f'dtype must be "auto", {" or ".join(map(repr, DTYPES))}; got {dtype!r}')
    return chosen


def dtype_name(dtype: torch.dtype) -> str:
    """Return the name under which ``pick_dtype`` knows a number type."""
    return str(dtype).removeprefix("torch.")


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Return the context in which networks compute in a shorter type; float32 is none."""
    shorter = dtype != torch.float32
    return torch.autocast(device.type, dtype if shorter else None, enabled=shorter)


class Batched(Protocol):
    """Whatever takes several inputs at once."""

    batch_size: int
    """How many at most."""


def in_batches(
    owner: Batched, items: Sequence[ItemT], run: Callable[[Sequence[ItemT]], Sequence[ResultT]]
) -> list[ResultT]:
    """Run over all items, as many at once as their owner takes.

    Where the memory is too small for a batch, the owner takes half as many from then on.

    Args:
        owner: whose ``batch_size`` counts.
        items: N inputs.
        run: returns a result for each item that it is given.

    Returns:
        N results, in the order of the items.
    """
    results: list[ResultT] = []
    while len(results) < len(items):
        batch = items[len(results) : len(results) + owner.batch_size]
        found = _run_if_it_fits(run, batch)
        if found is None:
            owner.batch_size = len(batch) // 2
            logger.warning("out of memory: going on with batches of %d", owner.batch_size)
        else:
            results += found
    return results


def _run_if_it_fits(
    run: Callable[[Sequence[ItemT]], Sequence[ResultT]], batch: Sequence[ItemT]
) -> Sequence[ResultT] | None:
    """Run over a batch; return None if the memory is too small, but could do for half of it.

    Only after the return is the memory free of what the failed run held.
    """
    try:
        return run(batch)
    except RuntimeError as error:
        if len(batch) == 1 or not is_out_of_memory(error):
            raise
    free_memory()
    return None


def is_out_of_memory(error: RuntimeError) -> bool:
    """Tell whether torch found no memory, on a GPU or on a CPU."""
    return any(text in str(error) for text in _OUT_OF_MEMORY)


def free_memory() -> None:
    """Give back what torch keeps of a GPU's memory for later."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def to_device(batch: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Move a batch to a device; to a GPU from pinned memory, without waiting for it."""
    if device.type != "cuda":
        return batch.to(device)
    return batch.pin_memory().to(device, non_blocking=True)


def recast(network: torch.nn.Module, faster: Mapping[type, type]) -> None:
    """Let the modules of a network compute as subclasses of theirs do; weights and keys stay.

    Args:
        network: changed in place.
        faster: for each class of modules the subclass, which adds no state of its own.
    """
    for module in network.modules():
        module.__class__ = faster.get(type(module), type(module))


def in_pieces(
    run: Callable[[torch.Tensor], torch.Tensor], rows: torch.Tensor, width: int
) -> torch.Tensor:
    """Run a network's part that takes each row by itself over some rows at a time, on a CPU.

    What it needs in between then stays in memory that is used again and again: the system hands
    out larger pieces page by page, at every call, which takes longer than computing in them.

    Args:
        run: returns (B, n, D) for (B, n, C).
        rows: (B, N, C).
        width: the most numbers that ``run`` keeps for one row in between.

    Returns:
        (B, N, D).
    """
    batch, count, _ = rows.shape
    at_once = max(1, PIECE_NUMBERS // (batch * width))
    if rows.device.type != "cpu" or torch.is_grad_enabled() or count <= at_once:
        return run(rows)
    first = run(rows[:, :at_once])
    out = first.new_empty(batch, count, first.shape[-1])
    out[:, :at_once] = first
    for start in range(at_once, count, at_once):
        out[:, start : start + at_once] = run(rows[:, start : start + at_once])
    return out


def normalised(
    pixels: torch.Tensor,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> torch.Tensor:
    """Scale (..., 3, H, W) pixels in [0, 1] to a mean of 0 and a spread of 1, each colour apart."""
    column = (3, 1, 1)
    return (pixels - pixels.new_tensor(mean).view(column)) / pixels.new_tensor(std).view(column)


def resized(image: Image, size_hw: tuple[int, int]) -> torch.Tensor:
    """Resize an image (bilinear, in 8 bits): (3, h, w) float32 in [0, 1]."""
    return torch.from_numpy(resize(image, size_hw)).permute(2, 0, 1).float() / 255


def resize(image: Image, size_hw: tuple[int, int]) -> Image:
    """Resize an image as networks were trained: by Pillow, bilinear, antialiased.

    Photographs of more than ``MOST_BY_PILLOW`` pixels are resized by torch, in a seventh of the
    time; a few in a thousand of its values then differ, by 1 of 255.
    """
    height, width = size_hw
    if image.shape[0] * image.shape[1] > MOST_BY_PILLOW:
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None]
        options: dict[str, Any] = {"mode": "bilinear", "antialias": True}
        smaller = torch.nn.functional.interpolate(pixels, (height, width), **options)
        return np.ascontiguousarray(smaller[0].permute(1, 2, 0).numpy())
    picture = PILImage.fromarray(image).resize((width, height), PILImage.Resampling.BILINEAR)
    return np.array(picture, np.uint8)


def groups(keys: Iterable[Hashable], batch_size: int) -> list[list[int]]:
    """Sort the positions of equal keys into lists of at most ``batch_size``.

    Lists come in the order in which their keys first come; positions ascend inside each.

    Raises:
        InputError: the batch size is below 1.
    """
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, got {batch_size}")
    rows: dict[Hashable, list[int]] = {}
    for index, key in enumerate(keys):
        rows.setdefault(key, []).append(index)
    return [
        row[start : start + batch_size]
        for row in rows.values()
        for start in range(0, len(row), batch_size)
    ]


def _best_device() -> str:
    if _cuda_count():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _cuda_count() -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0
