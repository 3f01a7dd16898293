import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from grounded_ram.errors import InputError
from grounded_ram.evaluation.truth import CocoObject, Truth, read_truth
from grounded_ram.export.coco import to_coco
from tests.hand_annotation import annotate, rectangle, ring

SIZE = (40, 60)
RING = ring(SIZE, (20, 30), 5, 12)
IMAGE = {"id": 1, "file_name": "a.jpg", "height": 40, "width": 60}
CAR = {"id": 1, "name": "car"}
BOX = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 10, 5]}


def coco(**parts: Any) -> dict[str, Any]:
    return {"images": [IMAGE], "categories": [CAR], "annotations": [BOX], **parts}


def read(tmp_path: Path, value: Any) -> Truth:
    path = tmp_path / "truth.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return read_truth(path)


def only(truth: Truth) -> CocoObject:
    ((one,),) = (picture.objects for picture in truth.pictures.values())
    return one


@pytest.mark.parametrize("masks", ["rle", "polygon"])
def test_masks_come_back_to_the_pixel(tmp_path: Path, masks: Any) -> None:
    block = rectangle(SIZE, 3, 4, 9, 20)
    written = to_coco([annotate([("car", RING), ("tree", block)])], masks=masks)
    truth = read(tmp_path, written)
    assert truth.names == ("car", "tree")
    (picture,) = truth.pictures.values()
    assert picture.size_hw == SIZE
    assert [one.name for one in picture.objects] == ["car", "tree"]
    assert picture.objects[1].bbox_xywh == (4, 3, 16, 6)
    for one, mask in zip(picture.objects, (RING, block), strict=True):
        np.testing.assert_array_equal(coco_mask.decode(one.mask), mask)


def test_unpacked_run_lengths_are_packed(tmp_path: Path) -> None:
    runs = {"size": [40, 60], "counts": [5, 3, 2400 - 8]}
    one = only(read(tmp_path, coco(annotations=[{**BOX, "bbox": None, "segmentation": runs}])))
    assert coco_mask.decode(one.mask).T.ravel()[4:9].tolist() == [0, 1, 1, 1, 0]
    assert one.bbox_xywh == (0, 5, 1, 3)


def test_boxes_alone_crowds_and_ids_that_are_texts(tmp_path: Path) -> None:
    image, car = {"id": "x", "file_name": "a.jpg"}, {"id": "c", "name": " car "}
    crowd = {**BOX, "image_id": "x", "category_id": "c", "iscrowd": 1}
    truth = read(tmp_path, coco(images=[image], categories=[car], annotations=[crowd]))
    one = only(truth)
    assert (one.name, one.mask, one.crowd, truth.pictures["a.jpg"].size_hw) == (
        *("car", None, True),
        None,
    )
    assert truth.has_masks  # crowds do not need any
    assert not read(tmp_path, coco()).has_masks


def test_no_objects_are_no_mistake(tmp_path: Path) -> None:
    truth = read(tmp_path, coco(annotations=[], categories=[]))
    assert (truth.pictures["a.jpg"].objects, truth.names) == ([], ())
    assert truth.has_masks
    assert read(tmp_path, coco(images=[], annotations=[])).pictures == {}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{", r"expected a COCO file in JSON"),
        ("[]", r"'images', 'annotations', 'categories'; got a list"),
        ({"images": [], "categories": []}, r"got 'images', 'categories' only"),
        ({"images": [], "annotations": []}, r"got 'images', 'annotations' only"),
        (coco(annotations={}), r"'annotations' is an object"),
        (coco(images=["a.jpg"]), r"images: expected objects in braces, got a text"),
        (coco(images=[IMAGE, {**IMAGE, "file_name": "b"}]), r"images: id 1 comes twice"),
        (coco(images=[IMAGE, {**IMAGE, "id": 2}]), r"'a.jpg' comes twice"),
        (coco(images=[{"id": 1}]), r"image id 1: expected a file_name, got None"),
        (coco(images=[{"file_name": "a"}]), r"images: expected an id.*got None"),
        (coco(categories=[CAR, CAR]), r"categories: id 1 comes twice"),
        (coco(categories=[{"id": 1}]), r"category id 1: expected a name, got None"),
        (coco(annotations=[BOX, BOX]), r"annotations: id 1 comes twice"),
        (
            coco(annotations=[{**BOX, "image_id": "1"}]),
            r"annotation id 1: image_id: expected the id of one of the images \(such as 1\), "
            r"got '1'",
        ),
        (coco(annotations=[{**BOX, "category_id": 2}]), r"category_id.*such as 1\), got 2"),
        (coco(categories=[]), r"category_id.*there are none"),
        (coco(annotations=[{"image_id": 1, "category_id": 1}]), r"number 1: bbox.*got None"),
        (coco(annotations=[{**BOX, "bbox": [1, 2, 3]}]), r"left, top, width, height"),
        (coco(annotations=[{**BOX, "bbox": [1, 2, -3, 4]}]), r"from 0, got \[1, 2, -3, 4\]"),
        (coco(annotations=[{**BOX, "segmentation": [[1, 2, 3, 4]]}]), r"polygons as \[x1"),
        (coco(annotations=[{**BOX, "segmentation": "x"}]), r"size and counts; got a text"),
        (
            coco(annotations=[{**BOX, "segmentation": {"size": [60, 40], "counts": [2400]}}]),
            r"its size is \[60, 40\], but the picture's \[40, 60\]",
        ),
        (
            coco(annotations=[{**BOX, "segmentation": {"size": [40, 60], "counts": [7]}}]),
            r"make up the whole picture",
        ),
        (
            coco(
                images=[{"id": 1, "file_name": "a"}],
                annotations=[{**BOX, "segmentation": [[0, 0, 5, 0, 5, 5]]}],
            ),
            r"polygons need the image's height and width",
        ),
    ],
)
def test_a_file_that_is_no_truth_is_told_what_was_expected(
    tmp_path: Path, value: Any, message: str
) -> None:
    with pytest.raises(InputError, match=rf"truth\.json: (?s:.*){message}"):
        read(tmp_path, value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.json: cannot be read"):
        read_truth(tmp_path / "gone.json")
