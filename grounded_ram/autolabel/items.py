"""What a source of pictures gives, and how its pictures are named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

# fmt: off
ENDINGS = frozenset({
    ".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif",
    ".tiff", ".webp",
})
# fmt: on
"""Files in folders that are taken for pictures, in capitals too; files named singly always are."""

ARCHIVE_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")

VIDEO_ENDINGS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm")

HIDDEN = "hidden"
NAME_TAKEN = "an earlier picture has this name"
NOT_TEXT = "its name is no valid text; rename it"
OF_A_RUN = "folder of this run"
NOT_OPENED = "not opened, since only those named by themselves are"
NO_PICTURE = "no picture ending"

BY_DESIGN = frozenset(
    {
        *(HIDDEN, NAME_TAKEN, OF_A_RUN, NOT_OPENED, NO_PICTURE, "no ordinary file"),
        *("folder that is here under another name", "a further picture of a sample"),
    }
)
"""Why something is no item though nothing is wrong with it."""


@dataclass(frozen=True)
class Item:
    """One picture to label.

    Args:
        name: path inside the dataset, slashes between folders; no two items share one, and it is
            the same in every run: the key.
        path: the file to read; where ``url`` is set, the file it is to be kept in.
        url: where ``fetch`` gets it from, if the file is not there yet.
        origin: for people, where the file was taken from something else:
            "clip.mp4 at 00:00:12.345".
    """

    name: str
    path: str
    url: str = ""
    origin: str = ""


@dataclass(frozen=True)
class Skipped:
    """Something in a source that is no item.

    Args:
        name: what it is called, always valid text.
        reason: why, in one line: the same words for the same reason, details after a colon.
    """

    name: str
    reason: str

    @property
    def what(self) -> str:
        """Return the reason without its details."""
        return self.reason.partition(":")[0]

    @property
    def is_failure(self) -> bool:
        """Tell whether a picture was meant and is lost: the file is damaged or gone, say."""
        return self.what not in BY_DESIGN


class Source(Protocol):
    """One thing that the user typed, opened."""

    @property
    def base(self) -> str | None:
        """Absolute path of the folder that names are relative to; None if it has no such folder."""

    def items(self, naming: Naming) -> Iterator[Item | Skipped]:
        """Go through it, from its beginning, in the same order each time."""

    @property
    def is_listed(self) -> bool:
        """Whether going through it is cheap, since it makes no files."""

    def record(self) -> dict[str, Any]:
        """Return what was asked for, as plain JSON."""


class Naming:
    """Names of items: each once, and dependent on what was typed, not on what was found.

    Args:
        root: the deepest folder above all sources; None where there is none.
        keep_in: folder of files that are taken from archives, videos and addresses.
        leave_out: resolved paths of folders in which no pictures are looked for.
        unique: whether the source alone sees to it that names differ, so that none is remembered.
    """

    def __init__(
        self, root: str | None, keep_in: Path, leave_out: tuple[str, ...] = (), *, unique: bool
    ) -> None:
        self.keep_in = keep_in
        self.leave_out = leave_out
        self._above = None if root is None else root.rstrip(os.sep) + os.sep
        self._taken: set[str] | None = None if unique else set()

    def of(self, path: str) -> str:
        """Name what lies at an absolute path: from the root on, or from the disk's root on."""
        if self._above is not None and (path + os.sep).startswith(self._above):
            return path[len(self._above) :].replace(os.sep, "/")
        drive, below = os.path.splitdrive(path)
        return f"{drive.replace(':', '')}{below}".replace(os.sep, "/").strip("/")

    def take(self, name: str) -> bool:
        """Give a name away; False if it is gone."""
        if self._taken is None:
            return True
        if name in self._taken:
            return False
        self._taken.add(name)
        return True


def is_url(text: str) -> bool:
    """Tell whether an input is an address and not a path."""
    return "://" in text


def is_utf8(text: str) -> bool:
    """Tell whether a name is valid text, as file names need not be."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def readable(text: str) -> str:
    """Write a name that may be no valid text as valid text."""
    return os.fsencode(text).decode(errors="backslashreplace")


def straight(path: Path) -> Path:
    """Make a path absolute and walk its ".."; links stay, so that names are as they were typed."""
    return path.resolve() if ".." in path.parts else path.absolute()


def ending(name: str) -> str:
    """Return the ending in small letters: ".jpg", ".tar.gz"; nothing if there is none."""
    last = name.rsplit("/", 1)[-1].casefold()
    return next((end for end in ARCHIVE_ENDINGS if last.endswith(end)), Path(last).suffix)


def not_a_picture(name: str) -> str | None:
    """Return why a file, by its ending, is taken for no picture; None if it is one."""
    end = ending(name)
    if end in ENDINGS:
        return None
    if end in ARCHIVE_ENDINGS or end in VIDEO_ENDINGS:
        return f"{NOT_OPENED}: {end}"
    return f"{NO_PICTURE}: {end or 'none'}"
