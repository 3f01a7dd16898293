"""How many tags a label system shall have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from grounded_ram.errors import InputError
from grounded_ram.names import unknown_name
from grounded_ram.vocabulary.table import KINDS

SPARE = 0.25
"""Tags that are shown beyond those that are kept, ready to be let in, as a share of these."""

LISTED = 100_000
"""Tags of which counts are kept for a human to read, at least."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How many tags there shall be.

    Args:
        top: at most so many in all, tags to start from included; None means no limit.
        least: captions that a tag must have, but for tags to start from.
        top_of_kind: at most so many of some kinds, of ``KINDS``; 0 leaves a kind out.

    Raises:
        InputError: a number is below 0, or ``least`` below 1.
        UnknownNameError: there is no such kind.
    """

    top: int | None = 10_000
    least: int = 5
    top_of_kind: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.least < 1:
            raise InputError(f"least: expected 1 caption or more, got {self.least}")
        for kind, limit in {"all": self.top or 0, **self.top_of_kind}.items():
            if limit < 0:
                raise InputError(f"top: {kind}: expected 0 or more, got {limit}")
            if kind not in ("all", *KINDS):
                raise unknown_name("kind", kind, KINDS)

    @property
    def listed(self) -> int:
        """Return of how many tags the counts are needed."""
        wanted = max(self.top or 0, sum(self.top_of_kind.values()))
        return max(LISTED, 2 * wanted)


class Room:
    """How many tags may still come.

    Args:
        limits: for all.
        start: the kinds of tags that are there already.

    Attributes:
        is_full: whether any tag was refused.
    """

    def __init__(self, limits: Limits, start: Iterable[str] = ()) -> None:
        self.is_full = False
        self._limits = limits
        self._taken = Counter(start)
        self._all = self._taken.total()
        self._spare: Counter[str] = Counter()

    def refuse(self, kind: str) -> str:
        """Take room for a tag and return ""; or say why there is none."""
        limit, top = self._limits.top_of_kind.get(kind), self._limits.top
        if limit is not None and self._taken[kind] >= limit:
            self.is_full = True
            return f"rank: there are {limit:,} others of kind {kind}"
        if top is not None and self._all >= top:
            self.is_full = True
            return f"rank: there are {top:,} others"
        self._taken[kind] += 1
        self._all += 1
        return ""

    def has_spare(self, kind: str) -> bool:
        """Tell whether a tag that was refused is to be shown."""
        scope = kind if kind in self._limits.top_of_kind else ""
        limit = self._limits.top_of_kind.get(scope, self._limits.top) or 0
        self._spare[scope] += 1
        return self._spare[scope] <= SPARE * limit
