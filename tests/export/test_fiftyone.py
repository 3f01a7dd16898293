"""What is in the files; ``tests/readers/test_fiftyone.py`` asks FiftyOne itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from grounded_ram.export.coco import to_coco
from grounded_ram.export.dataset import Dataset, key_of
from grounded_ram.export.fiftyone import export_fiftyone
from tests.hand_annotation import annotate
from tests.hand_dataset import ODD, write_dataset


@pytest.mark.parametrize("masks", ["rle", "polygon"])
def test_a_folder_holds_objects_tags_and_pictures(tmp_path: Path, masks: str) -> None:
    dataset = write_dataset(tmp_path / "pictures", splits=False)
    export_fiftyone(dataset, tmp_path / "out", masks=masks)
    labels = json.loads((tmp_path / "out" / "labels.json").read_bytes())
    expected = to_coco(list(dataset), masks=masks)
    assert labels["images"] == expected["images"]
    assert [category["name"] for category in labels["categories"]] == list(dataset.classes)
    for one, other in zip(labels["annotations"], expected["annotations"], strict=True):
        assert one["segmentation"] == other["segmentation"]
    tags = json.loads((tmp_path / "out" / "tags.json").read_bytes())["labels"]
    files = json.loads((tmp_path / "out" / "files.json").read_bytes())
    for annotation in dataset:
        key = key_of(annotation.image)
        assert [one["label"] for one in tags[key]] == list(annotation.tags.names)
        picture = tmp_path / "out" / files[f"{key}."]
        assert picture == tmp_path / "out" / "data" / key
        assert picture.read_bytes() == (tmp_path / "pictures" / key).read_bytes()


def test_tags_have_scores_and_kinds(tmp_path: Path) -> None:
    export_fiftyone(Dataset.of([annotate(ungrounded=("beach", ODD))]), tmp_path, pictures="none")
    assert json.loads((tmp_path / "tags.json").read_bytes()) == {
        "labels": {
            "street.jpg": [
                {"label": "beach", "confidence": 0.9, "attributes": {"kind": "scene"}},
                {"label": ODD, "confidence": 0.8, "attributes": {"kind": "object"}},
            ]
        }
    }
    assert not (tmp_path / "data").exists()


def test_each_split_has_a_folder(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "pictures")
    export_fiftyone(dataset, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["test", "train", "val"]
    for split in dataset.split_names:
        folder = tmp_path / "out" / split
        keys = [key_of(one.image) for one in dataset if dataset.split_of(one) == split]
        labels = json.loads((folder / "labels.json").read_bytes())
        assert [image["file_name"] for image in labels["images"]] == keys
        assert list(json.loads((folder / "tags.json").read_bytes())["labels"]) == keys
        assert [category["name"] for category in labels["categories"]] == list(dataset.classes)


def test_no_images(tmp_path: Path) -> None:
    export_fiftyone(replace(Dataset.of([])), tmp_path)
    assert json.loads((tmp_path / "tags.json").read_bytes()) == {"labels": {}}
    assert json.loads((tmp_path / "files.json").read_bytes()) == {}
    assert json.loads((tmp_path / "labels.json").read_bytes())["images"] == []
