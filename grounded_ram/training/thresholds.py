"""The score from which a tag is believed, one for each tag, from scenes kept apart for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_HIGHEST, _LOWEST = 0.99, 0.05


def best_threshold(
    scores: NDArray[np.floating], truth: NDArray[np.bool_], *, beta: float = 1.0
) -> float:
    """Return the threshold of one tag that gives the best F-beta, midway between two scores.

    Args:
        scores: (N,) one score an image.
        truth: (N,) whether the tag is true there.
        beta: how many times as much recall counts as precision.

    Returns:
        A number in [0.05, 0.99]; 0.5 where the tag is true nowhere.
    """
    if not truth.any():
        return 0.5
    order = np.argsort(-scores, kind="stable")
    ranked, right = scores[order], np.cumsum(truth[order])
    kept = np.arange(1, len(order) + 1)
    f_beta = (1 + beta**2) * right / (kept + beta**2 * truth.sum())
    f_beta[:-1][ranked[:-1] == ranked[1:]] = 0  # a cut cannot part equal scores
    best = int(f_beta.argmax())
    below = float(ranked[best + 1]) if best + 1 < len(ranked) else 0.0
    return float(np.clip((float(ranked[best]) + below) / 2, _LOWEST, _HIGHEST))
