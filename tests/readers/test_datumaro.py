"""What datumaro makes of our datasets."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from grounded_ram.export.coco import export_coco
from grounded_ram.export.cvat import export_cvat
from grounded_ram.export.dataset import Dataset
from grounded_ram.export.voc import export_voc
from grounded_ram.export.yolo import export_yolo_detect
from tests.hand_annotation import box_of
from tests.hand_dataset import Mask, truth, write_dataset
from tests.readers.asking import ask
from tests.readers.conftest import Reader

NEEDED = (
    *("datumaro>=1.12", "attrs>=23", "orjson>=3.8", "json-stream>=2", "shapely>=2"),
    *("json-stream-rs-tokenizer>=0.4", "imagesize>=1.4", "defusedxml>=0.7", "lxml>=5"),
)

READ = """
# These two are for formats that we do not write; datumaro only wants to see that they are there.
for name in ("pandas", "pyarrow"):
    Path(__file__).with_name(f"{name}.py").touch()

import numpy as np
from datumaro.components.annotation import AnnotationType
from datumaro.components.dataset import Dataset

folder, kind, options = sys.argv[1:]
dataset = Dataset.import_from(folder, kind, **json.loads(options))
labels = [label.name for label in dataset.categories()[AnnotationType.label]]

def plain(one):
    found = {
        "name": labels[one.label],
        "group": one.group,
        "box": [float(side) for side in one.get_bbox()],
        "told": {key: float(v) for key, v in one.attributes.items() if key.endswith("_score")},
    }
    if one.type == AnnotationType.mask:
        found["mask"] = np.asarray(one.image).astype(bool).tolist()
    if one.type == AnnotationType.polygon:
        found["points"] = [float(v) for v in one.points]
    return found

found = {f"{item.subset}/{item.id}": [plain(one) for one in item.annotations] for item in dataset}
sizes = {f"{item.subset}/{item.id}": list(item.media.size) for item in dataset}
answer({"found": found, "sizes": sizes, "labels": labels})
"""

Objects = list[tuple[str, Mask]]


@pytest.fixture
def datumaro(reader: Reader) -> Path:
    return reader("datumaro", NEEDED, outer=True)


def read(
    python: Path,
    folder: Path,
    kind: str,
    dataset: Dataset,
    *,
    subset: str = "train",
    **options: str,
) -> list[tuple[Objects, list[Any]]]:
    """Check that the pictures and the classes are the same; pair what was written and read."""
    answer = ask(python, READ, folder, kind, json.dumps(options))
    assert [name for name in answer["labels"] if name != "background"] == list(dataset.classes)
    expected = {
        f"{dataset.splits.get(key, subset)}/{key.rpartition('.')[0]}": objects
        for key, objects in truth(dataset).items()
    }
    assert answer["found"].keys() == expected.keys()
    for key, (height, width) in answer["sizes"].items():
        assert all(mask.shape == (height, width) for _, mask in expected[key])
    return [(objects, answer["found"][key]) for key, objects in expected.items()]


def check_boxes(expected: Objects, found: Sequence[Any], atol: float = 0) -> None:
    assert [one["name"] for one in found] == [name for name, _ in expected]
    for (_, mask), one in zip(expected, found, strict=True):
        x, y, width, height = one["box"]
        np.testing.assert_allclose([x, y, x + width, y + height], box_of(mask), atol=atol)


def check_masks(expected: Objects, found: Sequence[Any]) -> None:
    assert [one["name"] for one in found] == [name for name, _ in expected]
    for (_, mask), one in zip(expected, found, strict=True):
        np.testing.assert_array_equal(np.array(one["mask"], bool), mask)


def check_polygons(expected: Objects, found: Sequence[Any]) -> None:
    """Polygons of one group are one object; those of group 0 are each of their own."""
    alone = count(-1, -1)
    lines, names = defaultdict(list), {}
    for one in found:
        group = one["group"] or next(alone)
        lines[group].append(one["points"])
        names[group] = one["name"]
    assert list(names.values()) == [name for name, _ in expected]
    for (_, mask), polygons in zip(expected, lines.values(), strict=True):
        rle = coco_mask.merge(coco_mask.frPyObjects(polygons, *mask.shape))
        np.testing.assert_array_equal(coco_mask.decode(rle).astype(bool), mask)


@pytest.mark.parametrize("splits", [True, False])
def test_cvat_masks(datumaro: Path, tmp_path: Path, splits: bool) -> None:
    dataset = write_dataset(tmp_path / "pictures", splits=splits)
    export_cvat(dataset, tmp_path / "cvat", masks="rle")
    for expected, found in read(datumaro, tmp_path / "cvat", "cvat", dataset, subset="annotations"):
        check_masks(expected, found)
        if found:
            assert found[0]["told"].keys() == {
                f"{k}_score" for k in ("tag", "box", "mask", "label")
            }


def test_cvat_polygons(datumaro: Path, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "pictures")
    export_cvat(dataset, tmp_path / "cvat", masks="polygon")
    for expected, found in read(datumaro, tmp_path / "cvat", "cvat", dataset):
        check_polygons(expected, found)


def test_voc(datumaro: Path, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "pictures")
    export_voc(dataset, tmp_path / "voc", pictures="copy")  # it follows no links
    for expected, found in read(
        datumaro, tmp_path / "voc", "voc_detection", dataset, coordinate_mode="voc-one-based"
    ):
        check_boxes(expected, found)


def test_yolo_boxes(datumaro: Path, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "pictures", flat=True)  # it looks into no sub-folders
    export_yolo_detect(dataset, tmp_path / "yolo")
    for expected, found in read(datumaro, tmp_path / "yolo", "yolo", dataset):
        check_boxes(expected, found, atol=1e-4)


@pytest.mark.parametrize("masks", ["rle", "polygon"])
def test_coco(datumaro: Path, tmp_path: Path, masks: Any) -> None:
    dataset = write_dataset(tmp_path / "images" / "train", splits=False)
    export_coco(dataset, tmp_path / "coco", masks=masks)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "coco" / "annotations.coco.json").rename(
        tmp_path / "annotations" / "instances_train.json"
    )
    check = check_masks if masks == "rle" else check_polygons
    for expected, found in read(datumaro, tmp_path, "coco_instances", dataset):
        shapes = [one for one in found if "mask" in one or "points" in one]  # it adds the boxes
        check(expected, sorted(shapes, key=lambda one: one["group"]))
