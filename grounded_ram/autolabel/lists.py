"""Pictures that are named one by one: typed, in a list file, or over the standard input."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from grounded_ram.autolabel.items import (
    NAME_TAKEN,
    NOT_TEXT,
    Item,
    Naming,
    Skipped,
    is_url,
    is_utf8,
    not_a_picture,
    straight,
)
from grounded_ram.autolabel.urls import fault_of_url, item_of_url
from grounded_ram.errors import InputError


@dataclass(frozen=True)
class PictureFile:
    """One picture that was named by itself."""

    path: Path  # absolute
    is_listed = True

    @property
    def base(self) -> str:
        """The folder that it lies in."""
        return str(self.path.parent)

    def items(self, naming: Naming) -> Iterator[Item | Skipped]:
        """Give the picture."""
        yield _item_of_path(self.path, str(self.path), naming)

    def record(self) -> dict[str, Any]:
        """Return what was asked for."""
        return {"kind": "picture", "path": str(self.path)}


@dataclass(frozen=True)
class ListFile:
    """A text file with one path or address a line; paths begin at its folder.

    Args:
        path: absolute.

    Raises:
        InputError: it cannot be read, or is no UTF-8.
    """

    path: Path
    is_listed = True

    def __post_init__(self) -> None:
        try:
            with self.path.open("rb") as file:
                start = file.read(2)
        except OSError as error:
            raise InputError(f"cannot read the list {str(self.path)!r}: {error}") from error
        if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise InputError(f"the list {str(self.path)!r} is UTF-16; save it as UTF-8")

    @property
    def base(self) -> str:
        """The folder of the list."""
        return str(self.path.parent)

    def items(self, naming: Naming) -> Iterator[Item | Skipped]:
        """Give what its lines name, in their order."""
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                where = f"{self.path.name}, line {number}"
                yield from _items_of_line(line, where, self.path.parent, naming)

    def record(self) -> dict[str, Any]:
        """Return what was asked for."""
        return {"kind": "list", "path": str(self.path)}


class StandardInput:
    """A list that can be read only once: its lines are kept for the next time.

    Args:
        stream: what it is read from.
    """

    is_listed = False

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lines: list[bytes] = []
        self.base = str(Path.cwd())

    def items(self, naming: Naming) -> Iterator[Item | Skipped]:
        """Give what its lines name, in their order."""
        for number, line in enumerate(self._read(), 1):
            where = f"standard input, line {number}"
            yield from _items_of_line(line, where, Path(self.base), naming)

    def _read(self) -> Iterator[bytes]:
        place = 0
        while place < len(self._lines) or self._read_one():
            yield self._lines[place]
            place += 1

    def _read_one(self) -> bool:
        line = self._stream.readline()
        if line:
            self._lines.append(line)
        return bool(line)

    def record(self) -> dict[str, Any]:
        """Return what was asked for."""
        return {"kind": "standard input", "path": self.base}


def _items_of_line(
    line: bytes, where: str, folder: Path, naming: Naming
) -> Iterator[Item | Skipped]:
    """Give what a line names: nothing for a blank one and a comment."""
    text = line.removeprefix(codecs.BOM_UTF8).decode(errors="surrogateescape").strip()
    if not text or text.startswith("#"):
        return
    if not is_utf8(text):
        yield Skipped(where, NOT_TEXT)
    elif is_url(text):
        fault = fault_of_url(text)
        yield Skipped(where, fault) if fault else item_of_url(text, naming)
    else:
        yield _item_of_path(folder / text, where, naming)


def _item_of_path(path: Path, where: str, naming: Naming) -> Item | Skipped:
    """Give the picture at a path that somebody wrote down.

    Args:
        path: any.
        where: what to call it if it is no item.
        naming: makes its name.
    """
    try:
        path = straight(path)
        if path.is_dir():
            return Skipped(where, f"a folder, and a list names files: {str(path)!r}")
        if not path.exists():
            return Skipped(where, f"there is no file: {str(path)!r}")
    except (OSError, ValueError) as error:  # ValueError: NUL in the name
        return Skipped(where, f"no path: {error}")
    if (reason := not_a_picture(path.name)) and reason.startswith("not opened"):
        return Skipped(where, reason)
    name = naming.of(str(path))
    return Item(name, str(path)) if naming.take(name) else Skipped(name, NAME_TAKEN)
