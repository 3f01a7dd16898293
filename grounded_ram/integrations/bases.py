"""Classes that inherit from other people's, which are imported when they are first asked for."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from grounded_ram.errors import MissingDependencyError


def needed(module: str, *, what: str, install: str) -> Any:
    """Import another tool's module.

    Args:
        module: its dotted name.
        what: who needs it, as the beginning of a message.
        install: what to type.

    Raises:
        MissingDependencyError: it, or what it imports itself, is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"{what} needs {module.partition('.')[0]}, which cannot be imported: {error}; "
            f"try: {install}"
        ) from error


def inherit(ours: type, theirs: Sequence[type], name: str) -> type:
    """Return a class of ours that is one of theirs too; where both have a method, ours is used.

    Args:
        ours: its documentation becomes that of the class.
        theirs: at least one.
        name: what it is called, in the module of ours.
    """
    told = {"__module__": ours.__module__, "__qualname__": name, "__doc__": ours.__doc__}
    return type(name, (ours, *theirs), told)
