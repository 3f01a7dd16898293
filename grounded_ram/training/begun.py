"""A folder that was begun: it goes on with nothing else, and for one process at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path
from typing import Any

from grounded_ram.autolabel.run_folder import alone_in, differences
from grounded_ram.data_engine.examples import Example
from grounded_ram.errors import InputError

_DIGEST = "digest"


def check_begun(path: Path, asked: Mapping[str, Any]) -> None:
    """Make sure that a file, if it is there, says what is asked for now.

    Args:
        path: JSON in the folder that was begun.
        asked: plain JSON values.

    Raises:
        InputError: it says something else, and the message in what; or it is damaged.
    """
    if not path.exists():
        return
    try:
        had = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise InputError(
            f"{str(path)!r} is damaged: {error}. Put it back as it was, or choose another folder "
            "with -o"
        ) from error
    if found := differences(had, dict(asked)):
        raise InputError(
            f"{str(path.parent)!r} was begun otherwise:\n  "
            + "\n  ".join(map(_said, found))
            + "\nType the command as it was, or choose another folder with -o"
        )


def working_in(folder: Path) -> AbstractContextManager[None]:
    """Keep other processes out of a folder.

    Raises:
        InputError: another one is in it.
    """
    return alone_in(
        folder,
        f"another process is working in {str(folder)!r}; wait for it, stop it, or choose another "
        "folder with -o",
    )


def digest_of(examples: Sequence[Example]) -> dict[str, Any]:
    """Return how many examples there are, and what tells them from others."""
    digest = sha256()
    for example in examples:
        digest.update(repr(example).encode())
    return {"count": len(examples), _DIGEST: digest.hexdigest()}


def _said(difference: str) -> str:
    """Return a difference in words that tell a user something."""
    name, found, _ = difference.partition(f".{_DIGEST}: ")
    return f"{name}: other pictures, tags or captions" if found else difference
