from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
import supervision as sv
from hypothesis import given
from hypothesis import strategies as st

from grounded_ram.annotation import Alternatives, Reason
from grounded_ram.errors import InputError
from grounded_ram.merging import merge, most_specific
from grounded_ram.rules import Rules
from tests.hand_annotation import box_of, rectangle

Row = tuple[str, float, tuple[float, float, float, float]]


class Family:
    """Cars and trucks are vehicles, a sedan is a car, an automobile the same; a wheel is a part."""

    ABOVE = MappingProxyType({"sedan": "car", "car": "vehicle", "truck": "vehicle"})

    def is_a(self, name: str, other: str) -> bool:
        kinds = ["car" if name == "automobile" else name]
        while kinds[-1] in self.ABOVE:
            kinds.append(self.ABOVE[kinds[-1]])
        return ("car" if other == "automobile" else other) in kinds

    def is_part(self, name: str) -> bool:
        return name == "wheel"


def boxes(rows: Sequence[Row]) -> sv.Detections:
    """Make detections of (name, score, box); ``data["row"]`` tells them apart afterwards."""
    names = [name for name, _, _ in rows]
    return sv.Detections(
        np.array([box for _, _, box in rows], np.float32).reshape(-1, 4),
        confidence=np.array([score for _, score, _ in rows], np.float32),
        class_id=np.array([sorted(set(names)).index(name) for name in names], int),
        data={"class_name": np.array(names, dtype=str), "row": np.arange(len(rows))},
    )


def kept(rows: Sequence[Row], iou: float = 0.5, **rules: float) -> list[int]:
    stay, _ = merge(boxes(rows), iou=iou, kinship=Family(), rules=Rules(**rules))
    found: list[int] = stay.data["row"].tolist()
    return found


def masked(rows: Sequence[tuple[str, float, np.ndarray]]) -> sv.Detections:
    """Make detections of (name, score, mask)."""
    found = boxes([(name, score, tuple(box_of(mask))) for name, score, mask in rows])
    masks = np.array([mask for _, _, mask in rows])
    compact = sv.CompactMask.from_dense(masks, sv.mask_to_xyxy(masks), masks.shape[1:])
    return replace(found, mask=compact)


def fates(rows: Sequence[tuple[str, float, np.ndarray]], **rules: float) -> list[Reason | None]:
    """Say of each mask, in the order given, why it goes."""
    given = masked(rows)
    stay, gone = merge(given, iou=0.5, kinship=Family(), rules=Rules(**rules))
    reasons: list[Reason | None] = [None] * len(rows)
    for one in gone:
        same = [i for i, (name, score, _) in enumerate(rows) if name == one.name]
        row = min(same, key=lambda i: abs(rows[i][1] - one.box_score))
        reasons[row] = one.reason
    assert sorted(stay.data["row"].tolist()) == [i for i, r in enumerate(reasons) if r is None]
    return reasons


def test_no_boxes_keep_their_columns() -> None:
    merged, gone = merge(boxes([]), iou=0.5, kinship=Family())
    assert gone == []
    assert merged.xyxy.shape == (0, 4)
    assert merged.confidence is not None
    assert merged.class_id is not None
    assert merged.confidence.dtype == np.float32
    assert set(merged.data) == {"class_name", "row", "alternatives"}


def test_of_one_name_the_best_overlapping_box_stays() -> None:
    rows = [
        ("car", 0.6, (0, 0, 100, 100)),
        ("car", 0.9, (10, 0, 110, 100)),  # IoU 0.82 with the first
        ("car", 0.5, (60, 0, 160, 100)),  # 0.25 and 0.33
    ]
    assert kept(rows) == [1, 2]
    assert kept(rows, iou=0.2) == [1]


def test_the_same_object_from_two_prompts_comes_out_once() -> None:
    box = (20.0, 30.0, 80.0, 90.0)
    assert kept([("car", 0.7, box), ("car", 0.7, box), ("car", 0.71, box)]) == [2]


