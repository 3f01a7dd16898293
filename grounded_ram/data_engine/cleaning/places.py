"""Where a cleaned run may lie, and how it gets there."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

from grounded_ram.autolabel.run_folder import Run
from grounded_ram.errors import InputError

CLEANED = "cleaned"
"""What the record of the models, in run.json and in every export, calls the cleaning."""


def check_place(old: Path, new: Path, *, overwrite: bool = False) -> None:
    """Make sure, before hours of work, that the new run can lie where it shall.

    Args:
        old: folder of the run that is cleaned.
        new: folder of the new one.
        overwrite: a run that cleaning made may be there.

    Raises:
        InputError: something else is there, or it is inside the old run, or around it.
    """
    here, there = old.resolve(), new.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise InputError(
            f"{str(new)!r} is, or lies inside or around, the run {str(old)!r}, which stays as it "
            "is; choose a folder beside it with -o"
        )
    if not (new.exists() or new.is_symlink()):
        return
    if new.is_symlink() or not _is_cleaned(new):
        raise InputError(
            f"{str(new)!r} is there, and is no run that `grounded-ram clean` made; choose another "
            "folder with -o"
        )
    if not overwrite:
        raise InputError(
            f"{str(new)!r} is there from an earlier run; choose another folder with -o, or replace "
            "it with --overwrite"
        )


def hidden(folder: Path, ending: str) -> Path:
    """Return a place beside a folder that listings leave out."""
    return folder.with_name(f".{folder.name}.{ending}")


def draft_of(folder: Path) -> Path:
    """Return where a folder grows until it is complete."""
    return hidden(folder, f"{secrets.token_hex(4)}.part")


def put(draft: Path, folder: Path) -> None:
    """Move a complete folder to its place; what is there stays until then, and goes after."""
    if not folder.exists():
        draft.rename(folder)
        return
    old = hidden(folder, f"{secrets.token_hex(4)}.old")
    folder.rename(old)
    try:
        draft.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _is_cleaned(folder: Path) -> bool:
    """Tell whether a folder is that of a run that cleaning made."""
    try:
        return CLEANED in Run(folder).config["model"]
    except (InputError, KeyError, TypeError, OSError):
        return False
