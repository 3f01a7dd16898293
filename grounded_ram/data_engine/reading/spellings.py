"""Tags that differ by capitals alone: mostly one thing, which nobody but the user can know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

TOLD = 3
"""Groups that are told one by one."""


def alike_but_for_case(tags: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the groups of tags that differ by capitals alone, in the order of the letters."""
    groups: dict[str, list[str]] = {}
    for tag in dict.fromkeys(tags):
        groups.setdefault(tag.casefold(), []).append(tag)
    return sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1)


def case_note(counts: Mapping[str, int]) -> str:
    """Say which tags differ by capitals alone, and what to do; "" if none do.

    Args:
        counts: in how many pictures each tag is.
    """
    groups = alike_but_for_case(counts)
    if not groups:
        return ""
    told = [" and ".join(f"{tag!r} ({counts[tag]:,})" for tag in group) for group in groups[:TOLD]]
    more = f", and {len(groups) - TOLD:,} more such pairs" if len(groups) > TOLD else ""
    return (
        f"tags that differ by capitals alone stay apart: {'; '.join(told)}{more}. If they are one "
        "thing, write them alike in the data, or name one of them in a file: grounded-ram parse "
        "DATA --tags FILE writes the others as it"
    )
