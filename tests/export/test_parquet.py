from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import yaml
from pycocotools import mask as coco_mask

from grounded_ram.annotation import Annotation
from grounded_ram.errors import MissingDependencyError
from grounded_ram.export import parquet
from grounded_ram.export.dataset import Dataset, key_of
from grounded_ram.export.parquet import export_parquet
from grounded_ram.images import load_image
from tests.hand_annotation import annotate, box_of, rectangle
from tests.hand_dataset import ODD, SHAPES, truth, write_dataset

# pycocotools' decode() predates numpy 2.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

SCORES = ("tag_score", "box_score", "mask_score", "label_score")


@pytest.fixture
def hugging_face(tmp_path: Path) -> Iterator[Any]:
    """Loads a folder as Hugging Face users do."""
    datasets = pytest.importorskip("datasets", reason="needs the extra 'datasets'")

    def load(folder: Path, **options: Any) -> Any:
        return datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"), **options)

    datasets.disable_progress_bars()
    yield load
    datasets.enable_progress_bars()


def test_without_pyarrow_the_message_says_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"grounded-ram\[datasets\]"):
        export_parquet(Dataset.of([annotate()]), tmp_path, pictures="none")


@pytest.mark.parametrize("masks", ["rle", "polygon"])
def test_datasets_loads_what_was_labelled(masks: Any, tmp_path: Path, hugging_face: Any) -> None:
    dataset = write_dataset(tmp_path / "pictures")
    export_parquet(dataset, tmp_path / "out", masks=masks)
    loaded = hugging_face(tmp_path / "out")
    assert list(loaded) == ["train", "val", "test"]
    expected = truth(dataset)
    rows = [(split, row) for split, part in loaded.items() for row in part]
    assert {row["file_name"]: split for split, row in rows} == dict(dataset.splits)
    for split, row in rows:
        assert loaded[split].features["objects"]["category"].feature.names == list(dataset.classes)
        picture = PIL.Image.open(tmp_path / "pictures" / row["file_name"])
        np.testing.assert_array_equal(np.array(row["image"]), np.array(picture))
        assert (row["width"], row["height"]) == picture.size
        objects = row["objects"]
        assert [dataset.classes[one] for one in objects["category"]] == [
            name for name, _ in expected[row["file_name"]]
        ]
        shown = zip(objects["segmentation"], objects["bbox"], objects["area"], strict=True)
        for (shape, box, area), (_, mask) in zip(shown, expected[row["file_name"]], strict=True):
            if masks == "polygon":
                shape = coco_mask.merge(coco_mask.frPyObjects(shape, *mask.shape))
            np.testing.assert_array_equal(coco_mask.decode(shape).astype(bool), mask)
            x1, y1, x2, y2 = box_of(mask)
            assert box == [x1, y1, x2 - x1, y2 - y1]
            assert area == mask.sum()


def test_scores_tags_and_captions_come_along(tmp_path: Path, hugging_face: Any) -> None:
    block = SHAPES["block"]
    annotation = annotate([("car", block), (ODD, block)], ungrounded=("beach",))
    found = annotation.detections
    told = {**found.data, "crop_score": np.array([np.nan, 0.25], np.float32)}
    annotation = replace(
        annotation, detections=replace(found, data=told), caption='a "car"\nand 猫'
    )
    export_parquet(Dataset.of([annotation, annotate()]), tmp_path / "out", pictures="none")
    row, empty = hugging_face(tmp_path / "out", split="train")
    assert "image" not in row
    for name in SCORES:
        np.testing.assert_allclose(row["objects"][name], found.data[name], atol=1e-6)
    assert row["objects"]["crop_score"] == [None, 0.25]
    assert row["objects"]["mask_stability"] == [None, None]
    assert row["tags"]["name"] == ["car", ODD, "beach"]
    assert row["tags"]["kind"] == ["object", "object", "scene"]
    np.testing.assert_allclose(row["tags"]["score"], annotation.tags.scores)
    assert row["caption"] == 'a "car"\nand 猫'
    assert row["sha256"] == annotation.image.sha256
    assert all(value == [] for value in empty["objects"].values())
    assert all(value == [] for value in empty["tags"].values())
    assert empty["caption"] == ""


