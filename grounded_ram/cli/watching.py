"""A long run as people and programs watch it: a bar, plain lines, or JSON events."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from grounded_ram.autolabel.progress import duration, rate, seconds_left
from grounded_ram.cli import terminal

if TYPE_CHECKING:
    from grounded_ram.autolabel.outcomes import Outcome

LINE_EVERY_S = 10.0
"""Seconds between two lines where nobody watches a bar."""


@dataclass
class Tally:
    """What was done so far.

    Args:
        total: pictures that there are; None where nobody knows yet.
        before: pictures that an earlier command did.
    """

    total: int | None
    before: int
    done: int = 0
    failed: int = 0
    objects: int = 0
    began: float = field(default_factory=time.monotonic)

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Count a batch."""
        from grounded_ram.autolabel.outcomes import Failed

        for outcome in outcomes:
            if isinstance(outcome, Failed):
                self.failed += 1
            else:
                self.done += 1
                self.objects += outcome.objects

    @property
    def reached(self) -> int:
        """Return the pictures that are done, failed ones and earlier ones included."""
        return self.before + self.done + self.failed

    def record(self) -> dict[str, Any]:
        """Return plain values."""
        per_second = rate(self.done + self.failed, time.monotonic() - self.began)
        left = seconds_left(self.reached, self.total, per_second)
        return {
            "done": self.reached,
            "of": self.total,
            "objects": self.objects,
            "failed": self.failed,
            "images_per_second": round(per_second, 3),
            "seconds_left": None if left is None else round(left),
            **_memory(),
        }

    def line(self) -> str:
        """Return one line for people."""
        now = self.record()
        of = "" if self.total is None else f" of {self.total:,}"
        parts = [
            f"{self.reached:,}{of} pictures",
            f"{now['images_per_second']:.2f}/s",
            f"{self.objects:,} objects",
            f"{self.failed:,} failed",
        ]
        if now["seconds_left"] is not None:
            parts.append(f"{duration(now['seconds_left'])} left")
        for name in ("memory_mb", "gpu_memory_mb"):
            if name in now:
                parts.append(f"{name.removesuffix('_mb').replace('_', ' ')} {now[name]:,} MB")
        return ", ".join(parts)


class Watcher(Protocol):
    """Who is told what is being done."""

    def told(self, tally: Tally, outcomes: Sequence[Outcome]) -> None:
        """Take note of a batch that is safe on the disk."""
        ...


@contextmanager
def watching(events: TextIO | None) -> Iterator[Watcher]:
    """Choose who watches: a program that reads events, or people at a terminal, or at a log."""
    if events is not None:
        yield _Events(events)
    elif terminal.is_watched():
        with terminal.bar("labelling") as update:
            yield _Bar(update)
    else:
        yield _Lines()


class _Events:
    def __init__(self, out: TextIO) -> None:
        self._out = out

    def told(self, tally: Tally, outcomes: Sequence[Outcome]) -> None:
        from grounded_ram.autolabel.outcomes import Failed

        for one in outcomes:
            if isinstance(one, Failed):
                terminal.show_event(self._out, "failed", name=one.name, reason=one.reason)
            else:
                terminal.show_event(self._out, "labelled", name=one.name, objects=one.objects)
        terminal.show_event(self._out, "progress", **tally.record())


class _Bar:
    def __init__(self, update: terminal.UpdateBar) -> None:
        self._update = update

    def told(self, tally: Tally, outcomes: Sequence[Outcome]) -> None:
        self._update(tally.reached, tally.total, tally.line())


class _Lines:
    def __init__(self) -> None:
        self._last = time.monotonic()

    def told(self, tally: Tally, outcomes: Sequence[Outcome]) -> None:
        now = time.monotonic()
        if now - self._last >= LINE_EVERY_S:
            self._last = now
            terminal.say(tally.line())


def _memory() -> dict[str, int]:
    """Return MB in use by this process and those that it began, and on its GPU."""
    import psutil

    me = psutil.Process()
    used = 0
    for process in (me, *me.children(recursive=True)):
        try:
            used += process.memory_info().rss
        except psutil.Error:
            continue  # it has ended meanwhile
    found = {"memory_mb": round(used / 1e6)}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        found["gpu_memory_mb"] = round(torch.cuda.memory_reserved() / 1e6)
    return found


@contextmanager
def interruptible(first: Callable[[], None], stopped: str) -> Iterator[None]:
    """Let the first Ctrl-C, or a scheduler's SIGTERM, ask for an end, and the second make it.

    Args:
        first: called at the first one, to end what is under way soon.
        stopped: said when all that is left by KeyboardInterrupt.
    """
    asked: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        if len(asked) > 1:
            raise KeyboardInterrupt
        first()

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    except KeyboardInterrupt:
        terminal.say(stopped)
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