def test_one_object_under_two_names_keeps_the_better_name() -> None:
    rows = [("truck", 0.8, (0, 0, 100, 100)), ("car", 0.9, (0, 0, 100, 104))]
    assert kept(rows) == [1]
    stay, (gone,) = merge(boxes(rows), iou=0.5, kinship=Family())
    assert stay.data["alternatives"].tolist() == [(("truck", pytest.approx(0.8)),)]
    assert (gone.name, gone.reason, gone.instead) == ("truck", Reason.SAME_OBJECT, "car")
    assert gone.box_xyxy == (0, 0, 100, 100)


@pytest.mark.parametrize(
    "inner",
    [(30, 10, 60, 50), (0, 0, 100, 80)],
    ids=["a person in a car", "a rider as large as four fifths of the bicycle"],
)
def test_a_nested_box_of_another_name_survives(inner: tuple[float, float, float, float]) -> None:
    rows = [("car", 0.9, (0, 0, 100, 100)), ("person", 0.4, inner)]
    assert kept(rows) == [0, 1]
    assert kept(rows, iou=0.05) == [0, 1]


def test_a_small_box_inside_a_large_one_of_the_same_name_survives() -> None:
    assert kept([("fish", 0.9, (0, 0, 100, 100)), ("fish", 0.8, (10, 10, 50, 50))]) == [0, 1]


def test_names_do_not_touch_each_other_below_the_same_box() -> None:
    below = 100 * Rules().box_iou - 1
    rows = [("car", 0.9, (0, 0, 100, 100)), ("bus", 0.8, (0, 0, 100, below))]
    assert kept(rows, iou=0.1) == [0, 1]


def test_a_worse_box_of_a_name_that_loses_goes_too() -> None:
    """The truck stands for the car; its own second box is the same object, and no third one."""
    rows = [
        ("car", 0.9, (0, 0, 100, 100)),
        ("truck", 0.8, (0, 0, 100, 98)),
        ("truck", 0.7, (0, 20, 100, 100)),
    ]
    assert kept(rows) == [0]


def test_a_share_of_one_keeps_everything() -> None:
    box = (0.0, 0.0, 10.0, 10.0)
    assert kept([("car", 0.9, box), ("bus", 0.8, box), ("car", 0.7, box)], iou=1.0) == [0, 1, 2]


def test_ties_go_to_the_first_name_then_the_leftmost_box() -> None:
    left, right = (0.0, 0.0, 100.0, 100.0), (2.0, 0.0, 102.0, 100.0)
    assert kept([("truck", 0.5, left), ("car", 0.5, right)]) == [1]
    assert kept([("car", 0.5, right), ("car", 0.5, left)]) == [1]


AT = (0.0, 0.0, 100.0, 100.0)
NEAR = (0.0, 0.0, 100.0, 70.0)  # IoU 0.7: too little for names that have nothing in common


def test_the_more_specific_name_wins_if_its_score_supports_it() -> None:
    assert kept([("vehicle", 0.9, AT), ("car", 0.5, NEAR)]) == [1]
    assert kept([("vehicle", 0.9, AT), ("car", 0.4, NEAR)]) == [0]
    assert kept([("vehicle", 0.9, AT), ("car", 0.4, NEAR)], support=0.4) == [1]
    assert kept([("car", 0.5, AT), ("vehicle", 0.4, NEAR)]) == [0]
    assert kept([("vehicle", 0.9, AT), ("sedan", 0.6, NEAR), ("car", 0.7, NEAR)]) == [1]
    assert kept([("vehicle", 0.9, AT), ("car", 0.8, NEAR)], kind_iou=0.75) == [0, 1]


def test_siblings_and_strangers_are_not_one_object_before_they_are_the_same_box() -> None:
    assert kept([("truck", 0.9, AT), ("car", 0.8, NEAR)]) == [0, 1]
    assert kept([("tree", 0.9, AT), ("car", 0.8, NEAR)]) == [0, 1]
    assert kept([("truck", 0.9, AT), ("car", 0.8, NEAR)], box_iou=0.65) == [0]


def test_synonyms_that_the_user_asks_for_are_one_name() -> None:
    assert kept([("automobile", 0.8, AT), ("car", 0.9, NEAR)]) == [1]
    assert kept([("automobile", 0.8, AT), ("car", 0.9, NEAR)], iou=0.75, kind_iou=0.75) == [1, 0]


