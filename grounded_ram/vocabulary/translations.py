"""Names of tags in another language."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from grounded_ram.errors import WeightsError


def read_translations(files: Mapping[str, Path]) -> dict[str, str]:
    """Read the Chinese names of tags by their English names, in the order of the list.

    Args:
        files: "tags" and "names_zh", the English and the Chinese names, line for line, in UTF-8.

    Raises:
        WeightsError: the two lists are not equally long.
    """
    tags, names = (files[role].read_text("utf-8").splitlines() for role in ("tags", "names_zh"))
    if len(tags) != len(names):
        raise WeightsError(f"expected one name a tag, got {len(names)} names of {len(tags)} tags")
    return dict(zip(tags, (name.strip() for name in names), strict=True))
