from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import supervision as sv
import yaml

from grounded_ram.errors import InputError
from grounded_ram.export.coco import export_coco
from grounded_ram.export.dataset import Dataset
from grounded_ram.export.labelme import export_labelme
from grounded_ram.export.reading import read_dataset
from grounded_ram.export.voc import export_voc
from grounded_ram.export.yolo import export_yolo_detect, export_yolo_segment
from tests.hand_annotation import box_of, rectangle
from tests.hand_dataset import Mask, truth, write_dataset

Objects = list[tuple[str, Mask]]


def boxes(objects: Objects) -> Objects:
    """Return the objects with their boxes filled."""
    sides = [(name, mask.shape, box_of(mask)) for name, mask in objects]
    return [(name, rectangle(size, y1, x1, y2, x2)) for name, size, (x1, y1, x2, y2) in sides]


def check(found: dict[str, Objects], expected: dict[str, Objects]) -> None:
    assert sorted(found) == sorted(expected)
    for key, objects in expected.items():
        assert [name for name, _ in found[key]] == [name for name, _ in objects]
        for (_, mask), (_, before) in zip(found[key], objects, strict=True):
            np.testing.assert_array_equal(mask, before)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return write_dataset(tmp_path / "pictures")


def test_yolo_segments_come_back_as_they_were(dataset: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "images" / "yolo"  # its labels are not under tmp_path / "labels"
    export_yolo_segment(dataset, folder)
    for source in (folder, folder / "data.yaml"):
        reading = read_dataset(source)
        check(truth(reading.dataset), truth(dataset))
        assert reading.dataset.splits == dataset.splits
        assert reading.notes == ()


def test_yolo_boxes_become_masks(dataset: Dataset, tmp_path: Path) -> None:
    export_yolo_detect(replace(dataset, splits={}), tmp_path / "yolo")
    reading = read_dataset(tmp_path / "yolo")
    check(truth(reading.dataset), {key: boxes(found) for key, found in truth(dataset).items()})
    assert reading.dataset.splits == {}  # train and val are the same pictures
    assert reading.notes == ("14 objects have no shape: their boxes became their masks",)


def test_yolo_of_another_layout(tmp_path: Path) -> None:
    """Splits above "images", names in a list, one key in two splits, a picture without labels."""
    for split in ("train", "valid"):
        for kind in ("images", "labels"):
            (tmp_path / split / kind).mkdir(parents=True)
        PIL.Image.new("RGB", (20, 10)).save(tmp_path / split / "images" / "a.jpg")
    PIL.Image.new("RGB", (20, 10)).save(tmp_path / "valid" / "images" / "b.jpg")
    (tmp_path / "train" / "labels" / "a.txt").write_text("1.0000e+00 0.5 0.5 0.5 0.4\n\n")
    (tmp_path / "valid" / "labels" / "a.txt").write_text("0 0 0 1 0 0 1")
    told = {"path": "/elsewhere", "train": "train/images", "val": ["valid/images"]}
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({**told, "names": ["cat", "dog"]}))
    reading = read_dataset(tmp_path)
    found = truth(reading.dataset)
    assert {key: [name for name, _ in rows] for key, rows in found.items()} == {
        "train/a.jpg": ["dog"],
        "val/a.jpg": ["cat"],
        "b.jpg": [],
    }
    np.testing.assert_array_equal(found["train/a.jpg"][0][1], rectangle((10, 20), 3, 5, 7, 15))
    assert found["val/a.jpg"][0][1].sum() == pytest.approx(100, abs=12)  # a triangle, half of it
    assert reading.dataset.splits == {"train/a.jpg": "train", "val/a.jpg": "val", "b.jpg": "val"}
    assert reading.notes == ("1 objects have no shape: their boxes became their masks",)


