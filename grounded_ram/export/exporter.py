"""What an exporter is: a file format that a dataset is written in."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

from grounded_ram.export.dataset import Dataset
from grounded_ram.export.pictures import Pictures

MaskFormat = Literal["rle", "polygon"]
"""How shapes are written where a format has both."""


class Exporter(Protocol):
    """A format: a function that writes a dataset into a folder."""

    def __call__(
        self,
        dataset: Dataset,
        folder: Path,
        *,
        masks: MaskFormat = "rle",
        pictures: Pictures = "link",
    ) -> None:
        """Write all files of a dataset.

        Args:
            dataset: may be read several times; it never is in memory as a whole.
            folder: where they go, made if absent; no files of this format are in it yet.
            masks: how shapes are written, where the format has both.
            pictures: how pictures come along, where the format holds them.

        Raises:
            InputError: something cannot be written in this format.
        """
        ...
