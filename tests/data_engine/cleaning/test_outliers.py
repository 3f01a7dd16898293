from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from grounded_ram.data_engine.cleaning.outliers import farthest, outliers
from grounded_ram.errors import InputError, MissingDependencyError


def around(centre: tuple[float, ...], count: int, seed: int) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).normal(0, 0.1, (count, len(centre)))
    return (np.array(centre) + noise).astype(np.float32)


def test_what_lies_far_from_all_others_is_found() -> None:
    rows = np.concatenate(
        [around((0, 0, 0), 45, 1), around((9, 0, 0), 3, 2), around((0, 9, 0), 2, 3)]
    )
    found = outliers(rows, share=0.1, clusters=1)
    assert np.flatnonzero(found.removed).tolist() == [45, 46, 47, 48, 49]
    assert found.distances[45:].min() > 3 * found.distances[:45].max()


def test_a_label_of_several_looks_keeps_all_of_them() -> None:
    """Cars from the front, from the side, and two fish."""
    rows = np.concatenate([around((5, 0), 60, 1), around((-5, 0), 60, 2), around((0, 3), 2, 3)])
    found = outliers(rows, share=0.02, clusters=2)
    assert np.flatnonzero(found.removed).tolist() == [120, 121]
    assert found.distances[:120].max() < 5


def test_wrong_ones_that_look_alike_have_no_centre_of_their_own() -> None:
    rows = np.concatenate([around((0, 0), 190, 1), around((9, 0), 10, 2)])
    found = outliers(rows, share=0.05, clusters=3)
    assert np.flatnonzero(found.removed).tolist() == [*range(190, 200)]


@pytest.mark.parametrize("clusters", [1, 3])
def test_the_order_of_the_rows_has_no_effect(clusters: int) -> None:
    rows = np.random.default_rng(0).normal(size=(80, 5)).astype(np.float16)
    shuffled = np.random.default_rng(1).permutation(80)
    found = outliers(rows, share=0.2, clusters=clusters, seed=3)
    other = outliers(rows[shuffled], share=0.2, clusters=clusters, seed=3)
    np.testing.assert_array_equal(found.removed[shuffled], other.removed)
    np.testing.assert_array_equal(found.distances[shuffled], other.distances)
    assert found.removed.sum() == 16


def test_the_distances_are_multiples_of_the_median() -> None:
    rows = np.array([[0.0], [1.0], [2.0], [3.0], [14.0]])
    found = outliers(rows, share=0.2, clusters=1)
    np.testing.assert_allclose(found.distances, np.array([4, 3, 2, 1, 10]) / 3, rtol=1e-6)
    assert found.removed.tolist() == [False, False, False, False, True]


def test_a_label_without_mistakes_can_keep_all() -> None:
    clean = around((0,) * 20, 60, 1)
    assert outliers(clean, share=0.1, clusters=1).removed.sum() == 6
    spared = outliers(clean, share=0.1, clusters=1, least_distance=2.0)
    assert spared.removed.sum() == 0
    flawed = np.concatenate([clean, around((9,) * 20, 2, 2)])
    found = outliers(flawed, share=0.1, clusters=1, least_distance=2.0)
    assert np.flatnonzero(found.removed).tolist() == [60, 61]


def test_few_regions_are_left_alone() -> None:
    rows = np.concatenate([around((0, 0), 9, 1), around((9, 9), 1, 2)])
    assert outliers(rows, share=0.1, clusters=1, least=10).removed.sum() == 1
    left = outliers(rows, share=0.1, clusters=1, least=11)
    assert left.removed.tolist() == [False] * 10
    assert np.isnan(left.distances).all()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_very_few_regions_are_no_failure(count: int) -> None:
    found = outliers(np.ones((count, 4), np.float32), share=0.5, clusters=3)
    assert found.removed.tolist() == [False] * count
    assert found.distances.shape == (count,)
    assert found.distances.dtype == np.float32


def test_equal_regions_all_stay() -> None:
    found = outliers(np.ones((40, 4), np.float16), share=0.5, clusters=4)
    assert found.removed.sum() == 0
    np.testing.assert_array_equal(found.distances, np.zeros(40))


def test_the_farthest_are_at_most_the_share_and_ties_stay_together() -> None:
    distances = np.array([1, 5, 2, 5, 3, 4, 0, 0, 0, 0], np.float32)
    assert np.flatnonzero(farthest(distances, 0.1)).tolist() == []
    assert np.flatnonzero(farthest(distances, 0.2)).tolist() == [1, 3]
    assert np.flatnonzero(farthest(distances, 0.39)).tolist() == [1, 3, 5]
    assert farthest(distances, 1.0).all()
    assert not farthest(distances, 0.0).any()


@pytest.mark.parametrize(
    "wrong",
    [{"share": 1.1}, {"share": -0.1}, {"clusters": 0}, {"least_distance": -1.0}],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected a share in"):
        outliers(np.zeros((3, 2)), **{"share": 0.1, "clusters": 1, **wrong})


@pytest.mark.parametrize("rows", [np.zeros(3), np.full((3, 2), np.nan)])
def test_only_finite_rows_are_taken(rows: NDArray[np.float64]) -> None:
    with pytest.raises(InputError, match="expected finite numbers"):
        outliers(rows, share=0.1, clusters=1)


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import grounded_ram.data_engine.cleaning.outliers as module

    def absent(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(module, "import_module", absent)
    with pytest.raises(MissingDependencyError, match=r"grounded-ram\[engine\]"):
        outliers(np.zeros((30, 2)), share=0.1, clusters=1)
