"""JSON Lines from elsewhere, and files of examples: an object with a picture in each line.

Read are ``{"image": ..., "tags": [...], "captions": [...]}`` and what other trainers write, such as
``{"file_name": ..., "text": ...}`` in a ``metadata.jsonl``; ``reading_rows`` has all keys.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from grounded_ram.data_engine.reading.rows import (
    CAPTION_KEYS,
    NO_UTF8,
    TAG_KEYS,
    BadRow,
    Pictures,
    Row,
    check_readable,
    example_of,
    key_in,
)
from grounded_ram.data_engine.reading.separators import TagText, common_separator
from grounded_ram.errors import InputError


class Lines:
    """A file of JSON Lines, read a line at a time.

    Args:
        path: the file.
        root: the folder that names of pictures begin at.
        separator: between tags in one text; None: the one of "|", ";" and "," that is in any of
            the file, see ``separators``.

    Raises:
        InputError: it cannot be read.
    """

    def __init__(self, path: Path, root: Path, separator: str | None = None) -> None:
        check_readable(path)
        self._path = path
        self._pictures = Pictures(root)
        self._separator = separator
        self.about = f"JSON Lines {path.name}"

    def rows(self) -> Iterator[Row]:
        """Give an example for each line that is not blank, or why there is none.

        Raises:
            InputError: nobody can tell what parts the tags in a text.
        """
        separator = self._mark
        for number, line in self._lines():
            try:
                yield example_of(_object(line), self._pictures, separator)
            except InputError as error:
                place = f"{self._path.name}:{number}"
                yield BadRow(place, str(error), str(self._path), str(number))

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Give the lines that are not blank, with their numbers."""
        with self._path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                if line.strip():
                    yield number, line

    @cached_property
    def _mark(self) -> str | None:
        """Return what parts tags in the texts that have some, for which all are read once."""
        if self._separator is not None:
            return self._separator
        return common_separator(self._tag_texts(), "tags")

    def _tag_texts(self) -> Iterator[TagText]:
        for number, line in self._lines():
            try:
                row = _object(line)
                keys = key_in(row, TAG_KEYS, "tags"), key_in(row, CAPTION_KEYS, "captions")
            except InputError:
                continue  # told when it is read for good
            tags, captions = (None if key is None else row[key] for key in keys)
            several = captions if isinstance(captions, list) else [captions]
            told = [tags, *(one.get("tags") for one in several if isinstance(one, dict))]
            for text in told:
                if isinstance(text, str):
                    yield TagText(f"{self._path.name}:{number}", text)


def _object(line: bytes) -> dict[str, Any]:
    """Return the object of a line.

    Raises:
        InputError: it holds none.
    """
    try:
        row: Any = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise InputError(f"{NO_UTF8}: {error.reason}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"no JSON: {error}") from error
    if not isinstance(row, dict):
        raise InputError(f"expected an object with a picture: got {str(row)[:60]!r}")
    return row
