import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from grounded_ram.annotation import Reason
from grounded_ram.cli.results import HEADINGS, count, line, record
from tests.hand_annotation import annotate, rectangle

SIZE = (40, 60)


def test_the_record_tells_all_but_the_masks_in_plain_values() -> None:
    mask = rectangle(SIZE, 10, 20, 30, 50)
    done = record(
        annotate([("car", mask)], ungrounded=("red",)), "street.jpg", Path("o/street.jpg")
    )
    assert json.loads(json.dumps(done)) == done
    assert (done["input"], done["name"]) == ("photos/street.jpg", "street.jpg")
    assert (done["height"], done["width"]) == SIZE
    assert [(tag["name"], tag["kind"]) for tag in done["tags"]] == [
        ("car", "object"),
        ("red", "attribute"),
    ]
    (item,) = done["objects"]
    assert (item["name"], item["box_xyxy"]) == ("car", [20.0, 10.0, 50.0, 30.0])
    assert item["mask_area"] == np.count_nonzero(mask)
    np.testing.assert_allclose(
        [item["tag_score"], item["box_score"], item["mask_score"]], [0.9, 0.7, 0.5], atol=1e-6
    )
    assert done["ungrounded"] == {"red": "no box was found"}
    assert done["not_found"] == ["red"]
    assert done["rejected"] == []


def test_a_line_counts_objects_and_parts_the_other_tags() -> None:
    mask = rectangle(SIZE, 0, 0, 5, 5)
    found = annotate([("car", mask), ("tree", mask), ("car", mask)], ungrounded=("grass",))
    cells = line(record(found, "street.jpg", Path("x")))
    assert cells == ("street.jpg", "60 x 40", "car 2, tree", "", "grass")
    assert len(cells) == len(HEADINGS)


def test_a_tag_that_nobody_looked_for_is_also_seen_not_missing() -> None:
    found = replace(annotate(ungrounded=("red",)), ungrounded={"red": Reason.KIND})
    assert line(record(found, "street.jpg", Path("x")))[2:] == ("none", "red", "")


def test_of_very_many_names_the_first_are_written() -> None:
    names = tuple(f"thing {number}" for number in range(600))
    *_, cell = line(record(annotate(ungrounded=names), "street.jpg", Path("x")))
    assert cell.startswith("thing 0, thing 1, ")
    assert cell.endswith("thing 19 and 580 more")


def test_nothing_found_is_said() -> None:
    done = record(annotate(), "empty.png", Path("x"))
    assert done["objects"] == []
    assert line(done) == ("empty.png", "60 x 40", "none", "", "")


def test_counts_put_the_most_frequent_first() -> None:
    assert count(["a", "b", "b"]) == "b 2, a"
    assert count([]) == ""
