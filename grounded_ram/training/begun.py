"""What was asked for when a folder was begun, so that it goes on with nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from grounded_ram.autolabel.run_folder import differences
from grounded_ram.data_engine.examples import Example
from grounded_ram.errors import InputError


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
            + "\n  ".join(found)
            + "\nType the command as it was, or choose another folder with -o"
        )


def digest_of(examples: Sequence[Example]) -> list[Any]:
    """Return how many examples there are, and what tells them from others."""
    digest = sha256()
    for example in examples:
        digest.update(repr(example).encode())
    return [len(examples), digest.hexdigest()]
