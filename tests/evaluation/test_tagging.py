import numpy as np
import pytest

from grounded_ram.errors import InputError
from grounded_ram.evaluation.tagging import average_precision, mean_average_precision


def _slow(scores: list[float], truth: list[bool]) -> float:
    """Precision at the score of each true image, by counting."""
    precisions = []
    for score, true in zip(scores, truth, strict=True):
        if true:
            kept = [t for s, t in zip(scores, truth, strict=True) if s >= score]
            precisions.append(sum(kept) / len(kept))
    return sum(precisions) / len(precisions)


def test_by_hand() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    assert average_precision(scores, np.array([True, False, True, False])) == pytest.approx(5 / 6)
    assert average_precision(scores, np.array([True, True, False, False])) == 1
    assert average_precision(scores, np.array([False, False, False, True])) == 0.25


def test_agrees_with_counting_also_where_scores_are_equal() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        scores, truth = np.round(rng.random(30), 1), rng.random(30) < 0.3
        if truth.any():
            expected = _slow(scores.tolist(), truth.tolist())
            assert average_precision(scores, truth) == pytest.approx(expected, rel=1e-12)


def test_order_of_images_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    scores, truth, order = np.round(rng.random(40), 1), rng.random(40) < 0.4, rng.permutation(40)
    assert average_precision(scores, truth) == average_precision(scores[order], truth[order])


def test_a_tag_true_nowhere_does_not_count() -> None:
    scores = np.array([[0.9, 0.1], [0.2, 0.7]])
    truth = np.array([[True, False], [False, False]])
    assert np.isnan(average_precision(scores[:, 1], truth[:, 1]))
    assert mean_average_precision(scores, truth) == 1
    assert np.isnan(mean_average_precision(scores[:, 1:], truth[:, 1:]))


def test_shapes_must_agree() -> None:
    with pytest.raises(InputError, match=r"\(3,\) and \(2,\)"):
        average_precision(np.zeros(3), np.zeros(2, bool))
