"""Folders that -o names: whether they can be written is told before hours of work, and how."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grounded_ram.disk import DiskFullError, is_full
from grounded_ram.errors import GroundedRAMError, InputError

GO_ON = "the same command again to go on"


@contextmanager
def writing_into(folder: Path, again: str = GO_ON) -> Iterator[None]:
    """Make sure that the folder of -o can be written, and say so of what goes wrong meanwhile.

    Args:
        folder: it need not be there yet, and is not made; drafts may lie beside it.
        again: what to type when there is room again.

    Raises:
        InputError: it cannot be made or written.
        DiskFullError: the disk became full.
        GroundedRAMError: the folder cannot be written any more.
    """
    check_folder(folder)
    try:
        yield
    except GroundedRAMError:
        raise
    except OSError as error:
        raise _told(error, folder, again) from error


def check_folder(folder: Path) -> None:
    """Make sure that the folder of -o can be made and written; nothing is left there.

    Raises:
        InputError: it cannot.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"-o must name a folder, but {str(folder)!r} is a file")
    places = (folder, *folder.absolute().parents)
    nearest = next(place for place in places if place.exists())
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise InputError(
            f"{str(folder)!r} cannot be written, as {str(nearest)!r} refuses: {error.strerror}; "
            "choose another folder with -o"
        ) from error


def _told(error: OSError, folder: Path, again: str) -> OSError | GroundedRAMError:
    """Return an error that says what to do, where it comes of writing into a folder."""
    if is_full(error):
        return DiskFullError(
            f"the disk is full: {error}. What was done before is kept in {folder}; make room, and "
            f"type {again}"
        )
    names = [name for name in (error.filename, error.filename2) if isinstance(name, (str, Path))]
    if not any(_is_ours(Path(name).absolute(), folder.absolute()) for name in names):
        return error
    return GroundedRAMError(
        f"{str(folder)!r} cannot be written any more: {error}. Make it writable and type {again}, "
        "or choose another folder with -o"
    )


def _is_ours(path: Path, folder: Path) -> bool:
    """Tell whether a path is the folder, lies inside, or in a draft beside it."""
    if folder.parent not in path.parents:
        return False
    first = path.relative_to(folder.parent).parts[0]
    return first == folder.name or first.startswith(f".{folder.name}.")
