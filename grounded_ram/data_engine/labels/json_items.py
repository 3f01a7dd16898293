"""The lists in a JSON document, item by item: a document may be larger than the memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TextIO

CHUNK = 1 << 20
"""Characters that are read at once."""

LARGEST = 1 << 26
"""Characters of one item; what goes on for longer is no JSON that we can read."""

_GOES_ON = ("", *".eE+-0123456789")


class JsonItems:
    """Reads the items of the lists that a JSON document has at its top.

    Args:
        file: the document: a list, or an object; what it holds beside lists is passed over.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._text = ""
        self._at = 0
        self._decode = json.JSONDecoder().raw_decode

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Give each item with the key of its list, which is "" where the document is the list.

        Raises:
            ValueError: from here on it is no JSON.
        """
        first = self._next()
        if first == "[":
            yield from self._list("")
        elif first == "{":
            yield from self._object()
        else:
            raise ValueError("expected a list or an object")
        if self._next():
            raise ValueError("something follows the end of the document")

    def _object(self) -> Iterator[tuple[str, Any]]:
        self._at += 1
        if self._next() == "}":
            self._at += 1
            return
        while True:
            key = self._value()
            if not isinstance(key, str):
                raise ValueError(f"expected a key in quotes, got {key!r}")
            self._expect(":")
            if self._next() == "[":
                yield from self._list(key)
            else:
                self._value()
            if self._expect(",}") == "}":
                return

    def _list(self, key: str) -> Iterator[tuple[str, Any]]:
        self._at += 1
        if self._next() == "]":
            self._at += 1
            return
        while True:
            yield key, self._value()
            if self._expect(",]") == "]":
                return

    def _next(self) -> str:
        """Return the next character that is no space, and stay before it; "" at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at].isspace():
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read(CHUNK):
                return ""

    def _expect(self, characters: str) -> str:
        found = self._next()
        if not found or found not in characters:
            raise ValueError(f"expected {' or '.join(characters)}, got {found or 'the end'}")
        self._at += 1
        return found

    def _value(self) -> Any:
        self._next()
        more = CHUNK
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except ValueError:
                if len(self._text) - self._at > LARGEST or not self._read(more):
                    raise
            else:
                # A number at the end of what was read may go on: of "0.5" there may be "0." yet.
                is_whole = self._text[end : end + 1] not in _GOES_ON
                if is_whole or not self._read(more):
                    self._at = end
                    return value
            more *= 2

    def _read(self, characters: int) -> bool:
        """Read on, and forget what is behind us; tell whether there was anything."""
        fresh = self._file.read(characters)
        self._text = self._text[self._at :] + fresh
        self._at = 0
        return bool(fresh)
