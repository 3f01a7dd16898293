"""Names that people type: taken apart in one way only, and answered with what is near."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from grounded_ram.errors import InputError, UnknownNameError

_LISTED = 40  # of the known names, in a message


def split_backend(name: str) -> tuple[str, str]:
    """Split a backend name such as "sam:vit-b" into adapter "sam" and checkpoint "vit-b".

    Raises:
        InputError: the name is not two words around one colon.
    """
    adapter, colon, checkpoint = name.partition(":")
    if not (adapter and colon and checkpoint) or ":" in checkpoint:
        raise InputError(
            f"a backend is named 'adapter:checkpoint', such as 'sam:vit-b'; got {name!r}"
        )
    return adapter, checkpoint


def unknown_name(what: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """Make the error for a name that is in no table: what is close to it, and all that is known.

    Args:
        what: the kind of thing, such as "preset".
        name: what was asked for.
        known: the names that would have worked.
    """
    choices = sorted(known)
    near = get_close_matches(name.casefold(), choices, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else "."
    if len(choices) <= _LISTED:
        hint += f" Known: {', '.join(choices) or 'none'}"
    elif not near:
        hint += f" Known: {', '.join(choices[:_LISTED])} and {len(choices) - _LISTED} more"
    return UnknownNameError(f"unknown {what} {name!r}{hint}")


def is_inside(path: str) -> bool:
    """Tell whether a path with slashes stays inside the folder that it is relative to."""
    return not {"\\", "\0"} & set(path) and not {"", ".", ".."} & set(path.split("/"))
