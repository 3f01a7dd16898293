"""What ultralytics itself makes of our YOLO datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grounded_ram.export.dataset import Dataset
from grounded_ram.export.yolo import export_yolo_detect, export_yolo_segment
from tests.hand_annotation import box_of
from tests.hand_dataset import SHAPES, Mask, iou, truth, write_dataset
from tests.readers.asking import ask
from tests.readers.conftest import Reader

NEEDED = ("ultralytics>=8.3", "ultralytics-thop>=2", "psutil>=5.8", "polars>=0.20")

READ = """
import os
os.environ.update(YOLO_OFFLINE="true", YOLO_CONFIG_DIR=os.getcwd(), YOLO_VERBOSE="false")
import numpy as np
from ultralytics.data import utils
from ultralytics.data.dataset import YOLODataset
utils.check_font = lambda *_: None  # would be downloaded to draw labels
file, task, *splits = sys.argv[1:]
data = utils.check_det_dataset(file)
found = {}
for split in splits:
    dataset = YOLODataset(img_path=data[split], data=data, task=task, augment=False)
    for one in dataset.labels:
        height, width = one["shape"]
        size = np.array([width, height], np.float32)
        masks = [utils.polygon2mask((height, width), [line.ravel()])
                 for line in (segment * size for segment in one["segments"])]
        boxes = one["bboxes"] * np.tile(size, 2)
        name = str(Path(one["im_file"]).relative_to(data[split]).as_posix())
        found[f"{split}/{name}"] = {
            "names": [data["names"][int(number)] for number in one["cls"].ravel()],
            "boxes": np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2,
                                     boxes[:, :2] + boxes[:, 2:] / 2], 1).tolist(),
            "masks": [mask.tolist() for mask in masks],
        }
answer({"found": found, "names": data["names"], "val": Path(data["val"]).name})
"""


@pytest.fixture
def ultralytics(reader: Reader) -> Path:
    return reader("ultralytics", NEEDED, outer=True)


def expected(dataset: Dataset) -> dict[str, list[tuple[str, Mask]]]:
    splits = dataset.splits
    return {f"{splits.get(key, 'train')}/{key}": found for key, found in truth(dataset).items()}


def read(python: Path, folder: Path, dataset: Dataset, task: str) -> dict[str, Any]:
    splits = dataset.split_names or ("train",)
    found: dict[str, Any] = ask(python, READ, folder / "data.yaml", task, *splits)
    assert list(found["names"].values()) == list(dataset.classes)
    return found


@pytest.mark.parametrize("splits", [True, False])
def test_segments(ultralytics: Path, tmp_path: Path, splits: bool) -> None:
    dataset = write_dataset(tmp_path / "pictures", splits=splits)
    export_yolo_segment(dataset, tmp_path / "yolo")
    answer = read(ultralytics, tmp_path / "yolo", dataset, "segment")
    assert answer["val"] == ("val" if splits else "train")
    assert answer["found"].keys() == expected(dataset).keys()
    for key, objects in expected(dataset).items():
        one = answer["found"][key]
        assert one["names"] == [name for name, _ in objects]
        for (name, mask), seen, box in zip(objects, one["masks"], one["boxes"], strict=True):
            painted = np.array(seen, bool)
            parts = np.array_equal(mask, SHAPES["two parts"])
            if parts:  # the bridge from part to part is painted too: 48 columns, one pixel each
                assert not (mask & ~painted).any()
                assert (painted & ~mask).sum() == 48
            else:
                assert iou(painted, mask) > (0.999 if name == "noise" else 0.99999)
            np.testing.assert_allclose(box, box_of(mask), atol=0.051)


def test_boxes(ultralytics: Path, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "pictures")
    export_yolo_detect(dataset, tmp_path / "yolo")
    answer = read(ultralytics, tmp_path / "yolo", dataset, "detect")
    assert answer["found"].keys() == expected(dataset).keys()
    for key, objects in expected(dataset).items():
        one = answer["found"][key]
        assert one["names"] == [name for name, _ in objects]
        np.testing.assert_allclose(
            np.reshape(one["boxes"], (-1, 4)),
            np.reshape([box_of(mask) for _, mask in objects], (-1, 4)),
            atol=1e-4,
        )


def test_a_folder_called_images(ultralytics: Path, tmp_path: Path) -> None:
    """Ultralytics puts "labels" for the last "images" of a path."""
    dataset = write_dataset(tmp_path / "pictures" / "images", splits=False)
    from dataclasses import replace

    moved = [
        replace(one, image=replace(one.image, file_name=f"images/{one.image.file_name}"))
        for one in dataset
    ]
    dataset = Dataset.of(moved)
    export_yolo_detect(dataset, tmp_path / "yolo")
    found = read(ultralytics, tmp_path / "yolo", dataset, "detect")["found"]
    counts = {key: len(one["names"]) for key, one in found.items()}
    assert counts == {
        key.replace("images/", "images_/"): len(objects)
        for key, objects in expected(dataset).items()
    }
