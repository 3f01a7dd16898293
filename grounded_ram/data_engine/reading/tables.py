"""Tables of pictures, tags and captions: CSV and TSV files that begin with the columns' names.

Columns of one class each, as Kaggle has them, hold 0 or 1: where no column is one of tags, every
further column is one of a class if all that its first rows hold is 0 or 1.
"""

from __future__ import annotations

import csv
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from grounded_ram.autolabel.items import is_utf8
from grounded_ram.data_engine.reading.rows import (
    CAPTION_KEYS,
    IMAGE_KEYS,
    NO_UTF8,
    TAG_KEYS,
    BadRow,
    Pictures,
    Row,
    check_readable,
    example_of,
    key_in,
    tags_of,
)
from grounded_ram.data_engine.reading.separators import TagText, common_separator
from grounded_ram.errors import InputError

DELIMITERS = {"csv": ",;\t|", "tsv": "\t"}
"""Between the columns: the first one by which the first line has a column of pictures."""

LOOKED_AT = 1000
"""Rows that are looked at to know columns of classes."""

_TRUTH = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}


class _Columns(NamedTuple):
    """What the columns of a table are; places from 0."""

    names: list[str]
    image: int
    tags: int | None
    captions: int | None
    classes: dict[int, str]


@dataclass(frozen=True)
class _Cells:
    """A row of a table, and the number of its first line; no cells where it cannot be read."""

    line: int
    cells: list[str]
    fault: str = ""


