"""Pictures in archives, taken out one at a time: tar, compressed or not, and zip.

An archive is read once, in its order. Its members may come from strangers: only plain files with a
harmless name and of a bearable size are taken out.
"""

from __future__ import annotations

import errno
import lzma
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from grounded_ram.autolabel.items import (
    HIDDEN,
    NAME_TAKEN,
    NOT_TEXT,
    Item,
    Naming,
    Skipped,
    ending,
    is_utf8,
    not_a_picture,
    readable,
)
from grounded_ram.errors import InputError
from grounded_ram.export.files import replacing

MAX_MEMBER_BYTES = 256 * 2**20
"""Larger members are left in their archive."""

_MOST_SHARDS = 100_000
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,
)
_LONGEST_HEADER = 2**20  # bytes; tarfile reads them into memory
_LONG_HEADERS = {
    tarfile.GNUTYPE_LONGLINK,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.XHDTYPE,
}
_CANNOT_BE_NAMED = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL}
_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}|\{([^{}]*,[^{}]*)\}")


@dataclass(frozen=True)
class _Member:
    """One entry of an archive that is no folder."""

    name: str
    size: int
    fault: str | None  # why it is no plain file
    open: Callable[[], AbstractContextManager[IO[bytes]]]


class Archive:
    """The pictures in an archive; they are called like it, without its ending, and like the member.

    Args:
        path: absolute.
        samples: whether it is a shard of a WebDataset: members whose names agree up to the first
            dot are one sample, and only the first picture of a sample is taken.

    Raises:
        InputError: the file is no archive.
    """

    is_listed = False

    def __init__(self, path: Path, *, samples: bool = False) -> None:
        self.base = str(path.parent)
        self._path = path
        self._samples = samples
        self._is_zip = path.suffix.casefold() == ".zip"
        try:
            (zipfile.ZipFile(path) if self._is_zip else _open_tar(path)).close()
        except (OSError, *_DAMAGE) as error:
            raise InputError(f"cannot read the archive {str(path)!r}: {error}") from error

    def items(self, naming: Naming) -> Iterator[Item | Skipped]:
        """Take out its pictures in its order."""
        above = naming.of(str(without_ending(self._path)))
        members = _zip_members(self._path) if self._is_zip else _tar_members(self._path)
        sample = None
        try:
            for member in members:
                found = self._item(member, above, sample, naming)
                if isinstance(found, Item) and self._samples:
                    sample = _sample_of(found.name)
                yield found
        except _DAMAGE as error:
            yield Skipped(naming.of(str(self._path)), f"damaged, the rest cannot be read: {error}")

    def record(self) -> dict[str, Any]:
        """Return what was asked for."""
        return {"kind": "webdataset" if self._samples else "archive", "path": str(self._path)}

    def _item(
        self, member: _Member, above: str, sample: str | None, naming: Naming
    ) -> Item | Skipped:
        inside = _harmless(member.name)
        if inside is None:
            return Skipped(f"{above}: {readable(member.name)!a}", "a name that leads out of it")
        name = f"{above}/{inside}"
        if reason := _fault(member, inside):
            return Skipped(readable(name), reason)
        if self._samples and _sample_of(name) == sample:
            return Skipped(name, "a further picture of a sample")
        if not naming.take(name):
            return Skipped(name, NAME_TAKEN)
        path = naming.keep_in / name
        try:
            if not path.is_file() or path.stat().st_size != member.size:
                with member.open() as source, replacing(path) as target:
                    shutil.copyfileobj(source, target)
        except OSError as error:
            if error.errno not in _CANNOT_BE_NAMED:
                raise
            return Skipped(name, f"cannot be kept: {error.strerror}")
        except RuntimeError as error:  # encrypted, or packed in an unknown way
            return Skipped(name, f"cannot be taken out: {error}")
        except _DAMAGE as error:
            if not self._is_zip:  # which alone can be read on behind the damage
                raise
            return Skipped(name, f"damaged: {error}")
        return Item(name, str(path), origin=f"{self._path.name}: {inside}")


def without_ending(path: Path) -> Path:
    """Return a path without the ending that ``ending`` finds."""
    end = ending(path.name)
    return path.with_name(path.name[: -len(end)]) if end else path


def spread(pattern: str) -> list[str]:
    """Spread the braces of a pattern: {000..012} to numbers of that width, {a,b} to either.

    Returns:
        The text itself where it has none.

    Raises:
        InputError: numbers count down, or are too many.
    """
    found = _BRACES.search(pattern)
    if found is None:
        return [pattern]
    first, last, choices = found.groups()
    if choices is not None:
        inner = choices.split(",")
    elif 0 <= int(last) - int(first) < _MOST_SHARDS:
        inner = [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
    else:
        raise InputError(f"{found[0]}: expected at most {_MOST_SHARDS:,} numbers, upwards")
    rests = spread(pattern[found.end() :])
    return [pattern[: found.start()] + one + rest for one in inner for rest in rests]


def _tar_members(path: Path) -> Iterator[_Member]:
    with _open_tar(path) as tar:
        while (entry := tar.next()) is not None:
            tar.members = []  # type: ignore[attr-defined]  # else it remembers them all
            fault = None
            if entry.issym() or entry.islnk():
                fault = "a link in an archive"
            elif not entry.isreg():
                fault = "no ordinary file"
            if not entry.isdir():
                yield _Member(entry.name, entry.size, fault, partial(_open_entry, tar, entry))


def _open_tar(path: Path) -> tarfile.TarFile:
    return tarfile.open(path, "r|*", tarinfo=_Header)


def _open_entry(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes]:
    stream = tar.extractfile(entry)
    assert stream is not None, "only plain files are opened"
    return stream


class _Header(tarfile.TarInfo):
    """A header; one that is damaged ends the reading with an error, not in silence."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> _Header:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.HeaderError as error:
            if type(error).__name__ in ("EOFHeaderError", "EmptyHeaderError"):  # its proper end
                raise
            raise tarfile.ReadError(str(error)) from error

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        header = super().frombuf(buf, encoding, errors)
        if header.type in _LONG_HEADERS and header.size > _LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {header.size:,} bytes")
        return header


def _zip_members(path: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            is_link = stat.S_ISLNK(entry.external_attr >> 16)
            if not entry.is_dir():
                fault = "a link in an archive" if is_link else None
                opener = partial(archive.open, entry)
                yield _Member(entry.filename, entry.file_size, fault, opener)


def _harmless(name: str) -> str | None:
    """Return a member's name with plain slashes; None if it leads out of its folder."""
    slashed = name.replace("\\", "/")
    parts = [part for part in slashed.split("/") if part not in ("", ".")]
    if slashed.startswith("/") or not parts or ".." in parts or re.match("[A-Za-z]:", slashed):
        return None
    return None if "\0" in slashed else "/".join(parts)


def _fault(member: _Member, inside: str) -> str | None:
    """Return why a member is not taken out; None if it is."""
    if not is_utf8(inside):
        return NOT_TEXT
    if any(part.startswith(".") for part in inside.split("/")):
        return HIDDEN
    if member.size > MAX_MEMBER_BYTES:
        return f"larger than {MAX_MEMBER_BYTES >> 20} MiB"
    return member.fault or not_a_picture(inside)


def _sample_of(name: str) -> str:
    """Return the key of a WebDataset's sample: a name up to the first dot behind its folders."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.split(".", 1)[0]
