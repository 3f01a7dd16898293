from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import supervision as sv
from torchvision.datasets import VOCDetection

from grounded_ram.errors import InputError
from grounded_ram.export.dataset import Dataset
from grounded_ram.export.voc import export_voc
from tests.hand_annotation import annotate, box_of
from tests.hand_dataset import ODD, SHAPES, truth, write_dataset


def test_supervision_reads_the_same_boxes_and_names(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "pictures", flat=True)
    export_voc(dataset, tmp_path / "voc")
    found = sv.DetectionDataset.from_pascal_voc(
        str(tmp_path / "voc" / "JPEGImages"), str(tmp_path / "voc" / "Annotations")
    )
    expected = truth(dataset)
    assert {Path(path).name for path, _, _ in found} == set(expected)
    for path, _, detections in found:
        objects = expected[Path(path).name]
        assert [found.classes[i] for i in detections.class_id] == [name for name, _ in objects]
        boxes = np.reshape([box_of(mask) for _, mask in objects], (-1, 4))
        np.testing.assert_array_equal(detections.xyxy, boxes)


@pytest.mark.parametrize("splits", [True, False])
def test_torchvision_reads_splits_and_boxes(tmp_path: Path, splits: bool) -> None:
    dataset = write_dataset(tmp_path / "pictures", ending=".jpg", splits=splits)
    known = {"train": "train", "val": "val", "test": "trainval"}  # its devkit has no "test"
    dataset = replace(dataset, splits={key: known[one] for key, one in dataset.splits.items()})
    export_voc(dataset, tmp_path / "VOCdevkit" / "VOC2012")
    expected = truth(dataset)
    seen = []
    for split in dataset.split_names or ("train",):
        for picture, page in VOCDetection(str(tmp_path), image_set=split):
            page = page["annotation"]
            key = page["filename"]
            seen.append(key)
            assert dataset.splits.get(key, "train") == split
            size = (int(page["size"]["width"]), int(page["size"]["height"]))
            assert picture.size == size
            found = [
                (one["name"], [int(one["bndbox"][k]) for k in ("xmin", "ymin", "xmax", "ymax")])
                for one in page.get("object", [])
            ]
            # One-based and inclusive: the right side is the same number as exclusive from zero.
            assert found == [
                (name, np.add(box_of(mask), [1, 1, 0, 0]).tolist()) for name, mask in expected[key]
            ]
    assert sorted(seen) == sorted(expected)


def test_all_scores_are_told(tmp_path: Path) -> None:
    export_voc(
        Dataset.of([annotate([(ODD, SHAPES["ring"])], path="a.png")]), tmp_path, pictures="none"
    )
    page = ElementTree.parse(tmp_path / "Annotations" / "a.xml")
    told = {one.findtext("name"): one.findtext("value") for one in page.iter("attribute")}
    assert told == {
        "tag_score": "0.9",
        "box_score": "0.7",
        "mask_score": "0.5",
        "label_score": "0.8",
    }


def test_pictures_that_differ_in_their_ending_share_no_page(tmp_path: Path) -> None:
    objects = [("car", SHAPES["block"])]
    dataset = Dataset.of([annotate(path="a.jpg"), annotate(objects, path="a.png")])
    export_voc(dataset, tmp_path, pictures="none")
    assert (tmp_path / "ImageSets" / "Main" / "train.txt").read_text() == "a\na-2\n"
    pages = [ElementTree.parse(tmp_path / "Annotations" / f"{name}.xml") for name in ("a", "a-2")]
    assert [page.findtext("filename") for page in pages] == ["a.jpg", "a-2.png"]
    assert [len(page.findall("object")) for page in pages] == [0, 1]


def test_classes_are_listed_but_for_those_with_a_colon(tmp_path: Path) -> None:
    objects = [(name, SHAPES["block"]) for name in ("dog", "3:2", ODD)]
    export_voc(Dataset.of([annotate(objects, path="a.png")]), tmp_path, pictures="none")
    assert (tmp_path / "labelmap.txt").read_text("utf-8").splitlines()[1:] == [
        "dog:::",
        f"{ODD}:::",
    ]


def test_a_character_that_xml_cannot_hold_is_refused(tmp_path: Path) -> None:
    dataset = Dataset.of([annotate([("bell\a", SHAPES["block"])], path="a.png")])
    with pytest.raises(InputError, match=r"'\\x07'"):
        export_voc(dataset, tmp_path, pictures="none")


def test_no_pictures_at_all(tmp_path: Path) -> None:
    export_voc(Dataset.of([]), tmp_path)
    assert (tmp_path / "ImageSets" / "Main" / "train.txt").read_bytes() == b""
