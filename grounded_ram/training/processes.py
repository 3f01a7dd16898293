"""The processes that learn together: one, or one a GPU, by Lightning Fabric.

Fabric and not Accelerate: both are well kept, but Accelerate keeps device and number type in state
that all of a Python process shares, so that a second training with others is refused.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from grounded_ram.errors import InputError, MissingDependencyError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_BUCKET = 2**25
"""Numbers of gradients that travel together."""


class Processes(Protocol):
    """One of several processes that learn together, as it sees the others."""

    rank: int
    """Its number, from 0."""
    count: int
    """How many there are."""

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Give all processes the mean of their gradients; none counts as zero."""
        ...

    def gather(self, rows: Tensor) -> tuple[Tensor, int]:
        """Return the rows of all processes, and which is our first; see ``losses.Gather``."""
        ...

    def all_of(self, yes: bool) -> bool:
        """Tell whether all processes say yes."""
        ...

    def wait(self) -> None:
        """Return when all processes have come here."""
        ...


class OneProcess:
    """A process that learns alone."""

    rank = 0
    count = 1

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Leave the gradients as they are."""

    def gather(self, rows: Tensor) -> tuple[Tensor, int]:
        """Return the rows."""
        return rows, 0

    def all_of(self, yes: bool) -> bool:
        """Return the answer."""
        return yes

    def wait(self) -> None:
        """Return at once."""


ONE = OneProcess()


class FabricProcesses:
    """Processes that Lightning Fabric began; see ``Processes``."""

    def __init__(self, fabric: Fabric) -> None:
        self.fabric = fabric
        self.rank = fabric.global_rank
        self.count = fabric.world_size

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Give all processes the mean of their gradients; none counts as zero."""
        bucket: list[nn.Parameter] = []
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            if bucket and sum(p.numel() for p in bucket) + parameter.numel() > _BUCKET:
                self._average(bucket)
                bucket = []
            bucket.append(parameter)
        self._average(bucket)

    def _average(self, parameters: Sequence[nn.Parameter]) -> None:
        gradients = [p.grad for p in parameters if p.grad is not None]
        if not gradients:
            return
        mean: Any = self.fabric.all_reduce(
            torch.cat([gradient.flatten() for gradient in gradients]), reduce_op="mean"
        )
        for gradient, piece in zip(
            gradients, mean.split([gradient.numel() for gradient in gradients]), strict=True
        ):
            gradient.copy_(piece.view_as(gradient))

    def gather(self, rows: Tensor) -> tuple[Tensor, int]:
        """Return the rows of all processes, however many each has, and which is our first."""
        counts: Any = self.fabric.all_gather(torch.tensor(len(rows), device=rows.device))
        lengths = counts.flatten().tolist()
        filled = rows.new_zeros(max(lengths), *rows.shape[1:])
        filled[: len(rows)] = rows.detach()
        every: Any = self.fabric.all_gather(filled)
        parts = [part[:length] for part, length in zip(every, lengths, strict=True)]
        return torch.cat(parts), sum(lengths[: self.rank])

    def all_of(self, yes: bool) -> bool:
        """Tell whether all processes say yes."""
        said: Any = self.fabric.all_reduce(
            torch.tensor(float(yes), device=self.fabric.device), reduce_op="mean"
        )
        return bool(said == 1)

    def wait(self) -> None:
        """Return when all processes have come here."""
        self.fabric.barrier()


def is_first() -> bool:
    """Tell whether this process speaks for all: it was not begun for the sake of another."""
    return os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0"


def begin_processes(device: torch.device, count: int = 1) -> tuple[Processes, torch.device]:
    """Begin as many processes as are asked for, each of which comes back from here.

    Lightning Fabric runs the program of this process once more for each of the others. Under
    ``torchrun`` or another launcher they are there already, and are joined.

    Args:
        device: the kind of device, one for each process; on a CPU they share it.
        count: how many.

    Returns:
        What a process knows of the others, and its own device.

    Raises:
        InputError: this machine has fewer such devices.
        MissingDependencyError: several processes are wanted, and Lightning Fabric is not installed.
    """
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1 and launched == 1:
        return ONE, device
    if device.type == "cuda" and count > torch.cuda.device_count():
        raise InputError(f"expected at most {torch.cuda.device_count()} GPUs, got {count}")
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise MissingDependencyError(
            "several processes need Lightning Fabric; type: pip install 'grounded-ram[train]'"
        ) from error
    here = int(os.environ.get("LOCAL_WORLD_SIZE", count))
    nodes = max(1, launched // here)
    fabric = Fabric(accelerator=device.type, devices=here, num_nodes=nodes, strategy="ddp")
    fabric.launch()
    return FabricProcesses(fabric), fabric.device