def test_one_of_three_names_carries_the_others() -> None:
    rows = [("vehicle", 0.9, AT), ("car", 0.8, AT), ("truck", 0.7, AT), ("vehicle", 0.6, AT)]
    stay, gone = merge(boxes(rows), iou=0.5, kinship=Family())
    assert stay.data["row"].tolist() == [1]
    (others,) = stay.data["alternatives"]
    assert [name for name, _ in others] == ["vehicle", "truck"]
    assert others[0][1] == pytest.approx(0.9)
    assert [one.reason for one in gone] == [
        Reason.SAME_OBJECT,
        Reason.SAME_OBJECT,
        Reason.SAME_NAME,
    ]
    assert {one.instead for one in gone} == {"car"}


def test_alternatives_known_before_are_kept() -> None:
    given_boxes = boxes([("car", 0.9, AT), ("truck", 0.8, AT)])
    given_boxes.data["alternatives"] = [(("van", 0.3),), (("bus", 0.7), ("van", 0.5))]
    stay, _ = merge(given_boxes, iou=0.5, kinship=Family())
    (others,) = stay.data["alternatives"]
    assert [name for name, _ in others] == ["truck", "bus", "van"]
    assert others[2][1] == 0.5


@pytest.mark.parametrize(
    ("name", "others", "expected"),
    [
        ("vehicle", (("car", 0.5), ("tree", 0.8)), ("car", (("vehicle", 0.9), ("tree", 0.8)))),
        ("vehicle", (("car", 0.4),), ("vehicle", (("car", 0.4),))),
        ("vehicle", (("car", 0.5), ("sedan", 0.3)), ("sedan", (("vehicle", 0.9), ("car", 0.5)))),
        ("vehicle", (("truck", 0.6), ("car", 0.5)), ("truck", (("vehicle", 0.9), ("car", 0.5)))),
        ("vehicle", (("car", 0.7), ("car", 0.3)), ("car", (("vehicle", 0.9),))),
        ("car", (("automobile", 0.8), ("vehicle", 0.7)), ("car", None)),
        ("tree", (), ("tree", ())),
    ],
)
def test_a_box_is_named_as_precisely_as_its_other_names_allow(
    name: str, others: Alternatives, expected: tuple[str, Alternatives | None]
) -> None:
    ((found, rest),) = most_specific([name], [0.9], [others], Family(), support=0.5)
    assert found == expected[0]
    assert rest == (others if expected[1] is None else expected[1])


def test_of_a_name_told_twice_the_better_score_counts() -> None:
    """Two tags may have one label, the better one first."""
    others = (("car", 0.5), ("car", 0.3))
    assert most_specific(["vehicle"], [0.9], [others], Family(), support=0.5)[0][0] == "car"


SIZE = (100, 100)
WHOLE = rectangle(SIZE, 0, 0, 60, 60)


def test_masks_tell_apart_what_boxes_cannot() -> None:
    """Two diagonal bars have one box and hardly a pixel in common."""
    up, down = np.eye(100, dtype=bool), np.eye(100, dtype=bool)[::-1]
    assert fates([("car", 0.9, up), ("car", 0.8, down)]) == [None, None]
    assert kept([("car", 0.9, (0, 0, 100, 100)), ("car", 0.8, (0, 0, 100, 100))]) == [0]


def test_masks_of_two_names_that_are_the_same_pixels_are_one_object() -> None:
    most = rectangle(SIZE, 0, 10, 60, 70)  # IoU 0.71
    assert fates([("tree", 0.9, WHOLE), ("car", 0.8, most)]) == [None, Reason.SAME_OBJECT]
    assert fates([("tree", 0.9, WHOLE), ("car", 0.8, most)], mask_iou=0.75) == [None, None]


def test_what_lies_on_another_thing_is_no_second_name_of_it() -> None:
    """A dress on a woman, a pizza on a plate: one within the other, and IoU 0.75."""
    within = rectangle(SIZE, 0, 0, 60, 45)
    assert fates([("tree", 0.9, WHOLE), ("car", 0.8, within)]) == [None, None]
    assert fates([("tree", 0.7, WHOLE), ("car", 0.8, within)]) == [None, None]
    assert fates([("tree", 0.9, WHOLE), ("car", 0.8, WHOLE)]) == [None, Reason.SAME_OBJECT]


