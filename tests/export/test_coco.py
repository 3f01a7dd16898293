from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import supervision as sv
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from grounded_ram.annotation import Annotation
from grounded_ram.errors import InputError
from grounded_ram.export.coco import to_coco, write_coco
from tests.hand_annotation import annotate, box_of
from tests.hand_dataset import SHAPES, SIZE

# pycocotools' decode() predates numpy 2.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


def load(data: dict[str, Any], folder: Path) -> COCO:
    path = folder / "coco.json"
    path.write_text(json.dumps(data, allow_nan=False))
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("shape", SHAPES)
def test_rle_decodes_to_the_same_pixels(shape: str, tmp_path: Path) -> None:
    mask = SHAPES[shape]
    coco = load(to_coco([annotate([("thing", mask)])]), tmp_path)
    item = coco.anns[1]
    np.testing.assert_array_equal(coco.annToMask(item).astype(bool), mask)
    assert isinstance(item["segmentation"]["counts"], str)
    expected = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    assert item["segmentation"]["counts"].encode() == expected["counts"]
    x1, y1, x2, y2 = box_of(mask)
    assert item["bbox"] == [x1, y1, x2 - x1, y2 - y1]
    assert item["area"] == mask.sum()
    assert item["iscrowd"] == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_polygons_rasterise_to_the_same_pixels(shape: str, tmp_path: Path) -> None:
    mask = SHAPES[shape]
    coco = load(to_coco([annotate([("thing", mask)])], masks="polygon"), tmp_path)
    item = coco.anns[1]
    assert iou(coco.annToMask(item).astype(bool), mask) == 1
    assert item["area"] == mask.sum()
    assert all(len(polygon) >= 8 and len(polygon) % 2 == 0 for polygon in item["segmentation"])


def test_polygons_count_parts_and_cut_holes() -> None:
    def polygons(mask: np.ndarray) -> list[list[float]]:
        return annotate([("x", mask)]).to_coco(masks="polygon")["annotations"][0]["segmentation"]

    assert polygons(SHAPES["one pixel"]) == [[95, 63, 95, 64, 96, 64, 96, 63]]
    assert len(polygons(SHAPES["two parts"])) == 2
    assert len(polygons(SHAPES["ring"])) == 2
    assert len(polygons(SHAPES["two holes"])) == 3
    # Every polygon by itself, filled, covers nothing but the mask.
    for mask in (SHAPES["ring"], SHAPES["two holes"], SHAPES["closed by a corner"]):
        for polygon in polygons(mask):
            drawn = coco_mask.decode(coco_mask.frPyObjects([polygon], *SIZE))[..., 0].astype(bool)
            assert not (drawn & ~mask).any()


def test_polygons_have_corners_only_where_they_turn() -> None:
    block = annotate([("x", SHAPES["block"])]).to_coco(masks="polygon")
    (polygon,) = block["annotations"][0]["segmentation"]
    assert sorted(zip(polygon[::2], polygon[1::2], strict=True)) == [
        (20, 10),
        (20, 30),
        (50, 10),
        (50, 30),
    ]


def test_an_image_without_objects_is_listed() -> None:
    data = to_coco([annotate(), annotate([("car", SHAPES["block"])], path="b.jpg")])
    assert [image["id"] for image in data["images"]] == [1, 2]
    assert [item["image_id"] for item in data["annotations"]] == [2]
    assert data["images"][0]["height"] == 40
    assert data["images"][0]["width"] == 60


def test_no_images_at_all() -> None:
    data = to_coco([])
    assert data["images"] == data["annotations"] == data["categories"] == data["licenses"] == []
    assert data["info"]["run"] == {}
    json.dumps(data)


def test_an_empty_mask_is_skipped_and_ids_stay_dense() -> None:
    empty = np.zeros(SIZE, bool)
    data = annotate([("ghost", empty), ("car", SHAPES["block"])]).to_coco()
    assert [item["id"] for item in data["annotations"]] == [1]
    assert [category["name"] for category in data["categories"]] == ["car"]


def test_ids_count_over_all_images_and_categories_are_sorted() -> None:
    block = SHAPES["block"]
    data = to_coco(
        [
            annotate([("tree", block), ("grass", block)], path="a.jpg", seed=1),
            annotate([("car", block), ("tree", block)], path="b.jpg", seed=2),
        ]
    )
    assert data["categories"] == [
        {"id": 1, "name": "car", "supercategory": "object"},
        {"id": 2, "name": "grass", "supercategory": "stuff"},
        {"id": 3, "name": "tree", "supercategory": "object"},
    ]
    assert [item["id"] for item in data["annotations"]] == [1, 2, 3, 4]
    assert [item["category_id"] for item in data["annotations"]] == [3, 2, 1, 3]


def test_all_scores_are_kept() -> None:
    item = annotate([("car", SHAPES["block"])]).to_coco()["annotations"][0]
    assert item["score"] == item["box_score"] == 0.7
    assert item["tag_score"] == 0.9
    assert item["mask_score"] == 0.5
    assert item["label_score"] == 0.8
    assert not {"crop_score", "mask_stability", "alternatives"} & set(item)


def test_what_is_known_of_some_objects_is_told_of_those() -> None:
    annotation = annotate([("car", SHAPES["block"]), ("car", SHAPES["ring"])])
    found = annotation.detections
    others = np.empty(2, object)
    others[:] = [(("truck", 0.25),), ()]
    told = {"crop_score": np.array([np.nan, 0.75], np.float32), "alternatives": others}
    found = replace(found, data={**found.data, **told})
    first, second = replace(annotation, detections=found).to_coco()["annotations"]
    assert "crop_score" not in first
    assert second["crop_score"] == 0.75
    assert first["alternatives"] == {"truck": 0.25}
    assert "alternatives" not in second