def test_a_picture_comes_as_its_own_bytes_and_a_turned_one_upright(
    tmp_path: Path, hugging_face: Any
) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    gradient = np.linspace(0, 255, 40 * 60 * 3).reshape(40, 60, 3).astype(np.uint8)
    paths = tmp_path / "upright.jpg", tmp_path / "turned.jpg"
    PIL.Image.fromarray(gradient).save(paths[0])
    PIL.Image.fromarray(gradient).save(paths[1], exif=exif, quality=95, subsampling=0)
    facts = [load_image(path) for path in paths]
    annotations = [
        replace(
            annotate(size_hw=one.pixels.shape[:2]),
            pixels=None,
            image=replace(
                annotate(size_hw=one.pixels.shape[:2]).image,
                path=str(path),
                sha256=one.sha256,
                notes=one.notes,
            ),
        )
        for path, one in zip(paths, facts, strict=True)
    ]
    export_parquet(Dataset.of(annotations), tmp_path / "out")
    import datasets

    rows = hugging_face(tmp_path / "out", split="train")
    upright, turned = rows.cast_column("image", datasets.Image(decode=False))
    assert upright["image"] == {"bytes": paths[0].read_bytes(), "path": "upright.jpg"}
    picture = PIL.Image.open(io.BytesIO(turned["image"]["bytes"]))
    assert picture.size == (turned["width"], turned["height"]) == (40, 60)
    assert picture.getexif().get(0x0112, 1) == 1
    np.testing.assert_allclose(np.array(picture), facts[1].pixels, atol=6)


def many(count: int) -> Dataset:
    block = rectangle((9, 9), 1, 1, 4, 4)

    def read() -> Iterator[Annotation]:
        for i in range(count):
            yield annotate([("car", block)] * (i % 3), path=f"{i:03d}.jpg", size_hw=(9, 9), seed=i)

    return Dataset.reading(read)


@pytest.mark.parametrize(
    ("count", "groups"),
    [(1, [[1]]), (9, [[4, 4, 1]]), (10, [[4, 4, 2]]), (23, [[4, 4, 2], [4, 4, 2], [3]])],
)
def test_images_are_written_by_groups_and_shards(
    count: int,
    groups: list[list[int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    hugging_face: Any,
) -> None:
    import pyarrow.parquet

    monkeypatch.setattr(parquet, "GROUP_IMAGES", 4)
    monkeypatch.setattr(parquet, "SHARD_IMAGES", 10)
    export_parquet(many(count), tmp_path / "out", pictures="none")
    files = sorted((tmp_path / "out" / "data").iterdir())
    assert [file.name for file in files] == [f"train-{i:05d}.parquet" for i in range(len(groups))]
    for file, expected in zip(files, groups, strict=True):
        facts = pyarrow.parquet.ParquetFile(file).metadata
        assert [facts.row_group(i).num_rows for i in range(facts.num_row_groups)] == expected
    rows = hugging_face(tmp_path / "out", split="train")
    assert [row["file_name"] for row in rows] == [f"{i:03d}.jpg" for i in range(count)]


def test_large_pictures_end_a_group_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hugging_face: Any
) -> None:
    import pyarrow.parquet

    dataset = write_dataset(tmp_path / "pictures", splits=False)
    sizes = [(tmp_path / "pictures" / key_of(one.image)).stat().st_size for one in dataset]
    monkeypatch.setattr(parquet, "GROUP_BYTES", sizes[0] + 1)
    export_parquet(dataset, tmp_path / "out")
    (file,) = (tmp_path / "out" / "data").iterdir()
    assert pyarrow.parquet.ParquetFile(file).metadata.num_row_groups == 2


def test_a_split_without_images_is_not_there(tmp_path: Path, hugging_face: Any) -> None:
    splits = {"street.jpg": "train", "gone.jpg": "val"}
    export_parquet(
        replace(Dataset.of([annotate()]), splits=splits), tmp_path / "one", pictures="none"
    )
    assert list(hugging_face(tmp_path / "one")) == ["train"]
    export_parquet(Dataset.of([]), tmp_path / "none")
    assert [path.name for path in (tmp_path / "none").iterdir()] == ["README.md"]


def test_the_card_shows_names_and_splits(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra 'datasets'")
    name = "a|b *c* <i>\n_d_"
    objects = [(name, SHAPES["block"]), ("grass", SHAPES["ring"])]
    export_parquet(Dataset.of([annotate(objects)]), tmp_path, pictures="none")
    _, head, body = (tmp_path / "README.md").read_text("utf-8").split("---\n", 2)
    (config,) = yaml.safe_load(head)["configs"]
    assert config["data_files"] == [
        {"split": "train", "path": "data/train-[0-9][0-9][0-9][0-9][0-9].parquet"}
    ]
    assert r"| a\|b \*c\* &lt;i&gt; \_d\_ | object | 1 |" in body
    assert "| grass | stuff | 1 |" in body
    assert "| train | 1 |" in body
