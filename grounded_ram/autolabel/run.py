"""Labelling a dataset: items in, what came of them on the disk.

items ─ those that the journal lacks ─► batches ─► engine ─► outcomes ─► journal and records
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from grounded_ram.autolabel.engines import Engine, Here, Items
from grounded_ram.autolabel.items import Item
from grounded_ram.autolabel.journal import Part
from grounded_ram.autolabel.labeller import Labeller
from grounded_ram.autolabel.outcomes import Outcome
from grounded_ram.autolabel.run_folder import IMAGES, Run, Share, begin
from grounded_ram.autolabel.sources import Sources, open_sources
from grounded_ram.pipeline import GroundedRAM

BATCH = 4
"""Pictures that are decoded, labelled and written down together."""


def label_dataset(
    model: GroundedRAM,
    sources: Sequence[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    *,
    tags: Sequence[str] | None = None,
    engine: Engine | None = None,
    threads: int | None = None,
) -> Run:
    """Label a dataset of any size in a run folder; called again, go on where it stopped.

    Args:
        model: what labels it.
        sources: folders, pictures, lists, archives, ... as ``autolabel.sources`` has them.
        folder: of the run.
        tags: words to look for instead of asking the tagger.
        engine: who does it; None means this process alone. Engines that begin further processes,
            ``Here(1)`` too, need a script that starts under ``if __name__ == "__main__"``.
        threads: of torch in each process; None leaves it to torch.

    Returns:
        The run: its ``dataset()`` can be exported.

    Raises:
        InputError: a source or the folder cannot be used, or a run in it asked for something else.
    """
    folder = Path(folder)
    opened = open_sources(
        [os.fspath(one) for one in sources], keep_in=folder / IMAGES, leave_out=[folder]
    )
    run = begin(folder, configuration(opened, model, tags, threads=threads))
    labeller = Labeller(model, None if tags is None else tuple(tags), threads=threads)
    with run.open_part(Share()) as part:
        items = (one for one in opened.items() if isinstance(one, Item))
        for _ in label(part, todo(part, items), labeller=labeller, engine=engine or Here(0)):
            pass
    return run


def configuration(
    sources: Sources, model: GroundedRAM, tags: Sequence[str] | None, **settings: Any
) -> dict[str, Any]:
    """Return all that decides the labels of a run, in plain values."""
    record = model.record(tags=tags)
    # Which of several GPUs it is makes no difference, and a resumed run may have another one.
    record["device"] = record["device"].partition(":")[0]
    named = None if tags is None else list(tags)
    return {"sources": sources.record(), "tags": named, "model": record, **settings}


def label(
    part: Part,
    items: Iterable[Item],
    *,
    labeller: Labeller,
    engine: Engine,
    stop: Callable[[], bool] = lambda: False,
    batch: int = BATCH,
) -> Iterator[list[Outcome]]:
    """Label items, and yield what came of each batch once it is safe on the disk.

    Args:
        part: where it is written down.
        items: those that it has already must be left out: see ``todo``.
        labeller: labels a batch.
        engine: who does it.
        stop: asked before each batch; when it says so, no further one is begun, and those that
            were begun are finished.
        batch: pictures in each, at least; no fewer than the model takes at once.
    """
    size = max(batch, labeller.model.batch_size)
    for outcomes in engine(labeller, _batches(items, size, stop)):
        part.commit(outcomes)
        yield outcomes


def todo(
    part: Part, items: Iterable[Item], *, share: Share | None = None, retry_failed: bool = False
) -> Iterator[Item]:
    """Return the items that a job has still to do.

    Args:
        part: what was done.
        items: all of the dataset.
        share: which of them are this job's; None means all. It goes by the name, so that pictures
            that are added later change no other's job.
        retry_failed: do those again that failed.
    """
    for item in items:
        mine = share is None or zlib.crc32(item.name.encode()) % share.of == share.number - 1
        known = item.name in part.labelled or (item.name in part.failed and not retry_failed)
        if mine and not known:
            yield item


def _batches(items: Iterable[Item], size: int, stop: Callable[[], bool]) -> Iterator[Items]:
    rest = iter(items)
    while not stop() and (batch := list(islice(rest, size))):
        yield batch
