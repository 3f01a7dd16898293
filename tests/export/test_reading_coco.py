from __future__ import annotations

import contextlib
import io
import json
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from torchvision.datasets import CocoDetection

from grounded_ram.annotation import objects
from grounded_ram.errors import InputError
from grounded_ram.export.coco import export_coco
from grounded_ram.export.dataset import Dataset
from grounded_ram.export.pictures import place
from grounded_ram.export.reading_coco import read_coco
from tests.hand_annotation import annotate
from tests.hand_dataset import ODD, SHAPES, SIZE, Mask, truth, write_dataset

HEIGHT, WIDTH = SIZE


def counts(mask: Mask) -> list[int]:
    """Return COCO's run lengths as numbers, by a slow count."""
    runs, value = [0], False
    for pixel in mask.ravel(order="F").tolist():
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return runs


def foreign() -> dict[str, Any]:
    """Make a file as other tools write it: sparse ids, every kind of shape, nothing of ours."""
    packed = coco_mask.encode(np.asfortranarray(SHAPES["ring"], np.uint8))
    triangle = [10.5, 10.2, 50.0, 12.0, 30.3, 55.8]
    square = [60, 5, 80, 5, 80, 25, 60, 25]
    shapes: list[Any] = [
        [triangle, square],
        {"size": [HEIGHT, WIDTH], "counts": counts(SHAPES["two holes"])},
        {"size": [HEIGHT, WIDTH], "counts": packed["counts"].decode()},
        None,
    ]
    items = [
        {"id": 40 - i, "image_id": 77, "category_id": (9, 3)[i % 2], "segmentation": shape}
        for i, shape in enumerate(shapes)
    ]
    for item, box in zip(items, ([10, 5, 70, 51], [0, 0, 60, 20], [28, 12, 41, 41]), strict=False):
        item["bbox"] = box
    items[3]["bbox"] = [5.4, 6.6, 10, 20.2]
    crowd = {**items[1], "id": 41, "iscrowd": 1, "image_id": 5}
    return {
        "images": [
            {"id": 77, "file_name": "sub/b.jpg", "height": HEIGHT, "width": WIDTH},
            {"id": 5, "file_name": "a.jpg", "height": 30, "width": 20},
        ],
        "annotations": [*items, crowd],
        "categories": [
            {"id": 3, "name": ODD},
            {"id": 9, "name": "dog", "supercategory": "animal"},
            {"id": 1, "name": "unused"},
        ],
    }


def write(value: Any, folder: Path) -> Path:
    path = folder / "instances.json"
    path.write_text(json.dumps(value))
    return path


def test_every_kind_of_shape_is_read_as_pycocotools_reads_it(tmp_path: Path) -> None:
    path = write(foreign(), tmp_path)
    reading = read_coco(path)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(path))
    first, second = reading.dataset
    assert first.image.file_name == "sub/b.jpg"
    assert first.image.path == str(tmp_path / "sub" / "b.jpg")
    assert second.image.size_hw == (30, 20)
    assert len(second.detections) == 0
    for row, number in enumerate((40, 39, 38)):
        expected = coco.annToMask(coco.anns[number]).astype(bool)
        np.testing.assert_array_equal(first.masks[row], expected)
    box = np.zeros(SIZE, bool)
    box[7:27, 5:15] = True  # its sides rounded
    np.testing.assert_array_equal(first.masks[3], box)
    np.testing.assert_allclose(first.detections.xyxy[3], [5.4, 6.6, 15.4, 26.8], rtol=1e-6)


def test_names_kinds_and_scores_of_others(tmp_path: Path) -> None:
    value = foreign()
    value["annotations"][1]["score"] = 0.25
    reading = read_coco(write(value, tmp_path))
    first, _ = reading.dataset
    assert first.detections.data["class_name"].tolist() == ["dog", ODD, "dog", ODD]
    assert dict(zip(first.tags.names, first.tags.kinds, strict=True)) == {
        "dog": "animal",
        ODD: "object",
    }
    assert first.detections.data["box_score"].tolist() == [1, 0.25, 1, 1]
    assert first.detections.data["label_score"].tolist() == [1, 0.25, 1, 1]
    assert first.detections.data["mask_score"].tolist() == [1, 1, 1, 1]


