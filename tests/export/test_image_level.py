from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pycocotools.coco import COCO

from grounded_ram.export.coco_tasks import write_task
from grounded_ram.export.dataset import Dataset, key_of
from grounded_ram.export.image_level import export_captions, export_tags
from tests.hand_annotation import annotate
from tests.hand_dataset import ODD, write_dataset

CAPTION = f'a "{ODD}"\nand a <car>'


def told(folder: Path) -> Dataset:
    """A dataset with captions, and tags that no object has."""
    dataset = write_dataset(folder / "pictures")
    annotations = list(dataset)
    annotations[0] = replace(annotations[0], caption=CAPTION)
    annotations[2] = replace(annotations[2], caption="  ")
    with_tags = annotate(ungrounded=("beach", ODD), path=annotations[2].image.path)
    annotations[2] = replace(annotations[2], tags=with_tags.tags)
    return replace(Dataset.of(annotations), splits=dataset.splits)


def load(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def by_image(coco: COCO) -> dict[str, list[dict[str, Any]]]:
    return {
        image["file_name"]: coco.loadAnns(coco.getAnnIds(imgIds=[number]))
        for number, image in coco.imgs.items()
    }


def test_captions_of_each_split_are_read_by_pycocotools(tmp_path: Path) -> None:
    dataset = told(tmp_path)
    export_captions(dataset, tmp_path / "out")
    for split in ("train", "val", "test"):
        coco = load(tmp_path / "out" / "annotations" / f"captions_{split}.json")
        expected = {
            key_of(one.image): [CAPTION] if one.caption == CAPTION else []
            for one in dataset
            if dataset.split_of(one) == split
        }
        found = by_image(coco)
        assert {key: [one["caption"] for one in items] for key, items in found.items()} == expected
        for image in coco.imgs.values():
            picture = tmp_path / "out" / "images" / split / image["file_name"]
            assert picture.read_bytes() == (tmp_path / "pictures" / image["file_name"]).read_bytes()
    assert "categories" not in coco.dataset


def test_tags_of_each_image_are_read_by_pycocotools(tmp_path: Path) -> None:
    dataset = replace(told(tmp_path), splits={})
    export_tags(dataset, tmp_path / "out", pictures="none")
    coco = load(tmp_path / "out" / "annotations" / "labels_train.json")
    names = [one["name"] for one in coco.dataset["categories"]]
    assert names == sorted(names)
    assert list(coco.cats) == list(range(1, len(names) + 1))
    assert coco.loadCats(coco.getCatIds(catNms=["beach"]))[0]["supercategory"] == "scene"
    assert {"ghost", "noise", "car", ODD} < set(names)
    found = by_image(coco)
    for annotation in dataset:
        tags = annotation.tags
        assert [
            (coco.cats[one["category_id"]]["name"], one["score"], one["kind"])
            for one in found[key_of(annotation.image)]
        ] == [
            (name, pytest.approx(float(score), abs=1e-6), kind)
            for name, score, kind in zip(tags.names, tags.scores, tags.kinds, strict=True)
        ]
    assert list(coco.anns) == list(range(1, sum(map(len, found.values())) + 1))
    assert (coco.imgs[4]["height"], coco.imgs[4]["width"]) == (50, 30)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["annotations"]


def test_the_categories_are_the_same_in_every_split(tmp_path: Path) -> None:
    export_tags(told(tmp_path), tmp_path / "out", pictures="none")
    files = [
        tmp_path / "out" / "annotations" / f"labels_{s}.json" for s in ("train", "val", "test")
    ]
    train, val, test = (json.loads(file.read_bytes()) for file in files)
    assert train["categories"] == val["categories"] == test["categories"]
    assert [one["id"] for one in test["annotations"]] == [1, 2]


@pytest.mark.parametrize("export", [export_captions, export_tags])
def test_nothing_at_all(export: Any, tmp_path: Path) -> None:
    export(Dataset.of([]), tmp_path / "none")
    (file,) = (tmp_path / "none" / "annotations").iterdir()
    assert load(file).dataset["images"] == load(file).dataset["annotations"] == []
    export(Dataset.of([annotate()]), tmp_path / "one", pictures="none")
    (file,) = (tmp_path / "one" / "annotations").iterdir()
    assert len(load(file).imgs) == 1
    assert load(file).anns == {}


def test_no_half_file_stays(tmp_path: Path) -> None:
    def fail(annotation: object) -> list[Any]:
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        write_task("labels", Dataset.of([annotate()]), tmp_path, told=fail, pictures="none")
    assert list((tmp_path / "annotations").iterdir()) == []
