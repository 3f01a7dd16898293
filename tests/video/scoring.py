"""How well numbers stay with objects: written anew, from pairs of (true object, number)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

Pair = tuple[int, int]
"""A true object and the number that it had in a frame."""


def purity(pairs: Iterable[Pair]) -> float:
    """Share of the objects' frames that carry the number that the object has most often."""
    pairs = list(pairs)
    by_object: dict[int, Counter[int]] = {}
    for true, number in pairs:
        by_object.setdefault(true, Counter())[number] += 1
    return sum(max(counts.values()) for counts in by_object.values()) / len(pairs)


def idf1(pairs: Sequence[Pair]) -> float:
    """IDF1 where no box is false or missed: each object is matched with one number of its own."""
    objects, numbers = sorted({p[0] for p in pairs}), sorted({p[1] for p in pairs})
    agree = np.zeros((len(objects), len(numbers)))
    for true, number in pairs:
        agree[objects.index(true), numbers.index(number)] += 1
    right = agree[linear_sum_assignment(-agree)].sum()
    return float(right / len(pairs))


def switches(frames: Iterable[Iterable[Pair]]) -> int:
    """How often an object's number is another than in the frame in which it was seen before."""
    last: dict[int, int] = {}
    count = 0
    for frame in frames:
        for true, number in frame:
            count += last.get(true, number) != number
            last[true] = number
    return count
