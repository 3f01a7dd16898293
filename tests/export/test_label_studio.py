from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from grounded_ram.errors import InputError
from grounded_ram.export import label_studio, shapes
from grounded_ram.export.dataset import Dataset
from grounded_ram.export.label_studio import brush_rle, export_label_studio
from tests.hand_annotation import annotate, rectangle
from tests.hand_dataset import ODD, SHAPES, SIZE, Mask, truth, write_dataset

# pycocotools' decode() predates numpy 2.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


def decode(packed: list[int], size_hw: tuple[int, int]) -> Mask:
    """Read the run lengths bit by bit, as their definition says."""
    bits = "".join(f"{byte:08b}" for byte in packed)
    place = 0

    def take(count: int) -> int:
        nonlocal place
        place += count
        return int(bits[place - count : place], 2)

    total, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < total:
        is_run = take(1)
        length = take(sizes[take(2)]) + 1
        values += [take(word)] * length if is_run else [take(word) for _ in range(length)]
    assert place <= len(bits) < place + 8
    rgba = np.reshape(values, (*size_hw, 4))
    assert (rgba == rgba[..., :1]).all()
    assert set(values) <= {0, 255}
    return rgba[..., 3] == 255


def region(mask: Mask) -> shapes.Region:
    found = shapes.region_of(annotate([("x", mask)]).masks, 0)
    assert found is not None
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_brushes_decode_to_the_same_pixels(shape: str) -> None:
    np.testing.assert_array_equal(
        decode(brush_rle(region(SHAPES[shape]), SIZE), SIZE), SHAPES[shape]
    )


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 64, 65, 16384, 16385, 40000])
def test_runs_of_every_length_come_back(width: int) -> None:
    """Lengths around the limits of each size of code, in values: four for each pixel."""
    mask = np.zeros((3, width + 1), bool)
    mask[1, :width] = True
    np.testing.assert_array_equal(decode(brush_rle(region(mask), mask.shape), mask.shape), mask)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0))
