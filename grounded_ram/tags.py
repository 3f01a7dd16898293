"""What a tagger sees in one image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grounded_ram.errors import InputError


@dataclass(frozen=True, eq=False)
class Tags:
    """What a tagger saw in one image, one row per tag, best first.

    Args:
        names: N tag names, each once.
        scores: (N,) float32 in [0, 1].
        kinds: N kinds, such as "object", "scene", "attribute" or "action".

    Raises:
        InputError: the three do not have the same length, or a name comes twice or holds a NUL
            character, which arrays of names would drop.
    """

    names: tuple[str, ...]
    scores: NDArray[np.float32]
    kinds: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.names)
        if self.scores.shape != (n,) or len(self.kinds) != n:
            raise InputError(
                f"expected {n} scores and kinds for {n} names, "
                f"got scores of shape {self.scores.shape} and {len(self.kinds)} kinds"
            )
        if broken := [name for name in self.names if "\0" in name]:
            raise InputError(f"expected names without NUL characters, got {broken[0]!r}")
        if len(set(self.names)) != n:
            twice = sorted({name for name in self.names if self.names.count(name) > 1})
            raise InputError(f"each tag may come once, got twice: {', '.join(twice)}")

    @classmethod
    def of(cls, names: Iterable[str], kind: str = "object") -> Tags:
        """Make tags that the user named: score 1, one kind for all."""
        listed = tuple(names)
        return cls(listed, np.ones(len(listed), np.float32), (kind,) * len(listed))

    @classmethod
    def typed(cls, tags: Sequence[str]) -> Tags:
        """Make tags of what a user typed, as ``of`` does.

        Raises:
            InputError: it is one text, a name is empty, or one comes twice.
        """
        if isinstance(tags, str):
            listed = [part.strip() for part in tags.split(",")]
            raise InputError(f"tags: expected a list of names, got one text; write tags={listed}")
        wrong = [tag for tag in tags if not (isinstance(tag, str) and tag.strip())]
        if wrong:
            raise InputError(f"tags: expected names that are not empty, got {wrong[0]!r}")
        return cls.of(tags)

    def __len__(self) -> int:
        return len(self.names)

    def select(self, kinds: Iterable[str]) -> Tags:
        """Keep the rows of the given kinds, in order."""
        wanted = set(kinds)
        return self.take([i for i, kind in enumerate(self.kinds) if kind in wanted])

    def take(self, rows: Sequence[int]) -> Tags:
        """Return the given rows, in the order given."""
        return Tags(
            tuple(self.names[i] for i in rows),
            self.scores[list(rows)],
            tuple(self.kinds[i] for i in rows),
        )
