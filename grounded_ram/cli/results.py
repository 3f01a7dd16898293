"""What a run found: as plain values for JSON, and as lines for a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grounded_ram.export.columns import described

if TYPE_CHECKING:
    from grounded_ram.annotation import Annotation

HEADINGS = ("picture", "size", "objects", "also seen", "looked for, not found")


MOST_NAMES = 20
"""Names in a cell of the table; results.json has them all."""


def record(annotation: Annotation, name: str, overlay: Path) -> dict[str, Any]:
    """Return what is known about one picture but its masks, in plain values."""
    return {
        "input": annotation.image.path,
        "name": name,
        **described(annotation),
        "overlay": str(overlay),
    }


def line(picture: dict[str, Any]) -> tuple[str, ...]:
    """Return the cells of one picture's line, under ``HEADINGS``."""
    found = [item["name"] for item in picture["objects"]]
    named = {*found, *picture["not_found"]}
    others = [tag["name"] for tag in picture["tags"] if tag["name"] not in named]
    size = f"{picture['width']} x {picture['height']}"
    return (
        picture["name"],
        size,
        count(found) or "none",
        _some(others),
        _some(picture["not_found"]),
    )


def _some(names: Sequence[str]) -> str:
    """Write names, of very many the first."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def count(names: Iterable[str]) -> str:
    """Write names with how often each comes, the most frequent first: "tree 3, car"."""
    numbers = Counter(names).most_common()
    return ", ".join(name if n == 1 else f"{name} {n}" for name, n in numbers)