def test_any_mask_comes_back(height: int, width: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < 0.5
    mask[seed % height, seed % width] = True
    np.testing.assert_array_equal(decode(brush_rle(region(mask), mask.shape), mask.shape), mask)


def read(folder: Path) -> list[Any]:
    return [
        task
        for file in sorted(folder.glob("tasks-*.json"))
        for task in json.loads(file.read_bytes())
    ]


def results(task: Any, kind: str) -> list[Any]:
    (prediction,) = task["predictions"]
    return [item for item in prediction["result"] if item["type"] == kind]


def key(task: Any) -> str:
    url = urlsplit(task["data"]["image"])
    assert url.path == "/data/local-files/"
    return parse_qs(url.query)["d"][0].removeprefix("images/")


def test_every_image_is_a_task_and_every_mask_a_brush(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "pictures")
    export_label_studio(dataset, tmp_path / "out")
    tasks = read(tmp_path / "out")
    expected = truth(dataset)
    assert [key(task) for task in tasks] == list(expected)
    for task in tasks:
        assert (tmp_path / "out" / "images" / key(task)).read_bytes() == (
            tmp_path / "pictures" / key(task)
        ).read_bytes()
        assert task["data"]["split"] == dataset.splits[key(task)]
        brushes = results(task, "brushlabels")
        assert [item["value"]["brushlabels"] for item in brushes] == [
            [name] for name, _ in expected[key(task)]
        ]
        for item, (_, mask) in zip(brushes, expected[key(task)], strict=True):
            assert (item["original_height"], item["original_width"]) == mask.shape
            np.testing.assert_array_equal(decode(item["value"]["rle"], mask.shape), mask)
    ids = [item["id"] for task in tasks for item in task["predictions"][0]["result"]]
    assert len(set(ids)) == len(ids) > 10


def test_polygons_give_back_the_same_pixels(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "pictures")
    export_label_studio(dataset, tmp_path / "out", masks="polygon", pictures="none")
    assert not (tmp_path / "out" / "images").exists()
    for task in read(tmp_path / "out"):
        by_object: dict[str, list[Any]] = {}
        for item in results(task, "polygonlabels"):
            by_object.setdefault(item["id"].rpartition("-")[0], []).append(item)
        for items, (name, mask) in zip(by_object.values(), truth(dataset)[key(task)], strict=True):
            height, width = mask.shape
            outlines = [
                (np.array(item["value"]["points"]) * [width, height] / 100).ravel().tolist()
                for item in items
            ]
            drawn = coco_mask.decode(
                coco_mask.merge(coco_mask.frPyObjects(outlines, height, width))
            )
            np.testing.assert_array_equal(drawn, mask)
            assert all(item["value"]["polygonlabels"] == [name] for item in items)


def test_scores_and_the_model_are_told() -> None:
    block = SHAPES["block"]
    annotation = annotate([("car", SHAPES["two parts"]), ("dog", block), ("gone", block & False)])
    annotation = replace(annotation, run={"version": "1.2", "preset": "best"})
    for masks, ids in (("rle", ["7-0-0", "7-1-0"]), ("polygon", ["7-0-0", "7-0-1", "7-1-0"])):
        task = label_studio.to_task(annotation, 7, masks)
        (prediction,) = task["predictions"]
        assert prediction["model_version"] == "grounded-ram 1.2 best"
        regions = [item for item in prediction["result"] if item["from_name"] == "label"]
        assert [item["id"] for item in regions] == ids
        assert [item["score"] for item in regions] == [0.8] * (len(ids) - 1) + [0.75]
        assert prediction["score"] == 0.775  # of objects, however many parts they have
    assert task["data"]["tag_scores"] == {"car": 0.9, "dog": 0.85, "gone": 0.8}


def test_an_image_without_anything_has_no_score_and_no_results() -> None:
    (prediction,) = label_studio.to_task(annotate(), 1)["predictions"]
    assert prediction == {"model_version": "grounded-ram by hand", "result": []}


def test_the_config_names_all_that_the_tasks_use(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "pictures", splits=False)
    first, *others = dataset
    told = replace(
        annotate([(ODD, SHAPES["block"])], ungrounded=("beach", "a\tb"), path=first.image.path),
        image=replace(first.image, file_name="b.png"),
        caption='A "car"\n& <a> tree',
    )
    export_label_studio(Dataset.of([told, *others]), tmp_path / "out")
    view = ET.parse(tmp_path / "out" / "config.xml").getroot()
    assert view.find("Image").attrib["value"] == "$image"
    labels = {label.attrib["value"] for label in view.iterfind("BrushLabels/Label")}
    choices = {
        (kind.attrib["value"], name.attrib["value"])
        for kind in view.iterfind("Taxonomy/Choice")
        for name in kind
    }
    controls = {one.attrib["name"] for one in view}
    tasks = read(tmp_path / "out")
    assert ODD in labels
    assert {("scene", "beach"), ("object", "a\tb"), ("object", "ghost")} <= choices
    for task in tasks:
        for item in task["predictions"][0]["result"]:
            assert item["from_name"] in controls
            assert item["to_name"] == "image"
            assert set(item["value"].get("brushlabels", ())) <= labels
            assert {tuple(path) for path in item["value"].get("taxonomy", ())} <= choices
    assert results(tasks[0], "textarea")[0]["value"] == {"text": ['A "car"\n& <a> tree']}
    assert [len(results(task, "taxonomy")) for task in tasks] == [1, 1, 0, 1]
    assert "split" not in tasks[0]["data"]


def test_without_captions_none_is_asked_for(tmp_path: Path) -> None:
    export_label_studio(Dataset.of([annotate()]), tmp_path, masks="polygon", pictures="none")
    view = ET.parse(tmp_path / "config.xml").getroot()
    assert [one.tag for one in view] == ["Image", "PolygonLabels"]


def test_a_name_that_xml_cannot_hold_is_refused(tmp_path: Path) -> None:
    dataset = Dataset.of([annotate(ungrounded=("bell\a",))])
    with pytest.raises(InputError, match=r"'\\x07'.*rename"):
        export_label_studio(dataset, tmp_path, pictures="none")


def test_tasks_are_cut_into_files_that_can_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_studio, "FILE_BYTES", 1000)
    block = rectangle((9, 9), 1, 1, 2, 2)
    images = [annotate([("car", block)], path=f"{i}.jpg", seed=i) for i in range(7)]
    export_label_studio(Dataset.of(images), tmp_path / "some", pictures="none")
    files = sorted((tmp_path / "some").glob("tasks-*.json"))
    assert 1 < len(files) < 7
    assert all(file.stat().st_size < 2000 for file in files)
    assert [key(task) for task in read(tmp_path / "some")] == [f"{i}.jpg" for i in range(7)]
    export_label_studio(Dataset.of([]), tmp_path / "none", pictures="none")
    assert [json.loads(f.read_bytes()) for f in (tmp_path / "none").glob("*.json")] == [[]]
