from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import supervision as sv
import yaml

from grounded_ram.export.dataset import Dataset
from grounded_ram.export.yolo import export_yolo_detect, export_yolo_segment
from tests.hand_annotation import annotate, box_of
from tests.hand_dataset import ODD, SHAPES, SIZE, Mask, truth, write_dataset

EXPORTERS = pytest.mark.parametrize("export", [export_yolo_segment, export_yolo_detect])


def read(folder: Path, split: str, *, masks: bool = False) -> sv.DetectionDataset:
    return sv.DetectionDataset.from_yolo(
        str(folder / "images" / split),
        str(folder / "labels" / split),
        str(folder / "data.yaml"),
        force_masks=masks,
    )


def with_border(mask: Mask) -> Mask:
    """Add the row and the column that a reader adds who paints the line itself, rounded up."""
    more = np.pad(mask, ((1, 0), (1, 0)))
    return mask | more[:-1, 1:] | more[1:, :-1] | more[:-1, :-1]


@EXPORTERS
def test_supervision_reads_the_same_boxes_and_names(tmp_path: Path, export: object) -> None:
    dataset = write_dataset(tmp_path / "pictures", flat=True)
    export(dataset, tmp_path / "yolo")
    expected = truth(dataset)
    seen = 0
    for split in ("train", "val", "test"):
        found = read(tmp_path / "yolo", split)
        assert found.classes == list(dataset.classes)
        for path, _, detections in found:
            objects = expected[Path(path).name]
            assert dataset.splits[Path(path).name] == split
            names = [found.classes[number] for number in detections.class_id]
            assert names == [name for name, _ in objects]
            boxes = np.reshape([box_of(mask) for _, mask in objects], (-1, 4))
            atol = 0.051 if export is export_yolo_segment else 1e-4
            np.testing.assert_allclose(detections.xyxy, boxes, atol=atol)
            seen += 1
    assert seen == len(dataset) == 4


def test_supervision_reads_the_same_masks_and_paints_the_line(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "pictures", flat=True)
    export_yolo_segment(dataset, tmp_path / "yolo")
    (_, _, detections), *_ = read(tmp_path / "yolo", "val", masks=True)
    for (name, mask), found in zip(SHAPES.items(), detections.mask, strict=True):
        assert not (mask & ~found).any()
        if name not in ("two parts", "noise"):
            assert not (found & ~with_border(mask)).any()


def test_a_line_of_each_format(tmp_path: Path) -> None:
    dataset = Dataset.of([annotate([("car", SHAPES["block"])], path="a.png")])
    export_yolo_segment(dataset, tmp_path / "segment", pictures="none")
    export_yolo_detect(dataset, tmp_path / "detect", pictures="none")
    line = (tmp_path / "detect" / "labels" / "train" / "a.txt").read_text()
    assert line == "0 0.3645833 0.3125000 0.3125000 0.3125000\n"
    number, *values = (tmp_path / "segment" / "labels" / "train" / "a.txt").read_text().split()
    corners = np.array(values, float).reshape(-1, 2) * SIZE[::-1]
    assert number == "0"
    assert sorted(np.round(corners, 3).tolist()) == [
        [20.05, 10.05],
        [20.05, 29.95],
        [49.95, 10.05],
        [49.95, 29.95],
    ]


@EXPORTERS
def test_pictures_without_objects_have_an_empty_file(tmp_path: Path, export: object) -> None:
    dataset = write_dataset(tmp_path / "pictures")
    export(dataset, tmp_path / "yolo")
    labels = tmp_path / "yolo" / "labels"
    assert (labels / "train" / "day 1" / "empty.txt").read_bytes() == b""
    assert len((labels / "test" / "day 2" / "a.txt").read_text().splitlines()) == 1  # no ghost
    assert sum(path.is_file() for path in labels.rglob("*")) == 4


def test_the_description_names_classes_and_splits(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "pictures")
    export_yolo_segment(dataset, tmp_path / "yolo")
    text = (tmp_path / "yolo" / "data.yaml").read_text("utf-8")
    found = yaml.safe_load(text)
    assert found.pop("names") == dict(enumerate(dataset.classes))
    assert found == {"train": "images/train", "val": "images/val", "test": "images/test"}
    assert ODD.split(" ")[0] in text
    assert "#" not in text


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        ({}, {"train": "images/train", "val": "images/train"}),
        ({"a.png": "test"}, dict.fromkeys(("test", "train", "val"), "images/test")),
        ({"a.png": "val"}, dict.fromkeys(("val", "train"), "images/val")),
    ],
)
def test_what_ultralytics_needs_is_there(
    tmp_path: Path, splits: dict[str, str], expected: dict[str, str]
) -> None:
    dataset = replace(Dataset.of([annotate(path="a.png")]), splits=splits)
    export_yolo_segment(dataset, tmp_path, pictures="none")
    text = (tmp_path / "data.yaml").read_text()
    assert yaml.safe_load(text) == {**expected, "names": {}}
    assert text.startswith("# There is no split")


def test_names_that_yaml_would_take_for_something_else(tmp_path: Path) -> None:
    names = sorted(["yes", "1", "null", "a: b", "#x", "- y", "it's", "~"])
    objects = [(name, SHAPES["block"]) for name in names]
    export_yolo_detect(Dataset.of([annotate(objects, path="a.png")]), tmp_path, pictures="none")
    found = yaml.safe_load((tmp_path / "data.yaml").read_bytes())
    assert found["names"] == dict(enumerate(names))


def test_pictures_that_differ_in_their_ending_share_no_labels(tmp_path: Path) -> None:
    objects = [("car", SHAPES["block"])]
    dataset = Dataset.of([annotate(path="a.jpg"), annotate(objects, path="a.png")])
    export_yolo_detect(dataset, tmp_path, pictures="none")
    labels = tmp_path / "labels" / "train"
    assert (labels / "a.txt").read_bytes() == b""
    assert (labels / "a-2.txt").read_bytes() != b""


@pytest.mark.parametrize("pictures", ["link", "copy", "none"])
def test_pictures_come_along_as_asked(tmp_path: Path, pictures: str) -> None:
    dataset = write_dataset(tmp_path / "pictures")
    export_yolo_detect(dataset, tmp_path / "yolo", pictures=pictures)
    found = [path for path in (tmp_path / "yolo" / "images").rglob("*") if not path.is_dir()]
    assert len(found) == (0 if pictures == "none" else 4)
    assert all(path.is_symlink() == (pictures == "link") for path in found)


def test_no_pictures_at_all(tmp_path: Path) -> None:
    export_yolo_segment(Dataset.of([]), tmp_path)
    assert (tmp_path / "images" / "train").is_dir()
    assert yaml.safe_load((tmp_path / "data.yaml").read_bytes())["names"] == {}
