"""Ray Data as an engine: actors hold the models, pictures travel as paths.

A thin adapter over the same ``Labeller``: what is labelled, and that nothing is lost or done twice,
is the journal's business, not Ray's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from grounded_ram.autolabel.decoders import read
from grounded_ram.autolabel.engines import Items
from grounded_ram.autolabel.labeller import Labeller
from grounded_ram.autolabel.outcomes import Outcome
from grounded_ram.errors import MissingDependencyError


@dataclass(frozen=True)
class OnRay:
    """Actors on a Ray cluster label.

    An actor that dies is replaced by Ray, and its batches are labelled again.

    Args:
        actors: how many.
        address: of the cluster, as ``ray.init`` has it; None starts one on this machine.
        gpus: that each actor gets; with 0 it labels on the CPU.
        cpus: likewise.
        rows: pictures of a batch.
    """

    actors: int = 2
    address: str | None = None
    gpus: float = 0
    cpus: float = 1
    rows: int = 4

    def __call__(self, labeller: Labeller, batches: Iterable[Items]) -> Iterator[list[Outcome]]:
        """Label batches in any order.

        Raises:
            MissingDependencyError: Ray is not installed.
        """
        try:
            import ray
            import ray.data
        except ImportError as error:
            raise MissingDependencyError(
                "--engine ray needs Ray; try: pip install 'grounded-ram[ray]'"
            ) from error
        rows = [{"item": item} for batch in batches for item in batch]
        if not rows:
            return
        if not ray.is_initialized():
            ray.init(address=self.address, log_to_driver=False)
        # One block would keep one actor busy and leave the others without work.
        blocks = min(len(rows), max(self.actors * 4, len(rows) // (self.rows * 16)))
        labelled = ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
            _Actor,
            fn_constructor_kwargs={"labeller": labeller, "device": "cuda" if self.gpus else "cpu"},
            batch_size=self.rows,
            batch_format="numpy",
            compute=ray.data.ActorPoolStrategy(size=self.actors),
            num_gpus=self.gpus or None,
            num_cpus=self.cpus if not self.gpus else None,
        )
        for found in labelled.iter_batches(batch_size=self.rows, batch_format="numpy"):
            yield list(found["outcome"])


class _Actor:
    """Holds the models."""

    def __init__(self, labeller: Labeller, device: str) -> None:
        self._labeller = replace(labeller, model=labeller.model.on(device))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        outcomes = self._labeller([read(item) for item in batch["item"]])
        return {"outcome": outcomes}
