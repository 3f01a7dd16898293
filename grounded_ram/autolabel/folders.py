"""Pictures in folders, and those that a pattern matches."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from glob import has_magic
from pathlib import Path
from typing import Any, NamedTuple

from grounded_ram.autolabel.items import (
    HIDDEN,
    NAME_TAKEN,
    NOT_TEXT,
    OF_A_RUN,
    Item,
    Naming,
    Skipped,
    Source,
    is_utf8,
    not_a_picture,
    readable,
    straight,
)
from grounded_ram.errors import InputError


class File(NamedTuple):
    """A file in a folder: its name from that folder on, and its path."""

    name: str
    path: str


class _Folder(NamedTuple):
    name: str  # from the folder walked on
    path: str
    real: str  # without links


class Folder:
    """All pictures in a folder and below it.

    Args:
        path: absolute.

    Raises:
        InputError: it cannot be read.
    """

    is_listed = True

    def __init__(self, path: Path) -> None:
        self.base = str(path)
        try:
            os.scandir(path).close()
        except OSError as error:
            raise InputError(f"cannot read the folder {self.base!r}: {error.strerror}") from error

    def items(self, naming: Naming) -> Iterator[Item | Skipped]:
        """List them by name."""
        return _named(walk(self.base, naming.leave_out), self.base, naming)

    def record(self) -> dict[str, Any]:
        """Return what was asked for."""
        return {"kind": "folder", "path": self.base}


class Pattern:
    """All that a pattern matches; folders that it matches are taken whole.

    Args:
        text: with ``*``, ``?`` and ``[]`` in the name of a file or folder, ``**`` for any folders.
        open_file: makes a source of a file that it matches; None takes it for a picture.

    Raises:
        InputError: it matches no file.
    """

    def __init__(self, text: str, open_file: Callable[[Path], Source] | None = None) -> None:
        parts = Path(text).parts
        fixed = next(place for place, part in enumerate(parts) if has_magic(part))
        self.base = str(straight(Path(*parts[:fixed])))
        self.is_listed = open_file is None
        self._segments = parts[fixed:]
        self._open_file = open_file
        if not any(isinstance(found, File) for found in self._matches(())):
            raise InputError(f"no file matches the pattern {text!r}")

    def items(self, naming: Naming) -> Iterator[Item | Skipped]:
        """List them by name."""
        found = self._matches(naming.leave_out)
        if self._open_file is None:
            yield from _named(found, self.base, naming)
            return
        for one in found:
            if isinstance(one, Skipped):
                yield one
                continue
            try:
                source = self._open_file(Path(one.path))
            except InputError as error:
                yield Skipped(naming.of(one.path), f"cannot be opened: {error}")
            else:
                yield from source.items(naming)

    def record(self) -> dict[str, Any]:
        """Return what was asked for."""
        return {"kind": "pattern", "path": self.base, "pattern": "/".join(self._segments)}

    def _matches(self, leave_out: tuple[str, ...]) -> Iterator[File | Skipped]:
        for found in walk(self.base, leave_out, enter=self._may_hold):
            parts = tuple(found.name.split("/"))
            if _matches(parts, self._segments) or (
                isinstance(found, Skipped) and self._may_hold(found.name)
            ):
                yield found

    def _may_hold(self, folder: str) -> bool:
        return _leads_to(tuple(folder.split("/")), self._segments)


def _matches(parts: tuple[str, ...], segments: tuple[str, ...]) -> bool:
    """Tell whether a pattern matches a path or a folder above it."""
    if not segments:
        return True
    if segments[0] == "**":
        return any(_matches(parts[skip:], segments[1:]) for skip in range(len(parts) + 1))
    return bool(parts) and fnmatch(parts[0], segments[0]) and _matches(parts[1:], segments[1:])


def _leads_to(parts: tuple[str, ...], segments: tuple[str, ...]) -> bool:
    """Tell whether what a pattern matches may lie in a folder."""
    if not parts or not segments or segments[0] == "**":
        return True
    return fnmatch(parts[0], segments[0]) and _leads_to(parts[1:], segments[1:])


def _named(
    found: Iterator[File | Skipped], folder: str, naming: Naming
) -> Iterator[Item | Skipped]:
    """Name the pictures among the files of a folder."""
    above = naming.of(folder)
    for file in found:
        name = f"{above}/{file.name}" if above else file.name
        if isinstance(file, Skipped):
            yield Skipped(name, file.reason)
        elif reason := not_a_picture(file.name):
            yield Skipped(name, reason)
        else:
            yield Item(name, file.path) if naming.take(name) else Skipped(name, NAME_TAKEN)


def walk(
    folder: str, leave_out: tuple[str, ...] = (), enter: Callable[[str], bool] = lambda name: True
) -> Iterator[File | Skipped]:
    """Go through the files in a folder and below it, sorted by name.

    In memory are the names in one folder and in those above it.

    What is hidden is left out. Links to files are followed, and so are links to folders elsewhere,
    but for folders that were gone through already: nothing can go round in circles.

    Args:
        folder: absolute.
        leave_out: resolved paths of folders that are not entered.
        enter: whether to enter a folder, by its name; those that are not are passed over.
    """
    root = _Folder("", folder.rstrip(os.sep), str(Path(folder).resolve()))
    walker = _Walker(root, leave_out, enter)
    stack = [walker.entries(root)]
    while stack:
        for found in stack[-1]:
            if isinstance(found, _Folder):
                stack.append(walker.entries(found))
                break
            yield found
        else:
            stack.pop()


class _Walker:
    def __init__(
        self, root: _Folder, leave_out: tuple[str, ...], enter: Callable[[str], bool]
    ) -> None:
        self._root = root
        self._leave_out = leave_out
        self._enter = enter
        self._seen: set[tuple[int, int]] = set()  # device and inode of folders

    def entries(self, folder: _Folder) -> Iterator[File | _Folder | Skipped]:
        """List one folder."""
        try:
            status = Path(folder.path or os.sep).stat()
            if (status.st_dev, status.st_ino) in self._seen:
                yield Skipped(folder.name, "folder that is here under another name")
                return
            self._seen.add((status.st_dev, status.st_ino))
            names, unusual = _read(folder.path or os.sep)
        except OSError as error:
            yield Skipped(folder.name or ".", f"folder cannot be read: {error.strerror}")
            return
        for short in names:
            name = f"{folder.name}/{short}" if folder.name else short
            path = f"{folder.path}{os.sep}{short}"
            if not is_utf8(short):
                yield Skipped(readable(name), NOT_TEXT)
            elif short.startswith("."):
                yield Skipped(name, HIDDEN)
            elif short not in unusual:
                yield File(name, path)
            elif unusual[short] == "folder":
                yield from self._folder(_Folder(name, path, f"{folder.real}{os.sep}{short}"))
            elif unusual[short] == "link":
                yield from self._link(name, Path(path))
            else:
                yield Skipped(name, "no ordinary file")

    def _folder(self, folder: _Folder) -> Iterator[_Folder | Skipped]:
        if any(is_within(folder.real, left_out) for left_out in self._leave_out):
            yield Skipped(folder.name, OF_A_RUN)
        elif self._enter(folder.name):
            yield folder

    def _link(self, name: str, path: Path) -> Iterator[File | _Folder | Skipped]:
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError):  # RuntimeError: a circle, before Python 3.13
            yield Skipped(name, "broken link")
            return
        if real.is_file():
            yield File(name, str(path))
        elif not real.is_dir():
            yield Skipped(name, "no ordinary file")
        elif is_within(str(real), self._root.real):
            yield Skipped(name, "folder that is here under another name")
        else:
            yield from self._folder(_Folder(name, str(path), str(real)))


def _read(folder: str) -> tuple[list[str], dict[str, str]]:
    """Return the sorted names in a folder, and of those that are no plain files, what they are."""
    names = []
    unusual = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            names.append(entry.name)
            if entry.is_symlink():
                unusual[entry.name] = "link"
            elif entry.is_dir():
                unusual[entry.name] = "folder"
            elif not entry.is_file():
                unusual[entry.name] = "other"
    return sorted(names), unusual


def is_within(path: str, folder: str) -> bool:
    """Tell whether a resolved path is a folder or lies in it."""
    return f"{path}{os.sep}".startswith(folder.rstrip(os.sep) + os.sep)
