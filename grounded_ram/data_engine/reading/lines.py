"""JSON Lines from elsewhere, and files of examples: an object with a picture in each line.

Read are ``{"image": ..., "tags": [...], "captions": [...]}`` and what other trainers write, such as
``{"file_name": ..., "text": ...}`` in a ``metadata.jsonl``; ``reading_rows`` has all keys.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grounded_ram.data_engine.examples import Example
from grounded_ram.data_engine.reading.rows import (
    NO_UTF8,
    BadRow,
    Pictures,
    Row,
    check_readable,
    example_of,
)
from grounded_ram.errors import InputError


class Lines:
    """A file of JSON Lines, read a line at a time.

    Args:
        path: the file.
        root: the folder that names of pictures begin at.
        separator: between tags in one text; None: the first of "|", ";" and "," that is in it.

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
        """Give an example for each line that is not blank, or why there is none."""
        with self._path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                if not line.strip():
                    continue
                try:
                    yield self._example(line)
                except InputError as error:
                    yield BadRow(f"{self._path.name}:{number}", str(error))

    def _example(self, line: bytes) -> Example:
        try:
            row: Any = json.loads(line.decode())
        except UnicodeDecodeError as error:
            raise InputError(f"{NO_UTF8}: {error.reason}") from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"no JSON: {error}") from error
        if not isinstance(row, dict):
            raise InputError(f"expected an object with a picture: got {str(row)[:60]!r}")
        return example_of(row, self._pictures, self._separator)
