"""Labels that the whole picture and their own region contradict each other about."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def contradicted(
    alone: NDArray[np.floating[Any]],
    whole: NDArray[np.floating[Any]],
    *,
    least_alone: float,
    least_whole: float,
) -> NDArray[np.bool_]:
    """Tell of N labels whether a tagger sees them in the whole picture, but clearly not alone.

    Args:
        alone: (N,) the tagger's scores of the labels where it sees their regions alone; NaN where
            it knows no such tag: that contradicts nothing.
        whole: (N,) its scores of them in the whole pictures; NaN where it does not see them there.
        least_alone: a lower score of the region is a clear no.
        least_whole: a score of the picture from here on is a yes.
    """
    return np.asarray((alone < least_alone) & (whole >= least_whole))
