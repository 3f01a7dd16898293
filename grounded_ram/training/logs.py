"""The logs of a training: a CSV file of every step, and TensorBoard's if wanted."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from grounded_ram.errors import MissingDependencyError

FILE, FOLDER = "log.csv", "tensorboard"
_COLUMNS = ("step", "name", "value")


class Logs:
    """Writes down what steps tell, in ``log.csv`` a line for each number.

    A training that goes on writes the steps after its last state once more: the last line of a
    step and a name counts.

    Args:
        folder: where they lie.
        tensorboard: write them for TensorBoard, too.
        silent: write nothing: another process does.

    Raises:
        MissingDependencyError: TensorBoard is wanted and not installed.
    """

    def __init__(self, folder: Path, *, tensorboard: bool = False, silent: bool = False) -> None:
        self._silent = silent
        self._board: Any = None
        if silent:
            return
        if tensorboard:
            self._board = _board(folder / FOLDER)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / FILE
        fresh = not path.exists()
        self._file = path.open("a", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file)
        if fresh:
            self._rows.writerow(_COLUMNS)

    def __enter__(self) -> Logs:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._silent:
            self._file.close()
        if self._board is not None:
            self._board.close()

    def add(self, step: int, facts: Mapping[str, float]) -> None:
        """Write down what a step told."""
        if self._silent:
            return
        self._rows.writerows((step, name, f"{value:.6g}") for name, value in facts.items())
        self._file.flush()
        for name, value in facts.items():
            if self._board is not None:
                self._board.add_scalar(name, value, step)


def _board(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingDependencyError(
            "logs for TensorBoard need it; type: pip install 'grounded-ram[train]'"
        ) from error
    return SummaryWriter(folder)  # type: ignore[no-untyped-call, unused-ignore]