def test_supervision_s_own_yolo_is_read(dataset: Dataset, tmp_path: Path) -> None:
    flat = write_dataset(tmp_path / "flat", flat=True, splits=False)
    export_yolo_detect(flat, tmp_path / "ours")
    ours = tmp_path / "ours"
    theirs = sv.DetectionDataset.from_yolo(
        str(ours / "images" / "train"), str(ours / "labels" / "train"), str(ours / "data.yaml")
    )
    out = tmp_path / "theirs"
    theirs.as_yolo(str(out / "images"), str(out / "labels"), str(out / "data.yaml"))
    value = yaml.safe_load((out / "data.yaml").read_bytes())
    (out / "data.yaml").write_text(yaml.safe_dump({**value, "train": "images"}), "utf-8")
    check(truth(read_dataset(out).dataset), {key: boxes(rows) for key, rows in truth(flat).items()})


def test_voc_comes_back_as_boxes(dataset: Dataset, tmp_path: Path) -> None:
    export_voc(dataset, tmp_path / "voc")
    reading = read_dataset(tmp_path / "voc")
    check(truth(reading.dataset), {key: boxes(found) for key, found in truth(dataset).items()})
    assert reading.dataset.splits == dataset.splits
    assert reading.notes == ("14 objects have no shape: their boxes became their masks",)
    first = next(iter(reading.dataset)).detections
    assert first.data["mask_score"].tolist() == pytest.approx([0.5, 0.45, 0.4])
    assert all(Path(one.image.path or "").is_file() for one in reading.dataset)


def test_supervision_s_own_voc_is_read(tmp_path: Path) -> None:
    flat = write_dataset(tmp_path / "flat", flat=True, splits=False)
    export_voc(flat, tmp_path / "ours")
    ours = tmp_path / "ours"
    theirs = sv.DetectionDataset.from_pascal_voc(
        str(ours / "JPEGImages"), str(ours / "Annotations")
    )
    out = tmp_path / "theirs"
    theirs.as_pascal_voc(str(out / "JPEGImages"), str(out / "Annotations"))
    reading = read_dataset(out)
    check(truth(reading.dataset), {key: boxes(rows) for key, rows in truth(flat).items()})
    assert reading.dataset.splits == {}


def test_voc_of_somebody_else(tmp_path: Path) -> None:
    """Bare file names in sub-folders, lists that overlap, lists of single classes."""
    size = "<size><width>20</width><height>10</height></size>"
    for name in ("a", "b", "c"):
        page = tmp_path / "Annotations" / "x" / f"{name}.xml"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(f"<annotation><filename>{name}.png</filename>{size}</annotation>")
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    told = {"both": "abc", "train": "a", "val": "b", "a_b": "c", "every": "abc"}
    for name, pages in told.items():
        (lists / f"{name}.txt").write_text("".join(f"x/{one}\n" for one in pages))
    reading = read_dataset(tmp_path)
    assert reading.dataset.splits == {"x/a.png": "train", "x/b.png": "val", "x/c.png": "both"}
    assert list(truth(reading.dataset)) == ["x/a.png", "x/b.png", "x/c.png"]


def test_labelme_comes_back_as_it_was(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "pictures", splits=False)
    export_labelme(dataset, tmp_path / "labelme")
    reading = read_dataset(tmp_path / "labelme")
    check(truth(reading.dataset), truth(dataset))
    assert reading.notes == ()
    before, after = (next(iter(one)).detections.data for one in (dataset, reading.dataset))
    np.testing.assert_allclose(after["box_score"], before["box_score"], atol=1e-6)


def shapes() -> list[dict[str, Any]]:
    square = {"shape_type": "rectangle", "points": [[8, 7], [2, 3]], "group_id": 0}
    return [
        {**square, "label": "a", "description": "seen by me"},
        {**square, "label": "a", "points": [[10, 0], [12, 1]]},
        {**square, "label": "b", "description": None},
        {**square, "label": "a", "group_id": None, "shape_type": "polygon", "points": [[1, 1]] * 3},
        {**square, "label": "a", "group_id": None, "description": "5"},
        {**square, "label": "a", "shape_type": "circle"},
        {**square, "label": "a", "shape_type": "circle"},
    ]


