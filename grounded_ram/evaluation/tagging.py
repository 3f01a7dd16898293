"""Average precision of tags."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grounded_ram.errors import InputError


def average_precision(scores: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    """Return the area under the precision-recall curve of one tag, without interpolation.

    The mean of the precision at every true image, images sorted by falling score; images of equal
    score share the precision of the last of them, so that their order does not matter.

    Args:
        scores: (N,) one score an image.
        truth: (N,) whether the tag is true there.

    Returns:
        A number in [0, 1]; NaN where the tag is true nowhere.

    Raises:
        InputError: the two differ in shape.
    """
    if scores.shape != truth.shape or scores.ndim != 1:
        raise InputError(f"expected two (N,) arrays, got {scores.shape} and {truth.shape}")
    if not truth.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(truth[order])
    precision = found / np.arange(1, len(order) + 1)
    last_of_ties = np.searchsorted(-scores[order], -scores[order], side="right") - 1
    return float(precision[last_of_ties][truth[order]].mean())


def mean_average_precision(scores: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    """Return the mean over the tags that are true somewhere; NaN if none is.

    Args:
        scores: (N, T) scores of T tags in N images.
        truth: (N, T) whether each is true.
    """
    each = [average_precision(scores[:, t], truth[:, t]) for t in range(truth.shape[1])]
    known = [value for value in each if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
