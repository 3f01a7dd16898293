from __future__ import annotations

import math

import numpy as np
import pytest

from grounded_ram.errors import InputError
from grounded_ram.tagging.ranking import ranked, recall_at_k

ORDER = np.array([[3, 0, 1], [1, 2, 0], [0, 3, 2], [2, 1, 3]])
RIGHT = [[3, 2], [0], [], [1]]


@pytest.mark.parametrize(("k", "expected"), [(1, 1 / 4), (2, 2 / 4), (3, 3 / 4)])
def test_recall_is_the_share_of_queries_with_a_right_one_among_the_first(
    k: int, expected: float
) -> None:
    assert recall_at_k(ORDER, RIGHT, k) == expected


def test_recall_over_no_queries_is_not_a_number() -> None:
    assert math.isnan(recall_at_k(np.zeros((0, 3), np.int64), [], 1))


@pytest.mark.parametrize("k", [0, 4])
def test_recall_beyond_the_known_candidates_is_refused(k: int) -> None:
    with pytest.raises(InputError, match=f"k must lie in 1 to 3, the candidates known; got {k}"):
        recall_at_k(ORDER, RIGHT, k)


def test_recall_needs_the_right_ones_of_each_query() -> None:
    with pytest.raises(InputError, match="expected 4 entries, one a query, got 2"):
        recall_at_k(ORDER, RIGHT[:2], 1)


def test_candidates_are_ranked_by_score_and_equal_ones_by_number() -> None:
    numbers = np.array([[4, 2, 7], [1, 0, 3]])
    scores = np.array([[0.5, 0.5, 0.9], [-1.0, -3.0, 2.0]], np.float32)
    hits = ranked(numbers, scores)
    np.testing.assert_array_equal(hits.numbers, [[7, 2, 4], [3, 1, 0]])
    np.testing.assert_array_equal(hits.scores, np.array([[0.9, 0.5, 0.5], [2, -1, -3]], np.float32))


def test_nothing_ranked_is_nothing() -> None:
    hits = ranked(np.zeros((2, 0), np.int64), np.zeros((2, 0), np.float32))
    assert hits.numbers.shape == hits.scores.shape == (2, 0)
