import numpy as np
import pytest

from grounded_ram.training.thresholds import best_threshold


def _f_beta(scores: np.ndarray, truth: np.ndarray, threshold: float, beta: float) -> float:
    kept = scores > threshold
    hits = (kept & truth).sum()
    precision, recall = hits / max(1, kept.sum()), hits / truth.sum()
    return float((1 + beta**2) * precision * recall / max(1e-9, beta**2 * precision + recall))


@pytest.mark.parametrize("beta", [0.5, 1, 2])
def test_no_other_threshold_is_better(beta: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        truth = rng.random(60) < 0.3
        scores = np.round(np.clip(rng.normal(0.3 + 0.3 * truth, 0.2), 0.06, 0.94), 2)
        best = best_threshold(scores, truth, beta=beta)
        every = [_f_beta(scores, truth, t, beta) for t in np.linspace(0.05, 0.95, 1801)]
        assert _f_beta(scores, truth, best, beta) == pytest.approx(max(every))


def test_clean_scores_are_parted_midway() -> None:
    scores, truth = np.array([0.9, 0.2, 0.8, 0.4]), np.array([True, False, True, False])
    assert best_threshold(scores, truth) == pytest.approx(0.6)


def test_a_tag_that_never_came_up_gets_one_half() -> None:
    assert best_threshold(np.array([0.9, 0.1]), np.array([False, False])) == 0.5
