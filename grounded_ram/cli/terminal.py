"""What commands say: results on standard output, all the rest on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from grounded_ram.presets import Preset

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
    """Print a table; cells are plain text, whatever brackets they hold."""
    table = Table(*headings)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    _out.print(table)


def show_json(value: Any) -> None:
    """Print one JSON document in ASCII, which every terminal and pipe can carry."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


def progress(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """Pass items on and draw how many are done; draw nothing where nobody watches."""
    yield from track(items, what, total=total, console=_err, disable=not _err.is_terminal)


@contextmanager
def clean_stdout() -> Iterator[None]:
    """Send to standard error what libraries print meanwhile."""
    with redirect_stdout(sys.stderr):
        yield
