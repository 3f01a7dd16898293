from __future__ import annotations

import numpy as np

from grounded_ram.data_engine.cleaning.contradictions import contradicted


def test_a_label_goes_where_the_picture_says_yes_and_the_region_clearly_no() -> None:
    alone = np.array([0.1, 0.1, 0.5, np.nan, 0.1])
    whole = np.array([0.9, 0.2, 0.9, 0.9, np.nan])
    found = contradicted(alone, whole, least_alone=0.5, least_whole=0.6)
    assert found.tolist() == [True, False, False, False, False]


def test_at_zero_every_score_of_the_picture_is_a_yes_and_no_score_is_none() -> None:
    found = contradicted(
        np.array([0.1, 0.1]), np.array([0.0, np.nan]), least_alone=0.5, least_whole=0.0
    )
    assert found.tolist() == [True, False]


def test_of_no_labels_none_goes() -> None:
    assert contradicted(np.zeros(0), np.zeros(0), least_alone=0.5, least_whole=0).shape == (0,)
