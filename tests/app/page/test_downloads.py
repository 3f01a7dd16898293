from __future__ import annotations

import csv
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import yaml
from pycocotools.coco import COCO

from grounded_ram.annotation import Annotation
from grounded_ram.app.page.downloads import (
    DOWNLOADS,
    coco_file,
    copy_into,
    masks_file,
    overlay_file,
    safe_name,
    yolo_file,
)
from tests.hand_annotation import annotate, rectangle

SIZE = (80, 120)


@pytest.fixture
def found(tmp_path: Path) -> Annotation:
    """Two objects and one without pixels, in a picture that lies in a file."""
    masks = [
        ("dog/../x", rectangle(SIZE, 5, 5, 40, 50)),
        ("ghost", np.zeros(SIZE, bool)),
        ("cat", rectangle(SIZE, 30, 60, 70, 110)),
    ]
    path = tmp_path / "uploaded" / "a b.png"
    path.parent.mkdir()
    made = annotate(masks, size_hw=SIZE, path=str(path))
    PIL.Image.fromarray(made.pixels).save(path)
    return replace(made, image=replace(made.image, file_name="a b.png"))


def test_coco_gives_the_masks_back(found: Annotation, tmp_path: Path) -> None:
    coco = COCO(str(coco_file(found, tmp_path)))
    assert coco.imgs[1]["file_name"] == "a b.png"
    masks = [coco.annToMask(one).astype(bool) for one in coco.anns.values()]
    np.testing.assert_array_equal(masks, found.masks.to_dense()[[0, 2]])


def test_yolo_holds_labels_names_and_the_picture(found: Annotation, tmp_path: Path) -> None:
    with zipfile.ZipFile(yolo_file(found, tmp_path)) as packed:
        assert sorted(packed.namelist()) == [
            "data.yaml",
            "images/train/a b.png",
            "labels/train/a b.txt",
        ]
        names = yaml.safe_load(packed.read("data.yaml"))["names"]
        lines = packed.read("labels/train/a b.txt").decode().splitlines()
        picture = PIL.Image.open(io.BytesIO(packed.read("images/train/a b.png")))
        assert picture.size == (120, 80)
    assert [names[int(line.split()[0])] for line in lines] == ["dog/../x", "cat"]


def test_masks_are_one_picture_an_object_and_a_table(found: Annotation, tmp_path: Path) -> None:
    with zipfile.ZipFile(masks_file(found, tmp_path)) as packed:
        assert sorted(packed.namelist()) == [
            "001-x.png",
            "002-cat.png",
            "images.csv",
            "objects.csv",
        ]
        for name, row in (("001-x.png", 0), ("002-cat.png", 2)):
            mask = np.asarray(PIL.Image.open(io.BytesIO(packed.read(name))))
            np.testing.assert_array_equal(mask, found.masks.to_dense()[row] * np.uint8(255))
        table = csv.DictReader(packed.read("objects.csv").decode().splitlines())
        assert [line["name"] for line in table] == ["dog/../x", "cat"]


def test_the_overlay_of_a_small_picture_is_twice_as_large(
    found: Annotation, tmp_path: Path
) -> None:
    path = overlay_file(found, tmp_path)
    assert path.name == "a b-overlay.jpg"
    with PIL.Image.open(path) as overlay:
        assert overlay.size == (240, 160)


@pytest.mark.parametrize("name", DOWNLOADS)
def test_a_picture_without_objects_can_be_taken_home(name: str, tmp_path: Path) -> None:
    path = tmp_path / "empty.png"
    made = annotate(size_hw=SIZE, path=str(path))
    PIL.Image.fromarray(made.pixels).save(path)
    written = DOWNLOADS[name](made, tmp_path)
    assert written.stat().st_size > 0
    assert {one.name for one in tmp_path.iterdir()} == {"empty.png", written.name}


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a b.png", "a b.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\y.jpg", "y.jpg"),
        ("<b>.png", "_b_.png"),
        ("...", "picture"),
        (".png", "png"),
        ("", "picture"),
        ("街.png", "街.png"),
        ("x" * 500 + ".png", "x" * 60 + ".png"),
    ],
)
def test_names_of_files_are_made_harmless(name: str, safe: str, tmp_path: Path) -> None:
    assert safe_name(name) == safe
    source = tmp_path / "source"
    source.write_bytes(b"1")
    (tmp_path / "inside").mkdir()
    assert copy_into(source, tmp_path / "inside", name).parent == tmp_path / "inside"
