"""Which regions of one label look unlike all others: k-means++, and the distance to a centre.

RAM's data engine clusters all regions of a category and removes the tags of the outliers, a small
fixed share (Zhang et al., 2023, section 3.3). The paper does not say how far from which centre an
outlier lies. Here a region lies as far out as the nearest centre of a *large* cluster is away:
wrong labels that look alike, fish that are called birds, would else have a centre of their own and
lie near it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from grounded_ram.data_engine.cleaning.whitening import by_content, spread
from grounded_ram.errors import InputError, MissingDependencyError
from grounded_ram.rules import is_share

STARTS = 4
"""k-means++ begins so often, each time elsewhere; the best result counts."""

MOST_FITTED = 20_000
"""Centres are found on so many regions at most."""

LARGE = 0.5
"""A cluster is large if it holds at least this share of what each holds on average."""

LEAST_A_CLUSTER = 50
"""There are no more clusters than regions allow of so many each: of fewer, wrong ones soon have a
cluster to themselves."""

_CHUNK = 4096
"""Regions whose distances are computed together."""


class Outliers(NamedTuple):
    """Which of N regions of one label are outliers.

    Args:
        removed: (N,) bool.
        distances: (N,) float32, to the nearest centre of a large cluster, as so many times the
            median of all N: 1 is usual. NaN where the label was left alone.
    """

    removed: NDArray[np.bool_]
    distances: NDArray[np.float32]


def outliers(
    embeddings: NDArray[np.floating[Any]],
    *,
    share: float,
    clusters: int,
    seed: int = 0,
    least: int = 1,
    least_distance: float = 0.0,
) -> Outliers:
    """Find the regions of one label that lie farthest from where most of them lie.

    The order of the rows has no effect; of rows that are equal either all are removed or none.

    Args:
        embeddings: (N, D), a row a region.
        share: of the regions that are removed, at most, the farthest first; rounded down.
        clusters: looks that a label may have, such as cars from the front and from the side.
        seed: of k-means++.
        least: a label of fewer regions is left alone.
        least_distance: only what lies farther than so many times the median distance is removed;
            0 means that the share alone counts, as in the paper.

    Raises:
        InputError: the embeddings are no finite (N, D), or a setting lies outside its range.
        MissingDependencyError: scikit-learn is not installed.
    """
    if embeddings.ndim != 2 or not np.isfinite(embeddings).all():
        raise InputError(f"embeddings: expected finite numbers (N, D), got {embeddings.shape}")
    if not is_share(share) or clusters < 1 or least_distance < 0:
        raise InputError(
            "expected a share in [0, 1], clusters from 1 and a least distance from 0 on, "
            f"got {share}, {clusters} and {least_distance}"
        )
    count = len(embeddings)
    if count < max(least, 1):
        return Outliers(np.zeros(count, bool), np.full(count, np.nan, np.float32))
    order = by_content(embeddings)
    rows = embeddings[order].astype(np.float32)
    centres = _centres(rows, min(clusters, max(1, count // LEAST_A_CLUSTER)), seed)
    distances = np.empty(count, np.float32)
    distances[order] = _relative(_to_nearest(rows, centres)[0])
    return Outliers(farthest(distances, share) & (distances > least_distance), distances)


def farthest(distances: NDArray[np.float32], share: float) -> NDArray[np.bool_]:
    """Return which of N distances are the largest, at most a share of them, ties all or none."""
    kept = len(distances) - int(share * len(distances) + 1e-9)
    if kept == 0:
        return np.ones(len(distances), bool)
    limit = np.partition(distances, kept - 1)[kept - 1]  # the largest one that stays
    return np.asarray(distances > limit)


def _centres(rows: NDArray[np.float32], clusters: int, seed: int) -> NDArray[np.float32]:
    """Return the (K, D) centres of the large clusters of (N, D) rows."""
    some = rows[spread(np.arange(len(rows)), MOST_FITTED)]
    # More clusters than there are different rows would be empty.
    clusters = min(clusters, len(np.unique(some, axis=0)))
    try:
        sklearn, threads = import_module("sklearn.cluster"), import_module("threadpoolctl")
    except ImportError as error:
        raise MissingDependencyError(
            "finding outliers needs scikit-learn; try: pip install 'grounded-ram[engine]'"
        ) from error
    # Sums of several threads differ in their last digits from one time to the next.
    with threads.threadpool_limits(limits=1):
        found = sklearn.KMeans(clusters, init="k-means++", n_init=STARTS, random_state=seed)
        centres = np.asarray(found.fit(some).cluster_centers_, np.float32)
    sizes = np.bincount(_to_nearest(some, centres)[1], minlength=len(centres))
    large = sizes >= min(LARGE * len(some) / len(centres), sizes.max())
    return np.asarray(centres[large])


def _to_nearest(
    rows: NDArray[np.float32], centres: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return the (N,) distances of rows to their nearest centres, and which ones these are."""
    distances, nearest = np.empty(len(rows), np.float32), np.empty(len(rows), np.intp)
    for start in range(0, len(rows), _CHUNK):
        some = slice(start, start + _CHUNK)
        squares = np.stack([((rows[some] - one) ** 2).sum(1) for one in centres], axis=1)
        nearest[some] = squares.argmin(1)
        distances[some] = np.sqrt(squares.min(1))
    return distances, nearest


def _relative(distances: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return distances as multiples of their median; where half of them are 0, as they are."""
    median = np.median(distances)
    return distances if median == 0 else (distances / median).astype(np.float32)
