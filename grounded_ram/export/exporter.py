"""What an exporter is: a file format that annotations are added to one by one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from grounded_ram.annotation import Annotation

MaskFormat = Literal["rle", "polygon"]
"""How shapes are written where a format has both."""

Add: TypeAlias = Callable[[Annotation], None]
"""Writes one image."""


class Exporter(Protocol):
    """A format: ``contextlib.contextmanager`` makes one of a generator that yields an ``Add``."""

    def __call__(
        self, folder: Path, *, root: Path | None = None, masks: MaskFormat = "rle"
    ) -> AbstractContextManager[Add]:
        """Open the files of a new dataset.

        Args:
            folder: where the files go; made if absent.
            root: the folder that the images' names are relative to; None means their bare names.
            masks: how shapes are written, where the format has both.

        Returns:
            A context manager that gives the function which adds one image. When its block ends the
            files are complete; if it raises, older files of their names stay as they were.
        """
        ...