def test_a_part_is_no_duplicate_of_its_whole() -> None:
    wheel = rectangle(SIZE, 0, 0, 20, 20)
    large = rectangle(SIZE, 0, 10, 60, 70)  # IoU 0.71
    assert fates([("car", 0.9, WHOLE), ("wheel", 0.8, wheel)]) == [None, None]
    assert fates([("car", 0.9, WHOLE), ("wheel", 0.8, large)]) == [None, None]
    assert fates([("wheel", 0.9, WHOLE), ("car", 0.8, large)]) == [None, None]
    assert fates([("car", 0.9, WHOLE), ("wheel", 0.8, WHOLE)]) == [None, Reason.SAME_OBJECT]


def test_a_piece_of_an_object_of_the_same_name_goes() -> None:
    piece, beside = rectangle(SIZE, 10, 10, 30, 30), rectangle(SIZE, 70, 70, 90, 90)
    assert fates([("car", 0.9, WHOLE), ("car", 0.8, piece)]) == [None, Reason.PIECE]
    assert fates([("car", 0.7, WHOLE), ("car", 0.8, piece)]) == [None, Reason.PIECE]
    assert fates([("car", 0.9, WHOLE), ("vehicle", 0.8, piece)]) == [None, Reason.PIECE]
    assert fates([("vehicle", 0.9, WHOLE), ("car", 0.8, piece)]) == [None, None]
    assert fates([("car", 0.9, WHOLE), ("tree", 0.8, piece)]) == [None, None]
    assert fates([("car", 0.9, WHOLE), ("car", 0.8, beside)]) == [None, None]
    half_out = rectangle(SIZE, 50, 10, 70, 30)
    assert fates([("car", 0.9, WHOLE), ("car", 0.8, half_out)]) == [None, None]
    assert fates([("car", 0.9, WHOLE), ("car", 0.8, half_out)], contained=0.4)[1] == Reason.PIECE


def test_of_two_masks_in_one_another_the_better_stays() -> None:
    given_masks = masked([("car", 0.8, WHOLE), ("car", 0.9, WHOLE)])
    stay, (gone,) = merge(given_masks, iou=1, kinship=Family())
    assert stay.data["row"].tolist() == [1]
    assert gone.reason is Reason.PIECE


def test_a_group_of_objects_goes() -> None:
    left, right = rectangle(SIZE, 0, 0, 60, 25), rectangle(SIZE, 0, 35, 60, 60)
    singles = [("car", 0.8, left), ("car", 0.7, right)]
    assert fates([("car", 0.9, WHOLE), *singles]) == [Reason.GROUP, None, None]
    assert fates([("vehicle", 0.9, WHOLE), *singles]) == [Reason.GROUP, None, None]
    assert fates([("tree", 0.9, WHOLE), *singles]) == [None, None, None]
    assert fates([("car", 0.9, WHOLE), *singles], group=0.9)[0] is None
    unsure = [("car", 0.4, left), ("car", 0.3, right)]
    assert fates([("car", 0.9, WHOLE), *unsure]) == [None, Reason.PIECE, Reason.PIECE]
    beside = rectangle(SIZE, 0, 60, 60, 100)
    assert fates([("car", 0.9, WHOLE), singles[0], ("car", 0.7, beside)])[0] is None
    nearly_all = rectangle(SIZE, 0, 0, 60, 40)
    rows = [("vehicle", 0.9, WHOLE), ("car", 0.4, nearly_all), ("car", 0.3, right)]
    assert fates(rows)[0] is None


def test_the_names_of_a_group_are_not_those_of_its_members() -> None:
    left, right = rectangle(SIZE, 0, 0, 60, 25), rectangle(SIZE, 0, 35, 60, 60)
    rows = [("car", 0.9, WHOLE), ("tree", 0.8, WHOLE), ("car", 0.8, left), ("car", 0.7, right)]
    stay, _ = merge(masked(rows), iou=0.5, kinship=Family())
    assert stay.data["row"].tolist() == [2, 3]
    assert stay.data["alternatives"].tolist() == [(), ()]


