from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from grounded_ram.annotation import objects
from grounded_ram.errors import InputError
from grounded_ram.export.cvat import ATTRIBUTES, export_cvat
from grounded_ram.export.dataset import Dataset
from tests.hand_annotation import annotate, rectangle
from tests.hand_dataset import ODD, SHAPES, SIZE, truth, write_dataset

# That datumaro reads the same objects is tested in tests/readers.


def write(objects: list[Any], folder: Path, **options: Any) -> ElementTree.Element:
    dataset = Dataset.of([annotate(objects, path="a.png")])
    export_cvat(dataset, folder, pictures="none", **options)
    return ElementTree.parse(folder / "annotations.xml").getroot()


def test_run_lengths_go_row_by_row_and_begin_with_what_is_not_set(tmp_path: Path) -> None:
    corner = rectangle(SIZE, 10, 20, 12, 23) & ~rectangle(SIZE, 10, 20, 11, 22)
    full = rectangle(SIZE, 5, 6, 7, 9)
    first, second = write([("a", corner), ("b", full)], tmp_path).iter("mask")
    assert first.get("rle") == "2, 4"
    box = {"left": "20", "top": "10", "width": "3", "height": "2"}
    assert {key: first.get(key) for key in box} == box
    assert second.get("rle") == "0, 6"


def test_several_polygons_of_one_object_share_a_group(tmp_path: Path) -> None:
    shapes = [("a", SHAPES["block"]), ("b", SHAPES["two parts"]), ("c", SHAPES["ring"])]
    found = list(write(shapes, tmp_path, masks="polygon").iter("polygon"))
    groups = [(one.get("label"), one.get("group_id")) for one in found]
    assert groups == [("a", None), ("b", "2"), ("b", "2"), ("c", "3"), ("c", "3")]
    corners = sorted(found[0].get("points", "").split(";"))
    assert corners == ["20,10", "20,30", "50,10", "50,30"]


def test_labels_and_their_attributes_are_declared(tmp_path: Path) -> None:
    root = write([("b", SHAPES["block"]), (ODD, SHAPES["ring"])], tmp_path)
    task = root.find("meta/task")
    assert task.findtext("size") == "1"
    labels = task.findall("labels/label")
    assert [label.findtext("name") for label in labels] == ["b", ODD]
    for label in labels:
        declared = [one.findtext("name") for one in label.iter("attribute")]
        assert declared == list(ATTRIBUTES)
        assert {one.findtext("input_type") for one in label.iter("attribute")} == {"text"}


def test_all_that_is_known_of_an_object_is_told(tmp_path: Path) -> None:
    annotation = annotate([("car", SHAPES["block"])], path="a.png")
    found = annotation.detections
    more = {"crop_score": np.array([0.25], np.float32), "alternatives": objects([(("bus", 0.5),)])}
    annotation = replace(annotation, detections=replace(found, data={**found.data, **more}))
    export_cvat(Dataset.of([annotation]), tmp_path, pictures="none")
    mask = ElementTree.parse(tmp_path / "annotations.xml").find("image/mask")
    told = {one.get("name"): one.text for one in mask}
    assert told == {
        **{"tag_score": "0.9", "box_score": "0.7", "mask_score": "0.5", "label_score": "0.8"},
        **{"crop_score": "0.25", "alternatives": '{"bus": 0.5}'},
    }
    assert set(told) <= set(ATTRIBUTES)


@pytest.mark.parametrize("splits", [True, False])
def test_pictures_are_listed_in_order_and_lie_where_they_belong(
    tmp_path: Path, splits: bool
) -> None:
    dataset = write_dataset(tmp_path / "pictures", splits=splits)
    export_cvat(dataset, tmp_path / "cvat")
    root = ElementTree.parse(tmp_path / "cvat" / "annotations.xml").getroot()
    images = root.findall("image")
    assert [image.get("id") for image in images] == ["0", "1", "2", "3"]
    expected = truth(dataset)
    assert [image.get("name") for image in images] == list(expected)
    assert [len(image) for image in images] == [len(found) for found in expected.values()]
    for image in images:
        assert image.get("subset") == (dataset.splits[image.get("name")] if splits else None)
        folder = tmp_path / "cvat" / "images" / image.get("subset", "")
        assert (folder / image.get("name")).is_file()
    sizes = {task.findtext("subset"): task.findtext("size") for task in root.iter("task")}
    assert sizes == ({"train": "2", "val": "1", "test": "1"} if splits else {None: "4"})


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'\\x01'.*rename"):
        write([("a\1", SHAPES["block"])], tmp_path)
    with pytest.raises(InputError, match="rle"):
        write([], tmp_path, masks="png")
    assert list(tmp_path.iterdir()) == []


def test_no_pictures_at_all(tmp_path: Path) -> None:
    export_cvat(Dataset.of([]), tmp_path)
    root = ElementTree.parse(tmp_path / "annotations.xml").getroot()
    assert root.findtext("meta/task/size") == "0"
    assert root.findall("image") == []
