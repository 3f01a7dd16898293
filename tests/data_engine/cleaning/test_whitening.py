from __future__ import annotations

import numpy as np

from grounded_ram.data_engine.cleaning.whitening import Whitening, by_content, spread, unit


def test_every_direction_counts_the_same_afterwards() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(4000, 3)) * (10.0, 9.0, 8.0) @ rng.normal(size=(3, 3)) + (50, 0, 7)
    even = Whitening.of(rows)
    raw = (rows - even.mean) @ even.matrix
    variances = np.linalg.eigvalsh(np.cov(raw.T))
    assert np.cov(rows.T).max() > 30
    assert (variances < 1.01).all()
    assert variances.max() > 0.8
    np.testing.assert_allclose(np.linalg.norm(even(rows), axis=1), 1, rtol=1e-5)


def test_directions_of_noise_do_not_count_for_much() -> None:
    rows = np.random.default_rng(0).normal(size=(4000, 2)) * (1.0, 1e-4)
    even = Whitening.of(rows)
    assert ((rows - even.mean) @ even.matrix).var(0).min() < 1e-5


def test_the_order_of_the_rows_has_no_effect() -> None:
    rows = np.random.default_rng(0).normal(size=(100, 6)).astype(np.float16)
    shuffled = np.random.default_rng(1).permutation(100)
    one, other = Whitening.of(rows), Whitening.of(rows[shuffled])
    np.testing.assert_array_equal(one.matrix, other.matrix)
    np.testing.assert_array_equal(one.mean, other.mean)


def test_no_rows_and_equal_rows_are_no_failure() -> None:
    assert Whitening.of(np.zeros((0, 4)))(np.zeros((0, 4))).shape == (0, 4)
    equal = np.ones((5, 4))
    np.testing.assert_array_equal(Whitening.of(equal)(equal), np.zeros((5, 4)))


def test_rows_get_the_length_of_one_and_zeros_stay() -> None:
    np.testing.assert_allclose(unit(np.array([[3.0, 4.0], [0, 0]])), [[0.6, 0.8], [0, 0]])


def test_rows_are_sorted_by_what_they_hold() -> None:
    rows = np.array([[2, 1], [1, 9], [2, 0], [1, 9]], np.uint8)
    assert by_content(rows).tolist() == [1, 3, 2, 0]


def test_places_are_spread_evenly_from_the_first_to_the_last() -> None:
    assert spread(np.arange(9), 3).tolist() == [0, 4, 8]
    assert spread(np.arange(3), 3).tolist() == [0, 1, 2]
