import pytest

from grounded_ram.data_engine.labels.limits import LISTED, SPARE, Limits, Room
from grounded_ram.errors import InputError, UnknownNameError


@pytest.mark.parametrize("wrong", [{"least": 0}, {"top": -1}, {"top_of_kind": {"object": -1}}])
def test_limits_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Limits(**wrong)
    with pytest.raises(UnknownNameError, match="did you mean 'object'"):
        Limits(top_of_kind={"objects": 1})


def test_as_many_counts_are_listed_as_the_limits_need() -> None:
    assert Limits(top=10).listed == Limits(top=None).listed == LISTED
    assert Limits(top=LISTED).listed == 2 * LISTED
    assert Limits(top=None, top_of_kind={"object": LISTED, "scene": 1}).listed == 2 * LISTED + 2


def test_room_is_taken_by_all_and_by_kinds() -> None:
    room = Room(Limits(top=3, top_of_kind={"object": 1}), ["scene"])
    assert [bool(room.refuse(kind)) for kind in ("object", "object", "action", "scene")] == [
        *(False, True, False, True)
    ]
    assert room.is_full


def test_what_no_limit_holds_back_is_never_refused() -> None:
    room = Room(Limits(top=None))
    assert not any(room.refuse("object") for _ in range(100))
    assert not room.is_full


def test_a_share_of_those_that_are_refused_is_shown() -> None:
    room = Room(Limits(top=40, top_of_kind={"object": 8}))
    assert sum(room.has_spare("object") for _ in range(20)) == SPARE * 8
    assert sum(room.has_spare(kind) for kind in ["scene", "action"] * 20) == SPARE * 40
