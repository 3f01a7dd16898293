"""What parts the tags in one text: found once for a column or key, and never text by text.

"jar, large" is one tag where others are written "dog|cat", and two where they are "dog, cat".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from grounded_ram.errors import InputError

SEPARATORS = ("|", ";", ",")
"""What may part tags; of several in one text the first of these does."""


class TagText(NamedTuple):
    """Tags as they stand in one text.

    Args:
        place: where that is, such as "labels.csv:17".
        text: with the tags.
    """

    place: str
    text: str


def mark_in(text: str) -> str | None:
    """Return what parts the tags in one text, as far as that text alone tells."""
    return next((mark for mark in SEPARATORS if mark in text), None)


def common_separator(texts: Iterable[TagText], key: str) -> str | None:
    """Return what parts tags in all texts of a column or key; None if nothing does.

    Args:
        texts: all of them; read to the end, and not held.
        key: what the column or key is called, for people.

    Raises:
        InputError: some texts would be parted by one mark, and others by another.
    """
    first: dict[str, TagText] = {}
    for text in texts:
        mark = mark_in(text.text)
        if mark is not None:
            first.setdefault(mark, text)
    if len(first) > 1:
        told = ", ".join(
            f"by {mark!r} in {one.place} ({one.text[:40]!r})" for mark, one in first.items()
        )
        raise InputError(
            f"expected one mark between the tags in {key!r}, got several: {told}. Say which it is "
            "with separator= (--separator on the command line), or correct the others"
        )
    return next(iter(first), None)
