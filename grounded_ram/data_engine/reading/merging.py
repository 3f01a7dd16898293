"""Rows about the same picture, wherever they stand in a source, made one example."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator

import numpy as np

from grounded_ram.data_engine.examples import Example, joined
from grounded_ram.data_engine.reading.rows import BadRow, Row


class Merged:
    """A source of rows, of which those with the same image are joined.

    It is read once more, before all else, to know which pictures come again later: of a million
    rows that takes eight megabytes. Examples of these pictures wait until their last row, and come
    in its place; all others go through as they are.

    Args:
        rows: goes through the source from its beginning.
    """

    def __init__(self, rows: Callable[[], Iterator[Row]]) -> None:
        self._rows = rows
        self._again: dict[int, int] | None = None

    def rows(self) -> Iterator[Row]:
        """Give the examples, each image once, and the bad rows where they stand."""
        if self._again is None:
            self._again = self._count()
        left = dict(self._again)
        waiting: dict[str, list[Example]] = {}
        for found in _groups(self._rows()):
            if isinstance(found, BadRow):
                yield found
                continue
            image = found[0].image
            key = hash(image)
            if key not in left:
                yield joined(found)
                continue
            waiting.setdefault(image, []).extend(found)
            left[key] -= 1
            if left[key] <= 0:
                yield joined(waiting.pop(image))
        for examples in waiting.values():  # the source was changed meanwhile, or hashes collided
            yield joined(examples)

    def _count(self) -> dict[int, int]:
        """Count the stretches of rows of each picture that has several, by its hash."""
        keys = array("q")
        for found in _groups(self._rows()):
            if not isinstance(found, BadRow):
                keys.append(hash(found[0].image))
        values, counts = np.unique(np.frombuffer(keys, np.int64), return_counts=True)
        several = counts > 1
        return dict(zip(values[several].tolist(), counts[several].tolist(), strict=True))


def _groups(rows: Iterator[Row]) -> Iterator[list[Example] | BadRow]:
    """Put examples together that follow one another and have the same image."""
    group: list[Example] = []
    for row in rows:
        if isinstance(row, BadRow):
            yield row
        elif group and group[0].image == row.image:
            group.append(row)
        else:
            if group:
                yield group
            group = [row]
    if group:
        yield group
