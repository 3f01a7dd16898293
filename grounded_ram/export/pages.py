"""Datasets of which each picture has a page of labels of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from grounded_ram.annotation import Annotation, ImageFacts
from grounded_ram.export.dataset import Dataset
from grounded_ram.export.found import Found, assemble

Page = TypeVar("Page")
"""Where the labels of one picture are."""

Notes = Counter[str]
"""How many objects could not be taken over as they were, by what became of them."""

BOXES = "objects have no shape: their boxes became their masks"


@dataclass(frozen=True, eq=False)
class Reading:
    """A dataset that was read.

    Args:
        dataset: its annotations, without pixels.
        notes: what could not be taken over as it was.
    """

    dataset: Dataset
    notes: tuple[str, ...] = ()


def read_pages(
    pages: Sequence[Page],
    read_page: Callable[[Page, Notes], tuple[ImageFacts, list[Found]]],
    splits: Mapping[str, str] | None = None,
) -> Reading:
    """Make a dataset of pages of labels; each is read again whenever the dataset is iterated.

    Args:
        pages: in the order of the dataset.
        read_page: returns the picture and its objects, and counts what it could not take over.
        splits: as the dataset has them.
    """
    notes = Notes()

    def read() -> Iterator[Annotation]:
        for page in pages:
            yield assemble(*read_page(page, notes))

    dataset = replace(Dataset.reading(read), splits=splits or {})
    return Reading(dataset, tuple(f"{number} {what}" for what, number in notes.items()))
