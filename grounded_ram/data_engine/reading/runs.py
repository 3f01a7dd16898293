"""Labelled runs of our own: what the three models found in pictures, as examples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from grounded_ram.annotation import Annotation
from grounded_ram.autolabel.run_folder import Run
from grounded_ram.data_engine.examples import Example
from grounded_ram.data_engine.reading.rows import NOTHING, BadRow, Pictures, Row, captions_of
from grounded_ram.errors import InputError
from grounded_ram.export.dataset import key_of


class LabelledRun:
    """The pictures of a run; tags are the names of its objects and what else was seen.

    Args:
        folder: of the run.

    Raises:
        InputError: no run lies there, or it is damaged; also while reading.
    """

    def __init__(self, folder: Path) -> None:
        self._dataset = Run(folder).dataset()
        self._pictures = Pictures(folder)
        self.about = f"labelled run {folder.name}: {len(self._dataset)} pictures"

    def rows(self) -> Iterator[Row]:
        """Give an example for each picture, sorted by name."""
        for annotation in self._dataset:
            try:
                yield self._example(annotation)
            except InputError as error:
                key = key_of(annotation.image)
                yield BadRow(key, str(error), annotation.image.path or "")

    def _example(self, annotation: Annotation) -> Example:
        tags = annotation.tags.names  # those of its objects are among them
        captions = captions_of(annotation.caption, "caption")
        if not tags and not captions:
            raise InputError(NOTHING)
        if annotation.image.path is None:
            raise InputError("no picture: the run had its pixels from memory")
        return Example(self._pictures.find(annotation.image.path), tags, captions)
