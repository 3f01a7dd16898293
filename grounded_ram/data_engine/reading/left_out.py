"""Rows that gave no example, all of them in one file: so that somebody can mend them.

A CSV file with the columns file, row and reason; ``rows.BadRow`` says what these are.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from grounded_ram.data_engine.reading.rows import BadRow, BadRows
from grounded_ram.export.files import replacing

LEFT_OUT = "left-out.csv"
"""What such a file is called in a folder of its own."""

COLUMNS = ("file", "row", "reason")


@contextmanager
def noting_left_out(path: Path | None, *, keep: int = 3) -> Iterator[BadRows]:
    """Yield what is to be told of each bad row, and writes all of them to a file as they come.

    The file is there once the block is done, whole; if the block raises, what lay there stays. With
    no bad row there is none, and that of an earlier run is taken away.

    Args:
        path: of the file; None writes none.
        keep: how many of the first rows stay in memory, in ``BadRows.first``.
    """
    if path is None:
        yield BadRows(keep)
        return
    with ExitStack() as opened:
        writers: list[Any] = []

        def write(row: BadRow) -> None:
            if not writers:  # not before there is anything to write: no folder is made, either
                writers.append(csv.writer(opened.enter_context(_text(path)), lineterminator="\n"))
                writers[0].writerow(COLUMNS)
            writers[0].writerow((row.file or row.place, row.row, row.reason))

        yield BadRows(keep, then=write)
    if not writers:
        path.unlink(missing_ok=True)


@contextmanager
def _text(path: Path) -> Iterator[TextIO]:
    with replacing(path) as file:
        text = TextIOWrapper(file, "utf-8-sig", errors="backslashreplace", newline="")
        yield text
        text.flush()
        text.detach()


def left_out_lines(bad: BadRows, path: Path | None = None, what: str = "") -> list[str]:
    """Return what is said of rows that were left out, a line each: the first ones, and how many.

    Args:
        bad: was told of them.
        path: of the file that has them all; None: there is none.
        what: they are of, as in " of --truth".
    """
    lines = [f"left out{what}: {row}" for row in bad.first]
    more = bad.count - len(bad.first)
    if more and path is not None:
        lines.append(f"left out{what}: and {more:,} more, all of them in {path}")
    elif more:
        lines.append(f"left out{what}: and {more:,} more")
    elif lines and path is not None:
        lines.append(f"left out{what}: {bad.count:,} in all, listed in {path}")
    return lines