def test_the_dataset_knows_its_classes(tmp_path: Path) -> None:
    found = read_coco(write(foreign(), tmp_path)).dataset
    again = Dataset.reading(lambda: found)
    assert len(found) == len(again) == 2
    assert list(found.kinds.items()) == list(again.kinds.items())
    assert dict(found.objects) == dict(again.objects) == {"dog": 2, ODD: 2}


def test_what_is_not_taken_over_is_said(tmp_path: Path) -> None:
    notes = read_coco(write(foreign(), tmp_path)).notes
    assert len(notes) == 2
    assert notes[0].startswith("1 objects have no shape")
    assert notes[1].startswith("1 crowds")


@pytest.mark.parametrize("masks", ["rle", "polygon"])
def test_our_own_files_come_back_as_they_were(tmp_path: Path, masks: Any) -> None:
    dataset = write_dataset(tmp_path, splits=False)
    told = list(dataset)
    found = told[0].detections
    more = {
        "crop_score": np.array([np.nan, 0.75, 0.5], np.float32),
        "alternatives": objects([(("bus", 0.5),), (), (("van", 0.4), ("bus", 0.3))]),
    }
    told[0] = replace(told[0], detections=replace(found, data={**found.data, **more}))
    export_coco(Dataset.of(told), tmp_path, masks=masks)
    reading = read_coco(tmp_path / "annotations.coco.json")
    assert reading.notes == ()
    expected, read = truth(dataset), truth(reading.dataset)
    assert list(read) == list(expected)
    for key, pairs in expected.items():
        assert [name for name, _ in read[key]] == [name for name, _ in pairs]
        for (_, mask), (_, before) in zip(read[key], pairs, strict=True):
            np.testing.assert_array_equal(mask, before)
    for before, after in zip(told, reading.dataset, strict=True):
        assert after.image == before.image
        if before is not told[3]:  # the one with the ghost
            for key in ("tag_score", "box_score", "mask_score", "label_score"):
                np.testing.assert_allclose(
                    after.detections.data[key], before.detections.data[key], atol=1e-6
                )
    data = next(iter(reading.dataset)).detections.data
    np.testing.assert_array_equal(data["crop_score"], more["crop_score"])
    assert data["alternatives"].tolist() == more["alternatives"].tolist()
    assert "ghost" not in reading.dataset.classes


def test_torchvision_reads_the_same_from_what_was_read_and_written(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "pictures", splits=False)
    export_coco(dataset, tmp_path / "one")
    once = read_coco(tmp_path / "one" / "annotations.coco.json", tmp_path / "pictures")
    export_coco(once.dataset, tmp_path / "two")
    with contextlib.redirect_stdout(io.StringIO()):
        found = CocoDetection(
            str(tmp_path / "pictures"), str(tmp_path / "two" / "annotations.coco.json")
        )
    names = {number: one["name"] for number, one in found.coco.cats.items()}
    for (picture, items), (key, pairs) in zip(found, truth(dataset).items(), strict=True):
        assert [names[item["category_id"]] for item in items] == [name for name, _ in pairs]
        for item, (_, mask) in zip(items, pairs, strict=True):
            np.testing.assert_array_equal(found.coco.annToMask(item), mask)
            assert item["area"] == mask.sum()
        with PIL.Image.open(tmp_path / "pictures" / key) as expected:
            assert picture.size == expected.size


def test_pictures_need_not_be_there(tmp_path: Path) -> None:
    first, second = read_coco(write(foreign(), tmp_path)).dataset
    assert first.image.sha256 != second.image.sha256
    (tmp_path / "a.jpg").write_bytes(b"something")
    _, third = read_coco(tmp_path / "instances.json").dataset
    assert third.image.sha256 != second.image.sha256


