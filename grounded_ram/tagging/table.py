"""The tags that a tagger asks for, and which of them its scores show."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grounded_ram.annotation import Tags
from grounded_ram.errors import InputError, UnknownNameError
from grounded_ram.vocabulary.labelling import UNJUDGED
from grounded_ram.vocabulary.table import official_vocabulary


@dataclass(frozen=True, eq=False)
class TagTable:
    """The tags that a tagger asks for, one row a query.

    Args:
        names: L tag names; a name may come twice: the score of its better row counts, and the kind
            of its first row that is seen, so that a thing stays one if it is an action, too.
        kinds: L kinds.
        thresholds: (L,) float32; a tag is seen if its score is strictly above: 1 switches it off.

    Raises:
        InputError: the three do not have the same length.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    thresholds: NDArray[np.float32]

    def __post_init__(self) -> None:
        n = len(self.names)
        if len(self.kinds) != n or self.thresholds.shape != (n,):
            raise InputError(
                f"expected {n} kinds and thresholds for {n} tags, got {len(self.kinds)} kinds "
                f"and thresholds of shape {self.thresholds.shape}"
            )

    @classmethod
    def of(
        cls, names: Sequence[str], thresholds: Sequence[float], kind: str = UNJUDGED
    ) -> TagTable:
        """Make a table whose tags are all of one kind, or each of the kind that we judged it."""
        kinds = judged(names, [kind] * len(names))
        return cls(tuple(names), kinds, np.asarray(thresholds, np.float32))

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: Sequence[int]) -> TagTable:
        """Return the given rows, in the order given."""
        return TagTable(
            tuple(self.names[i] for i in rows),
            tuple(self.kinds[i] for i in rows),
            self.thresholds[list(rows)],
        )

    def with_thresholds(self, own: Mapping[str, float], others: float | None) -> TagTable:
        """Return the same tags with other thresholds.

        Args:
            own: of single tags; those that the table has not are passed over.
            others: of all other tags; None leaves each its own.
        """
        kept = self.thresholds if others is None else np.full(len(self), others, np.float32)
        limits = [own.get(name, limit) for name, limit in zip(self.names, kept, strict=True)]
        return TagTable(self.names, self.kinds, np.array(limits, np.float32))

    def rows_without(self, names: Collection[str]) -> list[int]:
        """Return the rows of all tags but some, in order.

        Raises:
            UnknownNameError: a name is not among the tags.
        """
        unknown = sorted(set(names) - set(self.names))
        if unknown:
            raise UnknownNameError(f"no such tag: {', '.join(unknown)}")
        return [i for i, name in enumerate(self.names) if name not in names]

    def extended(
        self,
        words: Collection[str],
        threshold: float,
        order: Callable[[str], tuple[int, str]] | None = None,
    ) -> tuple[TagTable, list[str]]:
        """Ask for some words, too; the order in which they are given has no effect.

        A word that is a tag already, in whatever case, stays that tag and keeps its threshold; only
        a tag that its threshold of 1 switches off gets the threshold given here.

        Args:
            words: words or phrases.
            threshold: of the words that are no tags yet.
            order: sort key of the new tags; None means alphabetical.

        Returns:
            The table with the new tags at its end, and the new tags.

        Raises:
            InputError: a word is blank or oddly spaced, or the threshold lies outside [0, 1].
        """
        check_threshold(threshold)
        _check_words(words)
        asked: dict[str, str] = {}
        for word in sorted(words, key=order):
            asked.setdefault(word.casefold(), word)
        known = [name.casefold() for name in self.names]
        woken = (self.thresholds >= 1) & np.array([key in asked for key in known], bool)
        for key in known:
            asked.pop(key, None)
        fresh = list(asked.values())
        old = np.where(woken, np.float32(threshold), self.thresholds)
        new = TagTable.of(fresh, [threshold] * len(fresh))
        table = TagTable(
            self.names + new.names, self.kinds + new.kinds, np.append(old, new.thresholds)
        )
        return table, fresh

    def above(self, scores: NDArray[np.float32], threshold: float | None) -> Tags:
        """Return the tags scored strictly above their threshold, best first.

        Args:
            scores: (L,) in [0, 1]; equal scores stay in the order of the table.
            threshold: one for all tags; None means each tag's own.
        """
        limits = self.thresholds if threshold is None else np.float32(threshold)
        seen = np.flatnonzero(scores > limits)
        kinds = {self.names[i]: self.kinds[i] for i in reversed(seen)}
        rows: dict[str, int] = {}
        for i in seen[np.argsort(-scores[seen], kind="stable")]:
            rows.setdefault(self.names[i], int(i))
        kept = list(rows.values())
        return Tags(tuple(rows), scores[kept], tuple(kinds[name] for name in rows))


def judged(names: Sequence[str], kinds: Sequence[str]) -> tuple[str, ...]:
    """Give the tags of kind ``UNJUDGED`` the kind that the vocabulary knows of them, if it does."""
    vocabulary = official_vocabulary()
    return tuple(
        vocabulary[name].kind if kind == UNJUDGED and name in vocabulary else kind
        for name, kind in zip(names, kinds, strict=True)
    )


def check_threshold(threshold: float) -> None:
    """Refuse a threshold that no score can be compared with.

    Raises:
        InputError: it lies outside [0, 1].
    """
    if not 0 <= threshold <= 1:
        raise InputError(f"threshold: expected a number in [0, 1], got {threshold}")


def _check_words(words: Collection[str]) -> None:
    if isinstance(words, str):
        raise InputError(f"expected a list of words, got {words!r}; write [{words!r}]")
    for word in words:
        if not word or word != " ".join(word.split()):
            raise InputError(f"expected words with single spaces between them, got {word!r}")
