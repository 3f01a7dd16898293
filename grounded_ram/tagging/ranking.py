"""Candidates in order: the best ones of each query, and how often the right one is among them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from grounded_ram.errors import InputError


class Hits(NamedTuple):
    """The best K candidates of Q queries, best first; of equal ones the first comes first."""

    numbers: NDArray[np.int64]
    """(Q, K) which candidates, counted from 0."""
    scores: NDArray[np.float32]
    """(Q, K) how well each fits."""


def ranked(numbers: NDArray[np.int64], scores: NDArray[np.float32]) -> Hits:
    """Sort the candidates of each query, (Q, K), by their scores (Q, K)."""
    order = np.lexsort((numbers, -scores), axis=1)
    return Hits(np.take_along_axis(numbers, order, 1), np.take_along_axis(scores, order, 1))


def recall_at_k(numbers: NDArray[np.int64], relevant: Sequence[Collection[int]], k: int) -> float:
    """Return the share of queries that have a right candidate among their first k (R@k).

    NaN for no queries. A query without any right candidate counts as missed.

    Args:
        numbers: (Q, K) candidates of each query, best first, as ``Hits`` has them.
        relevant: of each query, the candidates that are right.
        k: at least 1 and at most K.

    Raises:
        InputError: k is out of its range, or there is not one entry for each query.
    """
    if len(relevant) != len(numbers):
        raise InputError(
            f"relevant: expected {len(numbers)} entries, one a query, got {len(relevant)}"
        )
    if not 1 <= k <= numbers.shape[1]:
        raise InputError(f"k must lie in 1 to {numbers.shape[1]}, the candidates known; got {k}")
    found = [
        not set(right).isdisjoint(row[:k].tolist())
        for row, right in zip(numbers, relevant, strict=True)
    ]
    return sum(found) / len(found) if found else float("nan")