class Table:
    """A table of examples, read a row at a time.

    Args:
        path: the file.
        kind: "csv" or "tsv".
        root: the folder that names of pictures begin at.
        separator: between tags in one cell; None: the one of "|", ";" and "," that is in the
            column, see ``separators``.

    Raises:
        InputError: it cannot be read, or its columns are not what they should be.
    """

    def __init__(self, path: Path, kind: str, root: Path, separator: str | None = None) -> None:
        check_readable(path)
        self._path = path
        self._pictures = Pictures(root)
        self._separator = separator
        self._delimiter, names = self._first_line(DELIMITERS[kind])
        try:
            self._columns = self._understand(names)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    @property
    def about(self) -> str:
        """Say for people what each column was taken for."""
        names, image, tags, captions, classes = self._columns
        told = [f"pictures in {names[image]!r}"]
        told += [] if tags is None else [f"tags in {names[tags]!r}"]
        told += [] if captions is None else [f"captions in {names[captions]!r}"]
        if classes:
            told.append(f"{len(classes)} columns of classes ({_few(list(classes.values()))})")
        used = {image, tags, captions, *classes}
        left = [name for place, name in enumerate(names) if place not in used]
        told += [f"not used: {_few(left)}"] if left else []
        return f"table {self._path.name}: {'; '.join(told)}"

    def rows(self) -> Iterator[Row]:
        """Give an example for each row, or why there is none.

        Raises:
            InputError: nobody can tell what parts the tags.
        """
        separator = self._mark
        for row in islice(self._rows(), 1, None):
            place = f"{self._path.name}:{row.line}"
            try:
                yield example_of(
                    self._values(row),
                    self._pictures,
                    separator,
                    may_be_bare=bool(self._columns.classes),  # zeros alone say something, too
                )
            except InputError as error:
                yield BadRow(place, str(error), str(self._path), str(row.line))

    @cached_property
    def _mark(self) -> str | None:
        """Return what parts tags in the column of tags, which is read once for that."""
        names, place = self._columns.names, self._columns.tags
        if self._separator is not None or place is None:
            return self._separator
        texts = (
            TagText(f"{self._path.name}:{row.line}", row.cells[place])
            for row in islice(self._rows(), 1, None)
            if len(row.cells) == len(names)
        )
        return common_separator(texts, names[place])

    def _values(self, row: _Cells) -> dict[str, Any]:
        """Return what the cells of a row say, by the keys of ``example_of``."""
        names, image, tags, captions, classes = self._columns
        if row.fault:
            raise InputError(row.fault)
        if len(row.cells) != len(names):
            raise InputError(
                f"wrong number of columns: expected {len(names)}, got {len(row.cells)}; a cell "
                f"that holds {self._delimiter!r} goes in double quotes"
            )
        values: dict[str, Any] = {"image": row.cells[image].strip()}
        if captions is not None:
            values["captions"] = row.cells[captions]
        if tags is not None:
            values["tags"] = row.cells[tags]
        if classes:
            values["tags"] = [name for at, name in classes.items() if _truth(row.cells[at], name)]
        return values

    def _first_line(self, delimiters: str) -> tuple[str, list[str]]:
        """Return what is between the columns, and their names."""
        for delimiter in delimiters:
            self._delimiter = delimiter
            names = [name.strip() for row in islice(self._rows(), 1) for name in row.cells]
            if any(name.casefold() in IMAGE_KEYS for name in names):
                if not all(map(is_utf8, names)):
                    raise InputError(f"{self._path}:1: {NO_UTF8}: the names of its columns")
                return delimiter, names
        got = repr(self._start()) if self._path.stat().st_size else "an empty file"
        raise InputError(
            f"{self._path}: expected names of columns in the first line, one of them for pictures "
            f"({', '.join(IMAGE_KEYS)}); got {got}. Write them above the first row"
        )

    def _start(self) -> str:
        with self._open() as file:
            return file.readline(100).strip()

    def _understand(self, names: list[str]) -> _Columns:
        keys = (IMAGE_KEYS, "pictures"), (TAG_KEYS, "tags"), (CAPTION_KEYS, "captions")
        image, tags, captions = (key_in(names, known, what) for known, what in keys)
        assert image is not None  # _first_line has seen it
        used = [names.index(name) for name in (image, tags, captions) if name is not None]
        classes = {} if tags is not None else self._find_classes(names, used)
        if tags is None and captions is None and not classes:
            raise InputError(
                f"expected a column of tags ({', '.join(TAG_KEYS)}), one of captions "
                f"({', '.join(CAPTION_KEYS)}), or columns of classes with 0 or 1; got {_few(names)}"
            )
        return _Columns(
            names,
            names.index(image),
            None if tags is None else names.index(tags),
            None if captions is None else names.index(captions),
            classes,
        )

    def _find_classes(self, names: list[str], used: Sequence[int]) -> dict[int, str]:
        """Return the columns of classes, with the names of these."""
        open_ = [place for place, name in enumerate(names) if place not in used and name]
        filled, known = Counter[int](), Counter[int]()
        for row in islice(self._rows(), 1, LOOKED_AT + 1):
            if len(row.cells) != len(names):
                continue
            cells = {place: row.cells[place].strip().casefold() for place in open_}
            filled.update(place for place, cell in cells.items() if cell)
            known.update(place for place, cell in cells.items() if cell in _TRUTH)
        found = [place for place in open_ if 2 * known[place] > filled[place]]
        unclear = [names[place] for place in found if known[place] < filled[place]]
        if unclear:  # a slip in a class, or counts that are mostly small: nobody can tell
            raise InputError(
                f"{self._path}: expected 0 or 1 in each row of a class, but in "
                f"{_few(unclear)} most are and some are not; correct these rows, or take the "
                "column out if it is no class"
            )
        classes = {place: (*tags_of([names[place]], names[place]), "")[0] for place in found}
        if len(set(classes.values())) < len(classes):
            raise InputError(f"expected each class once, got {_few(list(classes.values()))}")
        return classes

    def _open(self) -> TextIO:
        return self._path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")

    def _rows(self) -> Iterator[_Cells]:
        """Read the rows, that of names first; blank ones are passed over.

        A row whose quotes do not close costs that line alone: what it ran on into is read again.
        """
        with self._open() as file:
            lines = _Lines(file)
            reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
            while True:
                line = lines.begin()
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    lines.go_back()
                    yield _Cells(line, [], f"malformed: {error}")
                    continue
                if len(cells) > 1 or "".join(cells).strip():
                    yield _Cells(line, cells)


class _Lines:
    """The lines of a file, some of which may be read again."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._again: deque[str] = deque()
        self._row: list[str] = []
        self._number = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._file)
        self._number += 1
        self._row.append(line)
        return line

    def begin(self) -> int:
        """Begin a row, and return the number of its first line."""
        self._row = []
        return self._number + 1

    def go_back(self) -> None:
        """Give all lines of the row again, but for the first one."""
        self._again.extendleft(reversed(self._row[1:]))
        self._number -= len(self._row[1:])


def _truth(cell: str, name: str) -> bool:
    """Tell whether a picture is of a class; an empty cell does not say so."""
    text = cell.strip().casefold()
    if text and text not in _TRUTH:
        raise InputError(f"expected 0 or 1: column {name!r} holds {cell[:60]!r}")
    return bool(text) and _TRUTH[text]


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(map(repr, names[:8])) + more
