from __future__ import annotations

import numpy as np
import pytest

from grounded_ram.annotation import Tags
from grounded_ram.errors import InputError, UnknownNameError
from grounded_ram.tagging.table import TagTable


def seen(scores: list[float], thresholds: list[float], threshold: float | None = None) -> Tags:
    table = TagTable.of(["a", "b", "c", "a"][: len(scores)], thresholds)
    return table.above(np.array(scores, np.float32), threshold)


def test_a_score_at_its_threshold_is_not_above_it() -> None:
    assert seen([0.65, 0.5, 0.81], [0.65, 0.5, 0.8]).names == ("c",)
    assert seen([0.68, 0.67, 0.69], [0.1, 0.1, 0.1], 0.68).names == ("c",)


def test_equal_scores_stay_in_list_order() -> None:
    assert seen([0.5, 0.9, 0.5], [0.1, 0.1, 0.1]).names == ("b", "a", "c")
    names = [f"tag {i}" for i in range(100)]
    scores = np.array([0.5, 0.75] * 50, np.float32)
    tags = TagTable.of(names, [0.25] * 100).above(scores, None)
    assert tags.names == (*names[1::2], *names[0::2])


def test_a_threshold_of_one_switches_a_tag_off() -> None:
    assert seen([1.0, 0.9], [1.0, 0.8]).names == ("b",)


def test_a_name_listed_twice_comes_once_with_its_better_score() -> None:
    tags = seen([0.3, 0.4, 0.1, 0.6], [0.2] * 4)
    assert tags.names == ("a", "b")
    np.testing.assert_array_equal(tags.scores, np.array([0.6, 0.4], np.float32))
    assert seen([0.9, 0.4, 0.1, 0.95], [0.2, 0.5, 0.5, 0.99]).scores.tolist() == [np.float32(0.9)]


def test_a_table_of_unlike_lengths_is_refused() -> None:
    with pytest.raises(InputError, match="expected 2 kinds and thresholds for 2 tags"):
        TagTable.of(["a", "b"], [0.5])


@pytest.fixture
def table() -> TagTable:
    """Five tags; "group" and "French" are switched off."""
    names = ["dog", "Eiffel tower", "group", "cat", "French"]
    return TagTable.of(names, [0.65, 0.8, 1, 0.7, 1], kind="object")


def test_new_words_come_at_the_end_with_their_own_threshold(table: TagTable) -> None:
    longer, fresh = table.extended(["traffic cone", "corgi", "grinning gnome"], 0.5)
    assert fresh == ["corgi", "grinning gnome", "traffic cone"]
    assert longer.names == (*table.names, "corgi", "grinning gnome", "traffic cone")
    assert longer.kinds == ("object",) * 6 + ("unjudged", "object")
    expected = np.array([0.65, 0.8, 1, 0.7, 1, 0.5, 0.5, 0.5], np.float32)
    np.testing.assert_array_equal(longer.thresholds, expected)
    assert longer.thresholds.dtype == np.float32


def test_a_word_that_is_a_tag_stays_that_tag(table: TagTable) -> None:
    same, fresh = table.extended(["dog", "CAT", "eiffel tower"], 0.5)
    assert fresh == []
    assert same.names == table.names
    np.testing.assert_array_equal(same.thresholds, table.thresholds)


def test_a_tag_that_was_switched_off_is_looked_for_when_asked_for(table: TagTable) -> None:
    woken, fresh = table.extended(["Group", "corgi"], 0.4)
    assert fresh == ["corgi"]
    expected = np.array([0.65, 0.8, 0.4, 0.7, 1, 0.4], np.float32)
    np.testing.assert_array_equal(woken.thresholds, expected)


def test_the_order_of_words_and_their_case_have_no_effect(table: TagTable) -> None:
    words = ["zebra", "Corgi", "corgi", "ant", "corgi"]
    expected = (["Corgi", "ant", "zebra"], ("Corgi", "ant", "zebra"))
    for given in (words, words[::-1]):
        longer, fresh = table.extended(given, 0.5)
        assert (fresh, longer.names[5:]) == expected


def test_new_words_may_have_an_order_of_their_own(table: TagTable) -> None:
    _, fresh = table.extended(["b", "ccc", "aa"], 0.5, lambda word: (len(word), word))
    assert fresh == ["b", "aa", "ccc"]


def test_no_words_change_nothing(table: TagTable) -> None:
    same, fresh = table.extended([], 0.5)
    assert (same.names, fresh) == (table.names, [])
    np.testing.assert_array_equal(same.thresholds, table.thresholds)


def test_an_empty_table_takes_words() -> None:
    table, fresh = TagTable.of([], []).extended(["corgi"], 0.5)
    assert (table.names, fresh) == (("corgi",), ["corgi"])


@pytest.mark.parametrize("word", ["", " ", " corgi", "corgi ", "traffic  cone", "a\nb"])
def test_a_blank_or_oddly_spaced_word_is_refused(table: TagTable, word: str) -> None:
    with pytest.raises(InputError, match="expected words with single spaces"):
        table.extended(["dog", word], 0.5)


def test_one_word_instead_of_a_list_is_refused(table: TagTable) -> None:
    with pytest.raises(InputError, match=r"got 'corgi'; write \['corgi'\]"):
        table.extended("corgi", 0.5)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_out_of_range_is_refused(table: TagTable, threshold: float) -> None:
    with pytest.raises(InputError, match=r"expected a number in \[0, 1\]"):
        table.extended(["corgi"], threshold)


def test_the_rows_of_other_tags_are_in_order(table: TagTable) -> None:
    assert table.rows_without(["Eiffel tower", "French"]) == [0, 2, 3]
    with pytest.raises(UnknownNameError, match="no such tag: Cat, cow"):
        table.rows_without(["dog", "cow", "Cat"])
