"""Captions out of files that hold nothing else that is wanted: a caption at a time.

    layout   ending            a caption is
    text     .txt              a line
    csv      .csv              a cell of the column with captions; headings come first
    tsv      .tsv              the same, with tabs
    jsonl    .jsonl .ndjson    the value of a key in the object of a line: a text, or a list of
                               texts or of objects with "text", as in files of examples
    json     .json             the same, of each object in "annotations", as in COCO's files of
                               captions, or in the list that the file is

Any of them may be packed: .gz, .zst. Standard input, "-", is text unless told otherwise.
"""

from __future__ import annotations

import csv
import gzip
import json
import shlex
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from grounded_ram.data_engine.labels.json_items import JsonItems
from grounded_ram.data_engine.reading.rows import CAPTION_KEYS
from grounded_ram.errors import InputError, MissingDependencyError
from grounded_ram.names import unknown_name

ENDINGS = {
    ".txt": "text",
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
}
LAYOUTS = ("text", "csv", "tsv", "jsonl", "json")

STANDARD_INPUT = "-"

LONGEST = 10_000
"""Characters of a caption; a longer one is no caption."""

TOLD = 3
"""Faults of a file that are told one by one."""

_TABLES = {"csv": ",", "tsv": "\t"}


class CaptionFile:
    """One file of captions, which are read as they are needed.

    Args:
        source: path of the file, or "-" for standard input.
        layout: one of ``LAYOUTS``; None means by the ending.
        column: name of the column or key, in any case; None means the first of ``CAPTION_KEYS``
            that there is. A number is that of a column, from 1, of a table without headings.

    Attributes:
        blank: entries without a text so far.
        bad: entries so far that gave no caption for another reason.
        faults: what was wrong with the first ``TOLD`` of them, and where.
        is_damaged: whether the rest could not be read.
        position: bytes read so far, as they lie in the file.

    Raises:
        InputError: there is no such file, its layout is not known, or no column of captions.
    """

    def __init__(
        self, source: str | Path, *, layout: str | None = None, column: str | None = None
    ) -> None:
        self.source = str(source)
        if Path(self.source).is_dir():
            raise InputError(_a_folder(self.source))
        self.column = column
        self.blank = self.bad = self.position = 0
        self.faults: list[str] = []
        self.is_damaged = False
        self.layout = layout or self._layout_by_ending()
        if self.layout not in LAYOUTS:
            raise unknown_name("layout of captions", self.layout, LAYOUTS)
        if self.source == STANDARD_INPUT:
            return
        if not Path(self.source).is_file():
            raise InputError(f"there is no file {self.source!r}")
        if self.layout in _TABLES:
            self._check_headings()

    @property
    def size(self) -> int | None:
        """Return the bytes of the file; None if nobody knows."""
        return None if self.source == STANDARD_INPUT else Path(self.source).stat().st_size

    def __iter__(self) -> Iterator[str]:
        """Give the captions, with single spaces between their words."""
        entries: dict[str, Callable[[TextIO], Iterator[tuple[str, Any]]]] = {
            "text": self._lines,
            "jsonl": self._records,
            "json": self._items,
        }
        try:
            with self._opened() as (raw, file):
                for place, value in entries.get(self.layout, self._cells)(file):
                    self.position = 0 if raw is None else raw.tell()
                    yield from self._captions(place, value)
        except _damage() as error:
            self._note_damage(f"is damaged, or could not be read; the rest is lost: {error}")

    def _layout_by_ending(self) -> str:
        if self.source == STANDARD_INPUT:
            return "text"
        endings = [ending.casefold() for ending in Path(self.source).suffixes]
        ending = next((e for e in reversed(endings) if e not in _UNPACKERS), "")
        if ending not in ENDINGS:
            raise InputError(
                f"{self.source!r}: expected a file that ends in {' '.join(ENDINGS)}, perhaps "
                f"followed by {' '.join(_UNPACKERS)}; say what it is with --format"
            )
        return ENDINGS[ending]

    def _check_headings(self) -> None:
        try:
            with self._opened() as (_, file):
                rows = csv.reader(file, delimiter=_TABLES[self.layout])
                self._place_of_captions(next(rows, []))
        except _damage() as error:
            raise InputError(f"{self.source!r} cannot be read: {error}") from error

    def _place_of_captions(self, headings: Sequence[str]) -> int:
        if self.column is not None and self.column.isdecimal() and int(self.column):
            return int(self.column) - 1
        names = [heading.strip().casefold() for heading in headings]
        wanted = CAPTION_KEYS if self.column is None else (self.column.casefold(),)
        for name in wanted:
            if name in names:
                return names.index(name)
        raise InputError(
            f"{self.source!r}: no column is called {' or '.join(wanted)}; its first line has "
            f"{', '.join(map(repr, headings[:20])) or 'nothing'}. Name one with --column; of a "
            "table without headings, give the column's number, from 1"
        )

    @contextmanager
    def _opened(self) -> Iterator[tuple[BinaryIO | None, TextIO]]:
        """Yield the file as it lies on the disk, and its text."""
        newline = "" if self.layout in _TABLES else None
        if self.source == STANDARD_INPUT:
            text = TextIOWrapper(sys.stdin.buffer, "utf-8-sig", errors="replace", newline=newline)
            yield None, text
            text.detach()
            return
        path = Path(self.source)
        unpack = _UNPACKERS.get(path.suffix.casefold(), _as_it_is)
        with path.open("rb") as raw, unpack(raw) as plain:
            yield raw, TextIOWrapper(plain, "utf-8-sig", errors="replace", newline=newline)

    def _lines(self, file: TextIO) -> Iterator[tuple[str, Any]]:
        for number, line in enumerate(file, 1):
            yield f"line {number}", line

    def _cells(self, file: TextIO) -> Iterator[tuple[str, Any]]:
        rows = csv.reader(file, delimiter=_TABLES[self.layout])
        is_bare = self.column is not None and self.column.isdecimal()
        place = self._place_of_captions([] if is_bare else next(rows, []))
        while True:
            try:
                row = next(rows, None)
            except csv.Error as error:
                self._note(f"line {rows.line_num}", str(error))
                continue
            if row is None:
                return
            where = f"line {rows.line_num}"
            if not row:
                self.blank += 1
            elif len(row) <= place:
                self._note(where, f"has {len(row)} columns, captions are in number {place + 1}")
            else:
                yield where, row[place]

    def _records(self, file: TextIO) -> Iterator[tuple[str, Any]]:
        for where, line in self._lines(file):
            if line.isspace():
                self.blank += 1
                continue
            try:
                record = json.loads(line)
            except ValueError as error:
                self._note(where, f"is no JSON: {error}")
            else:
                yield from self._of_record(where, record)

    def _items(self, file: TextIO) -> Iterator[tuple[str, Any]]:
        found = False
        try:
            for number, (key, item) in enumerate(JsonItems(file), 1):
                if key in ("", "annotations"):
                    found = True
                    yield from self._of_record(f"entry {number}", item)
        except ValueError as error:
            self._note_damage(f"is damaged JSON; the rest is lost: {error}")
            return
        if not found:
            self._note_damage('has no captions: expected a list, or {"annotations": [...]}')

    def _of_record(self, where: str, record: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(record, str):
            yield where, record
            return
        keys = CAPTION_KEYS if self.column is None else (self.column,)
        if isinstance(record, dict):
            names = {str(key).casefold(): key for key in record}
            for key in keys:
                if key.casefold() in names:
                    yield where, record[names[key.casefold()]]
                    return
        self._note(where, f"has no key {' or '.join(keys)}; name another with --column")

    def _captions(self, where: str, value: Any) -> Iterator[str]:
        for one in value if isinstance(value, list) else [value]:
            text = one.get("text") if isinstance(one, dict) else one
            if not isinstance(text, str):
                self._note(where, f"expected a text, got {str(one)[:40]}")
            elif len(text) > LONGEST:
                self._note(where, f"is longer than {LONGEST:,} characters")
            elif "\ufffd" in text:
                self._note(where, "is no valid UTF-8; save the file as UTF-8")
            elif caption := " ".join(text.split()):
                yield caption
            else:
                self.blank += 1

    def _note_damage(self, what: str) -> None:
        self.is_damaged = True
        self.faults.append(f"{self.source}: {what}")

    def _note(self, where: str, what: str) -> None:
        self.bad += 1
        if len(self.faults) < TOLD:
            self.faults.append(f"{self.source}, {where}: {what}")


def _a_folder(source: str) -> str:
    folder = shlex.quote(source)
    return (
        f"expected files of captions, got the folder {source!r}; name the files in it, or, if it "
        f"is one of pictures, type first: grounded-ram parse {folder} -o examples.jsonl, and then "
        "examples.jsonl in its place"
    )


def _as_it_is(raw: BinaryIO) -> Any:
    return raw


def _unzip(raw: BinaryIO) -> Any:
    return gzip.GzipFile(fileobj=raw)


def _unpack_zstd(raw: BinaryIO) -> Any:
    try:
        zstandard: Any = import_module("zstandard")
    except ImportError as error:
        raise MissingDependencyError(
            "captions in a .zst file need zstandard; try: pip install zstandard"
        ) from error
    unpacker = zstandard.ZstdDecompressor()
    return unpacker.stream_reader(raw, closefd=False, read_across_frames=True)


def _damage() -> tuple[type[Exception], ...]:
    """Return what a damaged file makes reading it raise."""
    zstandard: Any = sys.modules.get("zstandard")
    others = () if zstandard is None else (zstandard.ZstdError,)
    return (EOFError, OSError, zlib.error, *others)


_UNPACKERS: dict[str, Callable[[BinaryIO], Any]] = {".gz": _unzip, ".zst": _unpack_zstd}
