from __future__ import annotations

import pytest

from grounded_ram.data_engine.examples import (
    Caption,
    Example,
    is_held_out,
    joined,
    once,
    split,
)
from grounded_ram.errors import InputError

HELD_OUT = [0, 9, 23, 26, 27, 32, 34, 38, 39]


def pictures(number: int, folder: str = "/data/set") -> list[Example]:
    return [Example(f"{folder}/{place}.jpg", ("dog",)) for place in range(number)]


def test_what_is_told_about_one_picture_becomes_one_example() -> None:
    found = joined(
        [
            Example("a.jpg", ("dog", "cat"), (Caption("A dog.", ("dog",)), Caption("A cat."))),
            Example("a.jpg", ("bus", "dog"), (Caption("A dog.", ("animal", "dog")),)),
            Example("a.jpg", ()),
        ]
    )
    captions = (Caption("A dog.", ("dog", "animal")), Caption("A cat."))
    assert found == Example("a.jpg", ("dog", "cat", "bus"), captions)


def test_a_single_example_stays_as_it_is() -> None:
    one = Example("a.jpg", ("dog",), (Caption("x"),))
    assert joined([one]) is one
    assert once([]) == ()


def test_both_sides_together_are_all_examples_in_their_order() -> None:
    examples = pictures(500)
    train, held = split(iter(examples), 0.3, seed=3)
    assert sorted(train + held, key=examples.index) == examples
    assert train == sorted(train, key=examples.index)
    assert not {one.image for one in train} & {one.image for one in held}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("share", [0.05, 0.5])
def test_the_share_is_met_on_average(share: float, seed: int) -> None:
    _, held = split(pictures(4000), share, seed=seed)
    assert len(held) == pytest.approx(4000 * share, abs=4 * (4000 * share * (1 - share)) ** 0.5)


def test_all_or_none_and_no_examples() -> None:
    examples = pictures(50)
    assert split(examples, 0) == (examples, [])
    assert split(examples, 1) == ([], examples)
    assert split([], 0.5) == ([], [])


def test_pictures_stay_on_their_side_when_others_come() -> None:
    few, many = pictures(100), pictures(1000)
    assert set(split(few, 0.2)[1]) == set(split(many, 0.2)[1]) & set(few)
    assert set(split(many, 0.1)[1]) < set(split(many, 0.2)[1])


def test_a_seed_holds_out_others_and_the_same_ones_again() -> None:
    examples = pictures(200)
    assert split(examples, 0.2, seed=1) == split(examples, 0.2, seed=1)
    assert split(examples, 0.2, seed=1) != split(examples, 0.2, seed=2)


def test_moved_data_is_parted_as_before_and_folders_differ() -> None:
    sides = [is_held_out(one.image, 0.5) for one in pictures(100)]
    assert sides == [is_held_out(one.image, 0.5) for one in pictures(100, "/mnt/far/set")]
    assert sides != [is_held_out(one.image, 0.5) for one in pictures(100, "/data/other")]


def test_the_side_of_a_picture_is_the_same_on_every_machine_for_good() -> None:
    held = [n for n in range(40) if is_held_out(f"/data/set/{n}.jpg", 0.2)]
    assert held == HELD_OUT
    assert isinstance(is_held_out("/data/Ünï \udcff.jpg", 0.2), bool)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), 5])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="a share to hold out from 0 to 1"):
        split(pictures(1), share)
    with pytest.raises(InputError, match="from 0 to 1"):
        is_held_out("a.jpg", share)