def test_a_picture_that_its_file_holds_turned_goes_upright_into_a_dataset(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.new("RGB", (30, 20), "red").save(tmp_path / "a.jpg", exif=exif)
    value = {"images": foreign()["images"][1:], "annotations": [], "categories": []}
    (annotation,) = read_coco(write(value, tmp_path)).dataset
    place(annotation.image, tmp_path / "out" / "a.jpg", "copy")
    with PIL.Image.open(tmp_path / "out" / "a.jpg") as picture:
        assert picture.size == (20, 30)
        assert 0x0112 not in picture.getexif()
    value["images"][0].update(height=20, width=30)  # now the labels are of the picture as stored
    (annotation,) = read_coco(write(value, tmp_path)).dataset
    assert annotation.image.notes == ()


def test_backslashes_part_folders_too(tmp_path: Path) -> None:
    value = foreign()
    value["images"][0]["file_name"] = ".\\sub\\b.jpg"
    first, _ = read_coco(write(value, tmp_path)).dataset
    assert first.image.file_name == "sub/b.jpg"


def test_one_image_at_a_time_is_in_memory(tmp_path: Path) -> None:
    dataset = read_coco(write(foreign(), tmp_path)).dataset
    alive = []
    for annotation in dataset:
        alive.append(weakref.ref(annotation))
        del annotation
        assert sum(ref() is not None for ref in alive) <= 1
    assert len(alive) == 2


def test_polygons_without_an_inside_are_empty(tmp_path: Path) -> None:
    value = foreign()
    value["annotations"][0]["segmentation"] = [[1, 1, 20, 20]]
    first, _ = read_coco(write(value, tmp_path)).dataset
    assert not first.masks[0].any()
    assert first.masks[1].any()


def broken(change: str) -> Any:
    value = foreign()
    image, item = value["images"][0], value["annotations"][0]
    if change == "not a dict":
        return [1]
    if change == "no annotations":
        del value["annotations"]
    elif change == "an image without a name":
        del image["file_name"]
    elif change == "no size":
        image["height"] = None
    elif change == "outside":
        image["file_name"] = "/etc/b.jpg"
    elif change == "no such category":
        item["category_id"] = 4
    elif change == "no such image":
        item["image_id"] = 4
    elif change == "size of the mask":
        value["annotations"][1]["segmentation"]["size"] = [WIDTH, HEIGHT]
    elif change == "too few pixels":
        value["annotations"][1]["segmentation"]["counts"].pop()
    elif change == "neither shape nor box":
        del value["annotations"][3]["bbox"]
    elif change == "letters":
        item["segmentation"] = [["a"] * 6]
    return value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("not a dict", "expected a list 'images'"),
        ("no annotations", "expected a list 'annotations', got NoneType"),
        ("an image without a name", r"images\[0\]: expected file_name, id; got"),
        ("no size", r"image 'sub/b.jpg': expected height and width in pixels, got None and 96"),
        ("outside", "image 77: file_name: expected a path inside"),
        ("no such category", "annotation 40 of image 77 has category_id 4; known: 3, 9, 1"),
        ("no such image", "belongs to image 4"),
        ("size of the mask", "annotation 39 of image 77 cannot be read: its size is"),
        ("too few pixels", "its counts are"),
        ("neither shape nor box", "annotation 37 of image 77 cannot be read: 'bbox'"),
        ("letters", "annotation 40 of image 77 cannot be read"),
    ],
)
def test_errors_say_where(tmp_path: Path, change: str, message: str) -> None:
    path = write(broken(change), tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        list(read_coco(path).dataset)
    assert str(path) in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read_coco(tmp_path / "nothing.json")
    (tmp_path / "text.json").write_text("hello")
    with pytest.raises(InputError, match="expected JSON as COCO has it"):
        read_coco(tmp_path / "text.json")


def test_a_file_of_nothing(tmp_path: Path) -> None:
    reading = read_coco(write({"images": [], "annotations": [], "categories": []}, tmp_path))
    assert list(reading.dataset) == []
    assert reading.dataset.classes == ()


def test_an_annotation_made_of_what_was_read_is_whole(tmp_path: Path) -> None:
    """All columns are there for images without objects too."""
    for annotation in read_coco(write(foreign(), tmp_path)).dataset:
        expected = set(annotate().detections.data)
        assert expected <= set(annotation.detections.data)
