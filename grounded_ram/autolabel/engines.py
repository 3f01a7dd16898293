"""Who does the work: this process, or several, each with models of its own.

Each engine takes batches of items and returns what came of them, in any order; each picture's
result is the same whichever engine ran. ``autolabel.ray_engine`` is one more.
"""

from __future__ import annotations

import multiprocessing
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TypeAlias

from grounded_ram.autolabel.children import begin_child
from grounded_ram.autolabel.decoders import Batch, Decoders
from grounded_ram.autolabel.items import Item
from grounded_ram.autolabel.labeller import Labeller
from grounded_ram.autolabel.outcomes import Failed, Outcome
from grounded_ram.errors import GroundedRAMError

Items: TypeAlias = Sequence[Item]
Engine: TypeAlias = Callable[[Labeller, Iterable[Items]], Iterator[list[Outcome]]]

AHEAD = 2
"""Batches that are on their way to a model at a time: one at work, the next being decoded."""

MOST_DEATHS = 3
"""Processes that may die in a row before any gave a result."""


@dataclass(frozen=True)
class Here:
    """This process labels; others decode.

    Args:
        decoders: how many; 0 decodes here too.
    """

    decoders: int = 1

    def __call__(self, labeller: Labeller, batches: Iterable[Items]) -> Iterator[list[Outcome]]:
        """Label batches in their order."""
        ahead: deque[Batch] = deque()
        with Decoders(self.decoders) as decoders:
            for items in batches:
                ahead.append(decoders.start(items))
                if len(ahead) == AHEAD:
                    yield labeller(ahead.popleft().pictures())
            while ahead:
                yield labeller(ahead.popleft().pictures())


@dataclass(frozen=True)
class Processes:
    """Several processes label, each on its device.

    A process that dies, for want of memory say, is replaced; a picture on which it dies twice,
    alone, has failed.

    Args:
        devices: one for each process, as ``GroundedRAM`` has them.
        decoders: processes that decode, for each of them; 0 decodes where the model is.
    """

    devices: Sequence[str]
    decoders: int = 0

    def __call__(self, labeller: Labeller, batches: Iterable[Items]) -> Iterator[list[Outcome]]:
        """Label batches in any order."""
        crew = [_Worker(self, labeller, device) for device in self.devices]
        try:
            yield from _share_out(crew, iter(batches))
        finally:
            for worker in crew:
                worker.stop()


def _share_out(crew: Sequence[_Worker], batches: Iterator[Items]) -> Iterator[list[Outcome]]:
    """Keep every process busy until all is done."""
    again: deque[Items] = deque()
    killers: Counter[str] = Counter()
    deaths = 0
    while True:
        for worker in crew:
            while len(worker.at_work) < AHEAD and (batch := _next(again, batches)) is not None:
                worker.send(batch)
        busy = {worker.pipe: worker for worker in crew if worker.at_work}
        if not busy:
            return
        for pipe in wait(list(busy)):
            worker = busy[pipe]  # type: ignore[index]
            outcomes = worker.receive()
            if outcomes is None:
                deaths += 1
                if deaths >= MOST_DEATHS * len(crew):
                    raise GroundedRAMError(
                        f"{deaths} worker processes died one after the other, the last with exit "
                        f"code {worker.exit_code}; use fewer of them, or a smaller preset"
                    )
                outcomes = _take_back(worker, again, killers)
                worker.start()
            else:
                deaths = 0
            if outcomes:
                yield outcomes


def _next(again: deque[Items], batches: Iterator[Items]) -> Items | None:
    return again.popleft() if again else next(batches, None)


def _take_back(worker: _Worker, again: deque[Items], killers: Counter[str]) -> list[Outcome]:
    """Queue once more what a dead process had, the batch it died on picture by picture."""
    lost, *waiting = worker.at_work
    again.extend(waiting)
    if len(lost) > 1:
        again.extend([item] for item in lost)
        return []
    (item,) = lost
    killers[item.name] += 1
    if killers[item.name] < 2:
        again.append(lost)
        return []
    reason = f"the process that labelled it died twice (exit code {worker.exit_code})"
    return [Failed(item.name, f"{reason}; it may be too large for the memory")]


@dataclass(eq=False)
class _Worker:
    """A process with a model, seen from the one that shares out the work."""

    engine: Processes
    labeller: Labeller
    device: str
    at_work: deque[Items] = field(default_factory=deque)
    pipe: Connection = field(init=False)
    _process: BaseProcess = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin a process, in place of one that died."""
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        arguments = (theirs, self.labeller, self.device, self.engine)
        self._process = context.Process(target=_work, args=arguments)
        self._process.start()
        theirs.close()  # so that its death is the end of the pipe
        self.at_work = deque()

    def send(self, batch: Items) -> None:
        self.at_work.append(batch)
        with suppress(OSError):  # it is dead, which receive() will find
            self.pipe.send(list(batch))

    def receive(self) -> list[Outcome] | None:
        """Return what came of the first batch; None if the process is dead.

        Raises:
            GroundedRAMError: what stopped the models there.
        """
        try:
            answer: list[Outcome] | Exception = self.pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            return None
        if isinstance(answer, Exception):
            raise answer
        self.at_work.popleft()
        return answer

    @property
    def exit_code(self) -> int | None:
        return self._process.exitcode

    def stop(self) -> None:
        self.pipe.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _work(pipe: Connection, labeller: Labeller, device: str, engine: Processes) -> None:
    """Label what comes through the pipe, and decode the next batch meanwhile; a process's life."""
    begin_child()
    ahead: deque[Batch] = deque()
    try:
        labeller = replace(labeller, model=labeller.model.on(device))
        with Decoders(engine.decoders) as decoders:
            while True:
                while not ahead or pipe.poll():
                    ahead.append(decoders.start(pipe.recv()))
                pipe.send(labeller(ahead.popleft().pictures()))
    except EOFError:
        return  # no more work
    except Exception as error:
        pipe.send(error)
