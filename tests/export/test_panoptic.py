from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from grounded_ram.annotation import Annotation
from grounded_ram.export.dataset import Dataset, key_of
from grounded_ram.export.panoptic import export_panoptic, to_panoptic
from tests.hand_annotation import annotate, box_of, rectangle
from tests.hand_dataset import ODD, SHAPES, SIZE, Mask, write_dataset


def read(folder: Path, split: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the JSON and the ids of each picture's pixels."""
    told = json.loads((folder / "annotations" / f"panoptic_{split}.json").read_bytes())
    names = {image["id"]: image["file_name"] for image in told["images"]}
    ids = {}
    for one in told["annotations"]:
        png = PIL.Image.open(folder / "annotations" / f"panoptic_{split}" / one["file_name"])
        assert (png.format, png.mode) == ("PNG", "RGB")
        ids[names[one["image_id"]]] = np.array(png).astype(int) @ [1, 256, 256**2]
    return told, ids


def scored(annotation: Annotation, *scores: float) -> Annotation:
    found = annotation.detections
    data = {**found.data, "label_score": np.array(scores, np.float32)}
    return replace(annotation, detections=replace(found, data=data))


def painted(annotation: Annotation) -> dict[int, Mask]:
    """Return what is seen of each object, painted one by one, the best last."""
    scores = annotation.detections.data["label_score"]
    rows = sorted(range(len(scores)), key=lambda row: (-scores[row], row))
    free = np.ones(annotation.image.size_hw, bool)
    seen = {}
    for row in rows:
        mask = annotation.masks[row].astype(bool) & free
        free &= ~mask
        if mask.any():
            seen[row] = mask
    return seen


def test_every_pixel_belongs_to_the_best_object_there(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "pictures")
    export_panoptic(dataset, tmp_path / "out")
    for annotation in dataset:
        name, split = key_of(annotation.image), dataset.split_of(annotation)
        told, ids = read(tmp_path / "out", split)
        categories = {one["id"]: one["name"] for one in told["categories"]}
        numbers = {one["file_name"]: one["id"] for one in told["images"]}
        (info,) = [one for one in told["annotations"] if one["image_id"] == numbers[name]]
        seen = painted(annotation)
        assert len(info["segments_info"]) == len(seen)
        nowhere = np.ones(annotation.image.size_hw, bool)
        for segment, (row, mask) in zip(info["segments_info"], sorted(seen.items()), strict=True):
            np.testing.assert_array_equal(ids[name] == segment["id"], mask)
            nowhere &= ~mask
            assert (
                categories[segment["category_id"]] == annotation.detections.data["class_name"][row]
            )
            x1, y1, x2, y2 = box_of(mask)
            assert segment["bbox"] == [x1, y1, x2 - x1, y2 - y1]
            assert segment["area"] == mask.sum()
            assert segment["iscrowd"] == 0
        assert not ids[name][nowhere].any()
        assert (tmp_path / "out" / "images" / split / name).exists()


def test_the_files_are_named_after_their_split(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "pictures")
    export_panoptic(dataset, tmp_path / "out", pictures="none")
    export_panoptic(replace(dataset, splits={}), tmp_path / "all", pictures="none")
    assert [len(read(tmp_path / "out", s)[1]) for s in ("train", "val", "test")] == [2, 1, 1]
    assert len(read(tmp_path / "all", "train")[1]) == 4
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["annotations"]


def test_higher_scores_lie_on_top_and_hidden_objects_are_left_out() -> None:
    block = SHAPES["block"]
    part = rectangle(SIZE, 10, 20, 20, 50)
    names = [("under", block), ("over", part), ("same", part), ("hidden", part)]
    _, segments = to_panoptic(scored(annotate(names), 0.5, 0.9, 0.9, 0.6))
    assert [(one["category_id"], one["area"], one["score"]) for one in segments] == [
        ("under", 300, 0.5),
        ("over", 300, 0.9),
    ]
    _, segments = to_panoptic(scored(annotate(names), 0.95, 0.9, 0.9, 0.6))
    assert [one["category_id"] for one in segments] == ["under"]


def test_stuff_of_one_name_is_one_segment() -> None:
    left, right = rectangle(SIZE, 0, 0, 9, 9), rectangle(SIZE, 0, 50, 9, 60)
    objects = [("grass", left), ("car", left), ("car", right), ("grass", right), ("beach", right)]
    annotation = scored(annotate(objects), 0.7, 0.1, 0.2, 0.8, 0.3)
    colours, segments = to_panoptic(annotation)
    assert [(one["category_id"], one["area"], one["bbox"], one["score"]) for one in segments] == [
        ("grass", 171, [0, 0, 60, 9], 0.8)
    ]
    assert (colours[left] == colours[right][0]).all()


def test_kinds_say_what_is_a_thing(tmp_path: Path) -> None:
    objects = [(name, SHAPES["block"]) for name in ("grass", "car", "beach", ODD)]
    export_panoptic(Dataset.of([annotate(objects)]), tmp_path, pictures="none")
    told, _ = read(tmp_path, "train")
    assert [(one["id"], one["name"], one["isthing"]) for one in told["categories"]] == [
        (1, "beach", 0),
        (2, "car", 1),
        (3, "grass", 0),
        (4, ODD, 1),
    ]
    assert all(len(one["color"]) == 3 for one in told["categories"])


def test_ids_of_many_objects_differ_and_can_be_told_by_eye() -> None:
    height = 400
    objects = [("x", rectangle((height, 3), row, 0, row + 1, 3)) for row in range(height)]
    colours, segments = to_panoptic(annotate(objects))
    assert len({one["id"] for one in segments}) == height
    assert len(np.unique(colours.reshape(-1, 3), axis=0)) == height
    steps = np.abs(np.diff(colours[:, 0].astype(int), axis=0)).max(axis=1)
    assert steps.min() > 30


@pytest.mark.parametrize("keys", [("a.jpg", "a.png", "b/a.jpg"), ("a.png", "a.jpg", "a-2.jpg")])
def test_pictures_that_differ_in_their_endings_have_a_png_each(
    keys: tuple[str, ...], tmp_path: Path
) -> None:
    def image(seed: int, key: str) -> Annotation:
        one = annotate([("x", rectangle((9, 9), seed, 0, 9, 9))], seed=seed)
        return replace(one, image=replace(one.image, file_name=key))

    dataset = Dataset.of([image(seed, key) for seed, key in enumerate(keys)])
    export_panoptic(dataset, tmp_path, pictures="none")
    told, ids = read(tmp_path, "train")
    assert told["annotations"][0]["file_name"] == "a.png"
    assert [int((ids[key] > 0).sum()) for key in keys] == [81, 72, 63]


def test_nothing_found(tmp_path: Path) -> None:
    export_panoptic(Dataset.of([annotate()]), tmp_path, pictures="none")
    told, ids = read(tmp_path, "train")
    assert told["categories"] == told["annotations"][0]["segments_info"] == []
    assert not ids["street.jpg"].any()
    export_panoptic(Dataset.of([]), tmp_path / "none", pictures="none")
    assert read(tmp_path / "none", "train")[0]["images"] == []


@pytest.mark.filterwarnings("ignore:The image decoding and encoding:DeprecationWarning")
def test_transformers_reads_the_same_segments(tmp_path: Path) -> None:
    from transformers import DetrImageProcessor

    dataset = replace(write_dataset(tmp_path / "pictures"), splits={})
    export_panoptic(dataset, tmp_path / "out", pictures="copy")
    told, _ = read(tmp_path / "out", "train")
    processor = DetrImageProcessor(format="coco_panoptic", do_resize=False, do_pad=False)
    names = {image["id"]: image["file_name"] for image in told["images"]}
    for info, annotation in zip(told["annotations"], dataset, strict=True):
        target = {"image_id": 1, **info}
        picture = PIL.Image.open(tmp_path / "out" / "images" / "train" / names[info["image_id"]])
        (labels,) = processor(
            images=picture.convert("RGB"),
            annotations=target,
            masks_path=tmp_path / "out" / "annotations" / "panoptic_train",
            return_tensors="pt",
        )["labels"]
        seen = [mask for _, mask in sorted(painted(annotation).items())]
        assert len(labels["masks"]) == len(seen)
        for mask, area, expected in zip(labels["masks"], labels["area"], seen, strict=True):
            np.testing.assert_array_equal(np.asarray(mask, bool), expected)
            assert area == expected.sum()
