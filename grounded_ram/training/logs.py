"""The logs of a training: a CSV file of every step, and TensorBoard's if wanted."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TextIO

from grounded_ram.errors import MissingDependencyError

FILE, FOLDER = "log.csv", "tensorboard"
_COLUMNS = ("step", "name", "value")

Log = Callable[[int, Mapping[str, float]], None]
"""Writes down what a step told."""


@contextmanager
def open_logs(folder: Path, *, tensorboard: bool = False, silent: bool = False) -> Iterator[Log]:
    """Yield what writes steps down, in ``log.csv`` a line for each number.

    A training that goes on from its last state forgets the steps that came after that.

    Args:
        folder: where the logs lie.
        tensorboard: write them for TensorBoard, too.
        silent: write nothing: another process does.

    Raises:
        MissingDependencyError: TensorBoard is wanted and not installed.
    """
    if silent:
        yield lambda step, facts: None
        return
    folder.mkdir(parents=True, exist_ok=True)
    opened: Any = closing(_board(folder / FOLDER)) if tensorboard else nullcontext()
    with opened as board, (folder / FILE).open("a+", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        begun: list[int] = []

        def add(step: int, facts: Mapping[str, float]) -> None:
            if not begun:
                begun.append(step)
                _keep_before(step, file)
            rows.writerows((step, name, f"{value:.6g}") for name, value in facts.items())
            file.flush()
            if board is not None:
                for name, value in facts.items():
                    board.add_scalar(name, value, step)

        yield add


def _keep_before(step: int, file: TextIO) -> None:
    """Leave in a log its heading and what it told of earlier steps."""
    file.seek(0)
    kept = [row for row in csv.reader(file) if len(row) == 3 and row[0].isdecimal()]
    file.truncate(0)
    csv.writer(file).writerows([_COLUMNS, *(row for row in kept if int(row[0]) < step)])


def _board(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingDependencyError(
            "logs for TensorBoard need it; type: pip install 'grounded-ram[train]'"
        ) from error
    return SummaryWriter(folder)  # type: ignore[no-untyped-call, unused-ignore]