def test_names_known_of_a_worse_box_of_the_same_name_are_kept() -> None:
    given_boxes = boxes([("car", 0.9, AT), ("car", 0.8, AT)])
    given_boxes.data["alternatives"] = [(), (("bus", 0.7),)]
    stay, _ = merge(given_boxes, iou=0.5, kinship=Family())
    assert stay.data["alternatives"].tolist() == [(("bus", 0.7),)]


def test_a_better_mask_of_the_same_name_stays() -> None:
    larger = rectangle(SIZE, 0, 0, 60, 80)
    assert fates([("car", 0.8, WHOLE), ("car", 0.9, larger)]) == [Reason.SAME_NAME, None]


def test_large_pictures_lose_no_precision() -> None:
    """Boxes of one pixel far out, and many names: in float32 the boxes would run together."""
    rows = [(f"tag{n:04d}", 0.5, (60_000 + n, 0, 60_001 + n, 1)) for n in range(900)]
    assert len(kept(rows)) == 900


side = st.integers(0, 12)
row = st.tuples(
    st.sampled_from(["bus", "car", "tree"]),
    st.sampled_from([0.25, 0.5, 0.75]),
    st.tuples(side, side, side, side).map(lambda b: (b[0], b[1], b[0] + b[2] + 1, b[1] + b[3] + 1)),
)


def slow_merge(rows: Sequence[Row], iou: float) -> list[Row]:
    """The definition, box by box."""

    def overlap(a: Row, b: Row) -> float:
        (ax, ay, ar, ab), (bx, by, br, bb) = a[2], b[2]
        shared = max(0, min(ar, br) - max(ax, bx)) * max(0, min(ab, bb) - max(ay, by))
        return shared / ((ar - ax) * (ab - ay) + (br - bx) * (bb - by) - shared)

    def thinned(rows: Sequence[Row], same_name: bool, share: float) -> list[Row]:
        stay: list[Row] = []
        for one in rows:
            rivals = [other for other in stay if not same_name or other[0] == one[0]]
            if all(overlap(one, other) <= share for other in rivals):
                stay.append(one)
        return stay

    ordered = sorted(rows, key=lambda one: (-one[1], one[0], one[2]))
    return thinned(thinned(ordered, True, iou), False, max(iou, Rules().box_iou))


@given(st.lists(row, max_size=12), st.sampled_from([0.0, 0.3, 0.51, 0.9]), st.randoms())
def test_it_is_the_slow_definition_in_whatever_order_the_boxes_come(
    rows: list[Row], iou: float, chance: object
) -> None:
    chance.shuffle(rows)  # type: ignore[attr-defined]
    merged, gone = merge(boxes(rows), iou=iou, kinship=Family())
    assert len(merged) + len(gone) == len(rows)
    assert merged.confidence is not None
    names, found = merged.data["class_name"], merged.xyxy.tolist()
    columns = zip(names.tolist(), merged.confidence.tolist(), map(tuple, found), strict=True)
    assert list(columns) == slow_merge(rows, iou)


def test_what_comes_in_is_left_alone() -> None:
    given_boxes = boxes([("car", 0.6, (0, 0, 9, 9)), ("car", 0.9, (0, 0, 9, 9))])
    before = given_boxes.xyxy.copy()
    merge(given_boxes, iou=0.5, kinship=Family())[0].xyxy[:] = 7
    np.testing.assert_array_equal(given_boxes.xyxy, before)
    assert given_boxes.data["row"].tolist() == [0, 1]


@pytest.mark.parametrize("iou", [-0.1, 1.1, float("nan")])
def test_a_share_outside_0_to_1_is_refused(iou: float) -> None:
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        merge(boxes([]), iou=iou, kinship=Family())


@pytest.mark.parametrize("column", ["confidence", "class_name"])
def test_a_missing_column_is_named(column: str) -> None:
    found = boxes([("car", 0.5, (0, 0, 1, 1))])
    if column == "confidence":
        found.confidence = None
    else:
        del found.data["class_name"]
    with pytest.raises(InputError, match=f"no .*{column}"):
        merge(found, iou=0.5, kinship=Family())