def test_every_value_is_plain_python() -> None:
    annotation = annotate([("car", SHAPES["block"])])
    run = {"box": np.float32(0.5), "names": np.array(["a"]), "path": Path("x"), "bad": float("nan")}
    data = replace(annotation, run=run).to_coco(masks="polygon")

    def walk(value: object) -> Iterator[type]:
        yield type(value)
        if isinstance(value, (dict, list)):
            for item in value.values() if isinstance(value, dict) else value:
                yield from walk(item)

    assert set(walk(data)) <= {dict, list, str, int, float, type(None)}
    assert data["info"]["run"] == {"box": 0.5, "names": ["a"], "path": "x", "bad": None}
    try:
        assert data["info"]["version"] == version("grounded-ram")
    except PackageNotFoundError:
        assert data["info"]["version"] == "unknown"


def test_info_keeps_what_all_runs_share() -> None:
    one, two = annotate(path="a.jpg", seed=1), annotate(path="b.jpg", seed=2)
    one, two = (
        replace(one, run={"preset": "tiny", "s": 1}),
        replace(two, run={"preset": "tiny", "s": 2}),
    )
    assert to_coco([one, two])["info"]["run"] == {"preset": "tiny"}


def test_file_names_are_relative_to_the_root(tmp_path: Path) -> None:
    def name(path: str | None, root: str | Path | None) -> str:
        return to_coco([annotate(path=path)], root=root)["images"][0]["file_name"]

    assert name("photos/day 1/a.jpg", "photos") == "day 1/a.jpg"
    assert name("photos/day 1/a.jpg", None) == "a.jpg"
    assert name(str(tmp_path / "x" / "a.jpg"), tmp_path) == "x/a.jpg"
    assert name("https://example.org/x/a.jpg", "photos") == "a.jpg"
    assert name(None, "photos").endswith(".png")
    with pytest.raises(InputError, match="not inside root"):
        name("elsewhere/a.jpg", "photos")


def test_two_images_of_one_name_need_a_root() -> None:
    images = [annotate(path="x/a.jpg", seed=1), annotate(path="y/a.jpg", seed=2)]
    with pytest.raises(InputError, match="root="):
        to_coco(images)
    names = [image["file_name"] for image in to_coco(images, root=".")["images"]]
    assert names == ["x/a.jpg", "y/a.jpg"]
    assert len(to_coco([images[0], images[0]])["images"]) == 2  # the same image is no mistake


def test_masks_must_be_a_known_format() -> None:
    with pytest.raises(InputError, match="rle"):
        annotate().to_coco(masks="png")


@pytest.mark.parametrize("masks", ["rle", "polygon"])
def test_supervision_reads_the_same_objects(tmp_path: Path, masks: str) -> None:
    names = ["block", "two parts", "ring"]
    annotations = [
        annotate([(name, SHAPES[name]) for name in names], path=str(tmp_path / "a.png")),
        annotate(path=str(tmp_path / "b.png")),
    ]
    for annotation in annotations:
        PIL.Image.fromarray(annotation.pixels).save(annotation.image.path)
    write_coco(annotations, tmp_path / "coco.json", masks=masks)
    dataset = sv.DetectionDataset.from_coco(str(tmp_path), str(tmp_path / "coco.json"))
    assert dataset.classes == sorted(names)
    found = dataset.annotations[str((tmp_path / "a.png").resolve())]
    assert [dataset.classes[i] for i in found.class_id] == names
    np.testing.assert_array_equal(found.xyxy, [box_of(SHAPES[name]) for name in names])
    for mask, name in zip(found.mask, names, strict=True):
        assert iou(mask, SHAPES[name]) > (0.9 if masks == "polygon" else 0.999)


def some(count: int) -> list[Annotation]:
    shapes = list(SHAPES.values())
    return [
        annotate(
            [("tree", shapes[i % 9]), (f"é{i % 3}", shapes[0])][: i % 3], path=f"{i}.jpg", seed=i
        )
        for i in range(count)
    ]


@pytest.mark.parametrize("masks", ["rle", "polygon"])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_the_writer_writes_what_to_coco_returns(tmp_path: Path, count: int, masks: Any) -> None:
    path = tmp_path / "new folder" / "coco.json"
    assert write_coco(iter(some(count)), path, masks=masks) == count
    assert json.loads(path.read_bytes()) == to_coco(some(count), masks=masks)
    assert [file.name for file in path.parent.iterdir()] == ["coco.json"]


def test_the_writer_holds_one_image_at_a_time(tmp_path: Path) -> None:
    import gc
    import weakref

    alive: list[weakref.ref[Annotation]] = []

    def stream() -> Iterator[Annotation]:
        for i in range(4):
            annotation = annotate([("car", SHAPES["block"])], path=f"{i}.jpg", seed=i)
            alive.append(weakref.ref(annotation))
            yield annotation
            del annotation
            gc.collect()
            assert sum(ref() is not None for ref in alive) <= 1

    write_coco(stream(), tmp_path / "coco.json")
    assert len(alive) == 4


def test_a_failing_stream_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    path.write_text("old")

    def stream() -> Iterator[Annotation]:
        yield annotate()
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        write_coco(stream(), path)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["coco.json"]
