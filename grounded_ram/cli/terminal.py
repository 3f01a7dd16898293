"""What commands say: results on standard output, all the rest on standard error."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO, TypeAlias, TypeVar

from rich.console import Console
from rich.measure import Measurement
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
    track,
)
from rich.table import Column, Table
from rich.text import Text

from grounded_ram.downloads import OnProgress, WeightFile
from grounded_ram.presets import Preset

_NO_LIMIT = 100_000  # columns

Item = TypeVar("Item")

_out = Console(highlight=False)
_err = Console(highlight=False, stderr=True)


def show(text: str) -> None:
    """Print a result, in lines as they are given."""
    _out.print(Text(text), soft_wrap=True)


def say(text: str) -> None:
    """Print something that is no result: a note, a warning, an error."""
    _err.print(Text(text), soft_wrap=True)


def caution(preset: Preset) -> None:
    """Say what a user must know before trusting what a preset finds, if there is such a thing."""
    if preset.caution:
        say(f"note: {preset.caution}")


def show_table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a table; cells are plain text, whatever brackets they hold.

    On a terminal long cells are folded; anywhere else a row is one line, however long.
    """
    table = Table(*(Column(heading, overflow="fold") for heading in headings))
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = _out
    if not _out.is_terminal:
        boundless = Console(width=_NO_LIMIT)
        width = Measurement.get(boundless, boundless.options, table).maximum
        console = Console(highlight=False, width=width)
    console.print(table)


def show_json(value: Any) -> None:
    """Print one JSON document in ASCII, which every terminal and pipe can carry."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


def show_event(out: TextIO, event: str, **facts: Any) -> None:
    """Print one event as a line of JSON."""
    out.write(json.dumps({"event": event, **facts}, allow_nan=False) + "\n")
    out.flush()


def progress(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """Pass items on and draw how many are done; draw nothing where nobody watches."""
    yield from track(items, what, total=total, console=_err, disable=not _err.is_terminal)


def is_watched() -> bool:
    """Tell whether a person sits before the terminal that notes go to."""
    return _err.is_terminal


UpdateBar: TypeAlias = Callable[[int, int | None, str], None]
"""Draws how many are done, of how many, and a line about it."""


@contextmanager
def bar(what: str) -> Iterator[UpdateBar]:
    """Draw a bar with a line below it, and yield what moves it on."""
    columns = (TextColumn("{task.fields[line]}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=_err) as progress:
        task = progress.add_task(what, total=None, line=what)

        def update(done: int, total: int | None, line: str) -> None:
            progress.update(task, completed=done, total=total, line=line)

        yield update


@contextmanager
def downloading() -> Iterator[OnProgress | None]:
    """Say as notes what the package warns of meanwhile, and yield what draws bars of downloads.

    Where nobody watches, nothing is drawn, and None is yielded.
    """
    notes = _Notes()
    logger = logging.getLogger("grounded_ram")
    logger.addHandler(notes)
    bar = _Bar()
    try:
        yield bar.draw if _err.is_terminal else None
    finally:
        bar.stop()
        logger.removeHandler(notes)


class _Notes(logging.Handler):
    """Says warnings in plain words."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        say(f"note: {record.getMessage()}")


class _Bar:
    """One bar at a time, and none between two files: the hub draws its own."""

    def __init__(self) -> None:
        self._name = ""
        self._bar: Progress | None = None

    def draw(self, file: WeightFile, done: int, total: int | None) -> None:
        """Draw how much of a file is here."""
        if self._bar is None or self._name != file.name:
            self.stop()
            columns = (DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), *columns, console=_err
            )
            self._bar.add_task(file.name, total=total)
            self._name = file.name
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done, total=total)
        if done == total:
            self.stop()

    def stop(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


@contextmanager
def clean_stdout() -> Iterator[TextIO]:
    """Send to standard error what libraries print meanwhile; yield the real standard output."""
    real = sys.stdout
    with redirect_stdout(sys.stderr):
        yield real
