from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import supervision as sv

from grounded_ram.annotation import Annotation, ImageFacts, Reason, Tags
from grounded_ram.errors import InputError
from tests.hand_annotation import annotate, rectangle

CAR = rectangle((40, 60), 5, 10, 20, 30)
DIGEST = "0123456789abcdef" * 4


def changed(annotation: Annotation, **columns: object) -> sv.Detections:
    """Copy the detections with some fields or data columns replaced."""
    found = annotation.detections
    fields = {key: columns.pop(key) for key in list(columns) if hasattr(found, key)}
    return replace(found, data={**found.data, **columns}, **fields)


def test_tags_select_keeps_order() -> None:
    tags = Tags(
        ("car", "red", "tree"),
        np.array([0.9, 0.8, 0.7], np.float32),
        ("object", "attribute", "object"),
    )
    assert tags.select(["object"]).names == ("car", "tree")
    assert tags.select([]).scores.shape == (0,)


def test_tags_refuse_what_arrays_of_names_would_drop() -> None:
    with pytest.raises(InputError, match="NUL"):
        Tags.of(["car\0"])


def test_tags_refuse_a_name_twice() -> None:
    with pytest.raises(InputError, match="twice: car"):
        Tags.of(["car", "car"])


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("photos/a b.jpg", "a b.jpg"),
        ("https://example.org/x/cat%20one.png?size=3", "cat one.png"),
        ("https://example.org/", "0123456789abcdef.png"),
        (None, "0123456789abcdef.png"),
    ],
)
def test_image_name(path: str | None, name: str) -> None:
    assert ImageFacts(path, (1, 1), DIGEST).name == name


@pytest.mark.parametrize(("size_hw", "digest"), [((0, 4), DIGEST), ((4, 4), "../../x")])
def test_image_facts_are_checked(size_hw: tuple[int, int], digest: str) -> None:
    with pytest.raises(InputError):
        ImageFacts(None, size_hw, digest)


def test_columns_are_there_without_objects() -> None:
    empty = annotate()
    assert empty.detections.data["tag_score"].shape == (0,)
    assert empty.masks.shape == (0, 40, 60)
    assert "0 objects" in repr(empty)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask": CAR[None]}, "CompactMask"),
        ({"mask": None}, "CompactMask"),
        (
            {"mask": sv.CompactMask.from_dense(CAR[None, :30], np.array([[0, 0, 5, 5]]), (30, 60))},
            "40",
        ),
        ({"confidence": np.array([0.1], np.float32)}, "box_score"),
        ({"class_id": np.array([1])}, "class_id"),
        ({"class_name": np.array(["tree"])}, "class_name"),
        ({"mask_score": np.array([np.nan], np.float32)}, "mask_score"),
        ({"tag_score": np.array(["high"])}, "tag_score"),
    ],
)
def test_detections_are_checked(change: dict[str, object], message: str) -> None:
    good = annotate([("car", CAR)])
    with pytest.raises(InputError, match=message):
        replace(good, detections=changed(good, **change))


@pytest.mark.parametrize("column", ["class_name", "tag_score", "box_score", "mask_score"])
@pytest.mark.parametrize("objects", [[], [("car", CAR)]])
def test_a_missing_column_is_refused(column: str, objects: list[tuple[str, np.ndarray]]) -> None:
    good = annotate(objects)
    data = {key: value for key, value in good.detections.data.items() if key != column}
    with pytest.raises(InputError, match=column):
        replace(good, detections=replace(good.detections, data=data))


def test_pixels_and_ungrounded_are_checked() -> None:
    good = annotate([("car", CAR)])
    with pytest.raises(InputError, match="pixels"):
        replace(good, pixels=good.pixels[:30])
    with pytest.raises(InputError, match=r"ungrounded: expected a Reason by tag, .*got tuple"):
        replace(good, ungrounded=("zebra",))
    with pytest.raises(InputError, match="ungrounded: not among the tags: zebra"):
        replace(good, ungrounded={"zebra": Reason.NO_BOX})


def test_repr_counts_objects() -> None:
    text = repr(annotate([("tree", CAR), ("car", CAR), ("car", CAR)], ungrounded=("boat",)))
    assert "street.jpg, 60 x 40 px: 3 tags, 3 objects (car 2, tree 1), 1 not found" in text


def test_notebook_picture_is_a_png_no_larger_than_a_screen() -> None:
    small = PIL.Image.open(BytesIO(annotate([("car", CAR)])._repr_png_()))
    assert (small.format, small.size) == ("PNG", (60, 40))
    wide = PIL.Image.open(BytesIO(annotate(size_hw=(10, 2048))._repr_png_()))
    assert wide.size == (1024, 5)


def test_to_coco_has_this_image_only() -> None:
    coco = annotate([("car", CAR)]).to_coco(masks="polygon")
    assert [image["file_name"] for image in coco["images"]] == ["street.jpg"]
    assert isinstance(coco["annotations"][0]["segmentation"], list)


@pytest.mark.parametrize("objects", [[], [("car", CAR)]])
def test_save_writes_three_files(tmp_path: Path, objects: list[tuple[str, np.ndarray]]) -> None:
    annotation = annotate(objects, ungrounded=("boat",))
    written = annotation.save(tmp_path / "out")
    assert sorted(written) == sorted((tmp_path / "out").iterdir())
    names = [path.name for path in written]
    assert names == ["street.tags.json", "street.coco.json", "street.overlay.jpg"]
    tags = json.loads(written[0].read_bytes())
    assert tags["image"]["sha256"] == annotation.image.sha256
    assert tags["objects"] == len(objects)
    assert [row["name"] for row in tags["tags"]] == list(annotation.tags.names)
    assert tags["ungrounded"] == {"boat": "no box was found"}
    assert len(json.loads(written[1].read_bytes())["annotations"]) == len(objects)
    with PIL.Image.open(written[2]) as picture:
        drawn = np.asarray(picture, int)
    assert np.abs(drawn - np.asarray(annotation.overlay(), int)).mean() < 8


def test_saving_again_replaces_and_another_image_of_that_name_does_not(tmp_path: Path) -> None:
    first, second = annotate([("car", CAR)], seed=1), annotate(seed=2)
    written = first.save(tmp_path)
    before = [path.read_bytes() for path in written]
    other = second.save(tmp_path)
    assert other[0].name == f"street-{second.image.sha256[:12]}.tags.json"
    assert first.save(tmp_path) == written
    assert second.save(tmp_path) == other
    assert [path.read_bytes() for path in written] == before
    assert len(list(tmp_path.iterdir())) == 6


def test_save_leaves_a_file_of_the_users_alone(tmp_path: Path) -> None:
    mine = tmp_path / "street.tags.json"
    mine.write_text("[]")
    annotate().save(tmp_path)
    assert mine.read_text() == "[]"


def test_save_makes_a_safe_name(tmp_path: Path) -> None:
    for path in ("a:b*c?.jpg", "x" * 300 + ".jpg", "...", None):
        for file in annotate(path=path).save(tmp_path):
            assert file.parent == tmp_path
            assert len(file.name) < 100
            assert not set(file.name) & set(':*?"<>|')


def test_save_falls_back_to_png_beyond_what_jpeg_holds(tmp_path: Path) -> None:
    written = annotate(size_hw=(1, 65_536)).save(tmp_path)
    assert written[2].name == "street.overlay.png"
    with PIL.Image.open(written[2]) as picture:
        assert picture.size == (65_536, 1)