def test_labelme_of_somebody_else(tmp_path: Path) -> None:
    page = {"imagePath": "..\\there\\a.jpg", "imageHeight": 10, "imageWidth": 20}
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.json").write_text(json.dumps({**page, "shapes": shapes()}))
    reading = read_dataset(tmp_path)
    (annotation,) = reading.dataset
    assert annotation.image.file_name == "x/a.jpg"
    expected = rectangle((10, 20), 3, 2, 7, 8)
    names = annotation.detections.data["class_name"].tolist()
    assert names == ["a", "b", "a", "a"]
    both = expected | rectangle((10, 20), 0, 10, 1, 12)
    wanted = (both, expected, expected & False, expected)
    for mask, one in zip(annotation.masks, wanted, strict=True):
        np.testing.assert_array_equal(mask, one)
    assert reading.notes == ("2 shapes were left out that are a circle",)


def test_a_coco_file_may_be_told_where_the_pictures_are(dataset: Dataset, tmp_path: Path) -> None:
    export_coco(replace(dataset, splits={}), tmp_path)
    reading = read_dataset(tmp_path / "annotations.coco.json", tmp_path / "pictures")
    check(truth(reading.dataset), truth(dataset))
    assert all(Path(one.image.path or "").is_file() for one in reading.dataset)
    export_labelme(dataset, tmp_path / "labelme")
    with pytest.raises(InputError, match="only a COCO file"):
        read_dataset(tmp_path / "labelme", tmp_path / "pictures")


def broken(folder: Path, kind: str) -> Path:
    """Write a dataset with one thing wrong and return it."""
    for name in ("images", "labels", "Annotations"):
        if name != "Annotations" or kind.startswith("voc"):
            (folder / name).mkdir()
    PIL.Image.new("RGB", (20, 10)).save(folder / "images" / "a.jpg")
    label, yaml_text = "0 0.5 0.5 0.5 0.4", "train: images\nnames: [cat]"
    page = "<annotation><size><width>20</width><height>10</height></size></annotation>"
    match kind:
        case "yolo class":
            label = "1 0.5 0.5 0.5 0.4"
        case "yolo numbers":
            label = "0 0.5 0.5 0.5 0.4 0.1 0.2 0.3"
        case "yolo letters":
            label = "0 0.5 0.5 0.5 x"
        case "yolo folder":
            yaml_text = "train: imgs\nnames: [cat]"
        case "yolo names":
            yaml_text = "train: images"
        case "yolo picture":
            (folder / "images" / "a.jpg").write_bytes(b"no picture")
        case "voc box":
            page = page.replace("</annotation>", "<object><name>a</name></object></annotation>")
        case "voc size":
            page = "<annotation/>"
        case "voc xml":
            page = "<annotation>"
    (folder / "labels" / "a.txt").write_text(label)
    if kind.startswith("yolo"):
        (folder / "data.yaml").write_text(yaml_text)
    elif kind.startswith("voc"):
        (folder / "Annotations" / "a.xml").write_text(page)
    elif kind == "labelme":
        (folder / "a.json").write_text('{"imagePath": "a.jpg", "shapes": []}')
    return folder / "nothing.zip" if kind == "file" else folder


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("yolo class", r"a\.txt', line 1: expected a class of data\.yaml"),
        ("yolo numbers", r"a\.txt', line 1: .*got '0 0\.5 0\.5"),
        ("yolo letters", r"a\.txt', line 1"),
        ("yolo folder", r"data\.yaml': train: expected a folder of pictures, got 'imgs'"),
        ("yolo names", r"data\.yaml': expected names"),
        ("yolo picture", r"cannot read the picture .*a\.jpg"),
        ("voc box", r"a\.xml': expected a page of Pascal VOC"),
        ("voc size", r"a\.xml': expected a page of Pascal VOC; size_hw"),
        ("voc xml", r"a\.xml': expected XML"),
        ("labelme", r"a\.json': expected what LabelMe writes.*imageHeight"),
        ("nothing", "expected a dataset: YOLO with data.yaml"),
        ("file", r"nothing\.zip': expected a COCO file"),
    ],
)
def test_errors_say_where(tmp_path: Path, kind: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(read_dataset(broken(tmp_path, kind)).dataset)
