"""Room on a disk, and files that appear under their name only once all of them is written."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from grounded_ram.errors import WeightsError

SPARE = 64_000_000
"""Bytes that a download leaves free."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # the last: FAT32 holds no file above 4 GiB


class DiskFullError(WeightsError):
    """A disk has no room for a file; another source of the same file would not help."""


def check_room(folder: Path, needed: int) -> None:
    """Make sure that the disk of a folder takes some bytes more.

    Args:
        folder: it need not be there yet.
        needed: bytes.

    Raises:
        DiskFullError: less is free, or would be left than ``SPARE``.
    """
    free = shutil.disk_usage(_existing(folder)).free
    if needed + SPARE > free:
        raise DiskFullError(
            f"the disk of {folder} has {size_text(free)} free, and {size_text(needed)} are to come "
            f"({size_text(SPARE)} must stay free)"
        )


def is_full(error: BaseException) -> bool:
    """Tell whether an error, or one that it came from, means a full disk."""
    return any(
        (isinstance(one, OSError) and one.errno in _FULL) or os.strerror(errno.ENOSPC) in str(one)
        for one in _chain(error)
    )


def put_in_place(draft: Path, path: Path) -> None:
    """Move a complete file to its name, where it takes the place of what lies there.

    Both are in one folder. After a power cut the name stands for the old file or the whole new one.
    """
    with draft.open("rb+") as file:
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make sure that the names of the files in a folder survive a power cut."""
    if os.name != "posix":  # elsewhere folders cannot be opened
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def size_text(size: int) -> str:
    """Write a number of bytes for people."""
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size / 1e3:.1f} kB"


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    return next(one for one in (folder, *folder.absolute().parents) if one.exists())


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
