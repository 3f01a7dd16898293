"""What this machine is, and how fast it multiplies and copies: the floor under every stage."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from grounded_ram.runtime import DTYPES

SIDES = {"cpu": (1024, 2048), "cuda": (8192,)}
"""Sides of the matrices that are multiplied, by type of device: where the rate is at its best."""

COPIED_BYTES = {"cpu": 2**26, "cuda": 2**28}
"""Bytes that are copied at a time, more than caches hold."""

_SECONDS = 0.4
_LEAST_RUNS = 2


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A processor, a device, and their rates.

    Args:
        processor: what the CPU calls itself.
        device: what the device calls itself; on a CPU the processor.
        threads: with which torch computes.
        gemm_gflops: 10^9 operations a second of a matrix product, by the name of the number type;
            a product and a sum are two operations.
        copy_gb_s: 10^9 bytes copied a second, each counted once, by from where to where.
    """

    processor: str
    device: str
    threads: int
    gemm_gflops: Mapping[str, float]
    copy_gb_s: Mapping[str, float]

    def faster(self, other: Machine) -> Machine:
        """Return the better of two measurements of one machine: others may be at work on it."""
        gemm, copy = (
            {key: max(rate, theirs[key]) for key, rate in ours.items()}
            for ours, theirs in (
                (self.gemm_gflops, other.gemm_gflops),
                (self.copy_gb_s, other.copy_gb_s),
            )
        )
        return Machine(
            processor=self.processor,
            device=self.device,
            threads=self.threads,
            gemm_gflops=gemm,
            copy_gb_s=copy,
        )


def measure_machine(device: torch.device) -> Machine:
    """Multiply and copy for a second or two, and say how fast that was at best."""
    processor = processor_name()
    is_cuda = device.type == "cuda"
    return Machine(
        processor=processor,
        device=torch.cuda.get_device_name(device) if is_cuda else processor,
        threads=torch.get_num_threads(),
        gemm_gflops={name: gemm_rate(device, dtype) / 1e9 for name, dtype in DTYPES.items()},
        copy_gb_s={way: rate / 1e9 for way, rate in copy_rates(device).items()},
    )


def gemm_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Return the operations a second of a product of two large square matrices, at best."""
    rates = []
    for side in SIDES.get(device.type, SIDES["cpu"]):
        left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
        product = partial(torch.mm, left, right, out=torch.empty_like(left))
        rates.append(2 * side**3 / _least_seconds(product, device))
    return max(rates)


def copy_rates(device: torch.device) -> dict[str, float]:
    """Return the bytes copied a second at best, each counted once, by from where to where."""
    size = COPIED_BYTES.get(device.type, COPIED_BYTES["cpu"])
    host, other = torch.ones(size, dtype=torch.uint8), torch.empty(size, dtype=torch.uint8)
    ways = {"host to host": (host, other)}
    if device.type == "cuda":
        pinned = host.pin_memory()
        there, beside = (torch.empty(size, dtype=torch.uint8, device=device) for _ in range(2))
        ways |= {
            "host to device": (pinned, there),
            "device to host": (there, pinned),
            "device to device": (there, beside),
        }
    return {way: size / _least_seconds(partial(_copy, *pair), device) for way, pair in ways.items()}


def synchronize(device: torch.device) -> None:
    """Wait until a device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def processor_name() -> str:
    """Return what the CPU calls itself, or at least its kind."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def peak_host_bytes() -> int | None:
    """Return the most memory that this process ever had at a time; None where nobody says."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def peak_device_bytes(device: torch.device) -> int | None:
    """Return the most memory that tensors had on a GPU at a time; None for other devices."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


def _copy(source: Tensor, target: Tensor) -> None:
    target.copy_(source, non_blocking=True)


def _least_seconds(run: Callable[[], object], device: torch.device) -> float:
    """Return the seconds of the fastest of some runs."""
    run()
    synchronize(device)
    least, begun, runs = float("inf"), time.perf_counter(), 0
    while runs < _LEAST_RUNS or time.perf_counter() - begun < _SECONDS:
        start = time.perf_counter()
        run()
        synchronize(device)
        least = min(least, time.perf_counter() - start)
        runs += 1
    return least
