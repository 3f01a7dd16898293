"""What other installed packages add, by entry points; a broken package harms nobody else."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from typing import Any

from grounded_ram.errors import MissingDependencyError


def installed(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name, importing nothing.

    Of two packages that use one name, the one that Python's path has first wins, as for imports.
    """
    try:
        points: Iterable[EntryPoint] = entry_points(group=group)
    except Exception:  # one package's metadata is damaged: read the others one by one
        points = (point for package in distributions() for point in _points(package, group))
    found: dict[str, EntryPoint] = {}
    for point in points:
        found.setdefault(point.name, point)
    return found


def load(point: EntryPoint) -> Any:
    """Import what an entry point names.

    Raises:
        MissingDependencyError: the package that brings it is broken, or lacks what it needs.
    """
    try:
        return point.load()
    except Exception as error:  # whatever somebody else's module does when it is imported
        package = f"the package {point.dist.name!r}" if point.dist else "a package"
        raise MissingDependencyError(
            f"{point.name!r}, which {package} brings as {point.value!r}, cannot be loaded: "
            f"{type(error).__name__}: {error}. Mend or uninstall that package"
        ) from error


def _points(package: Distribution, group: str) -> list[EntryPoint]:
    try:
        return [point for point in package.entry_points if point.group == group]
    except Exception:  # as damaged as installed() feared
        return []
