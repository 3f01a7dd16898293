from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import PIL.Image
import supervision as sv
from pycocotools import mask as coco_mask

from grounded_ram.export.dataset import Dataset
from grounded_ram.export.labelme import export_labelme
from tests.export.test_yolo import with_border
from tests.hand_annotation import annotate, box_of
from tests.hand_dataset import SHAPES, truth, write_dataset


def test_supervision_reads_the_same_objects_and_paints_the_line(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "pictures", splits=False, flat=True)
    export_labelme(dataset, tmp_path / "labelme")
    folder = str(tmp_path / "labelme")
    found = sv.DetectionDataset.from_labelme(folder, folder, force_masks=True)
    expected = truth(dataset)
    assert {Path(path).name for path, _, _ in found} == set(expected)
    for path, _, detections in found:
        objects = expected[Path(path).name]
        names = [found.classes[i] for i in (detections.class_id if objects else ())]
        assert names == [name for name, _ in objects]
        boxes = np.reshape([box_of(mask) for _, mask in objects], (-1, 4))
        np.testing.assert_array_equal(detections.xyxy, boxes)
        for (_, mask), seen in zip(objects, detections.mask if objects else (), strict=True):
            assert not (mask & ~seen).any()
            assert not (seen & ~with_border(mask)).any()


def test_polygons_of_one_group_enclose_the_mask(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "pictures")
    export_labelme(dataset, tmp_path / "labelme", pictures="copy")
    expected = truth(dataset)
    for key, split in dataset.splits.items():
        page = tmp_path / "labelme" / split / f"{key.removesuffix('.png')}.json"
        value = json.loads(page.read_bytes())
        with PIL.Image.open(page.parent / value["imagePath"]) as picture:
            assert picture.size == (value["imageWidth"], value["imageHeight"])
        assert value["imageData"] is None
        lines = defaultdict(list)
        for number, shape in enumerate(value["shapes"]):
            group = shape["group_id"]
            assert shape["shape_type"] == "polygon"
            lines[shape["label"], f"alone {number}" if group is None else group].append(
                np.ravel(shape["points"]).tolist()
            )
        assert [name for name, _ in lines] == [name for name, _ in expected[key]]
        for (_, mask), polygons in zip(expected[key], lines.values(), strict=True):
            rle = coco_mask.merge(coco_mask.frPyObjects(polygons, *mask.shape))
            np.testing.assert_array_equal(coco_mask.decode(rle), mask)


def test_all_scores_are_told(tmp_path: Path) -> None:
    objects = [("car", SHAPES["two parts"])]
    export_labelme(Dataset.of([annotate(objects, path="a.png")]), tmp_path, pictures="none")
    shapes = json.loads((tmp_path / "a.json").read_bytes())["shapes"]
    assert len(shapes) == 2
    for shape in shapes:
        assert json.loads(shape["description"]) == {
            "tag_score": 0.9,
            "box_score": 0.7,
            "mask_score": 0.5,
            "label_score": 0.8,
        }


def test_pictures_that_differ_in_their_ending_share_no_file(tmp_path: Path) -> None:
    dataset = Dataset.of([annotate(path="a.jpg"), annotate(path="a.png", seed=1)])
    export_labelme(dataset, tmp_path, pictures="none")
    names = {path.name: json.loads(path.read_bytes())["imagePath"] for path in tmp_path.iterdir()}
    assert names == {"a.json": "a.jpg", "a-2.json": "a-2.png"}
