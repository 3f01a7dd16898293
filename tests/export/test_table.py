from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from grounded_ram.annotation import objects
from grounded_ram.export.dataset import Dataset
from grounded_ram.export.table import IMAGE_COLUMNS, OBJECT_COLUMNS, export_table
from tests.hand_annotation import annotate, box_of
from tests.hand_dataset import SHAPES, truth, write_dataset


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_object_is_a_line(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "pictures")
    export_table(dataset, tmp_path / "csv")
    rows = read(tmp_path / "csv" / "objects.csv")
    expected = [
        (key, dataset.splits[key], name, list(map(str, box_of(mask))), str(mask.sum()))
        for key, found in truth(dataset).items()
        for name, mask in found
    ]
    sides = ("x1", "y1", "x2", "y2")
    found = [
        (row["image"], row["split"], row["name"], [row[s] for s in sides], row["area"])
        for row in rows
    ]
    assert found == expected
    assert {row["kind"] for row in rows} == {"object"}
    first = {key: rows[0][key] for key in OBJECT_COLUMNS if "score" in key or "stab" in key}
    assert first == {
        **{"tag_score": "0.9", "box_score": "0.7", "mask_score": "0.5", "label_score": "0.8"},
        **{"mask_stability": "", "crop_score": ""},
    }
    assert (rows[0]["width"], rows[0]["height"]) == ("96", "64")


def test_every_image_is_a_line(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "pictures", splits=False)
    export_table(dataset, tmp_path / "csv")
    rows = read(tmp_path / "csv" / "images.csv")
    assert [row["image"] for row in rows] == list(truth(dataset))
    assert [int(row["objects"]) for row in rows] == [len(one) for one in truth(dataset).values()]
    assert {row["split"] for row in rows} == {""}
    assert [row["sha256"] for row in rows] == [one.image.sha256 for one in dataset]
    assert [row["path"] for row in rows] == [one.image.path for one in dataset]
    assert (rows[2]["width"], rows[2]["height"], rows[2]["objects"]) == ("60", "40", "0")


def test_texts_with_quotes_commas_and_line_breaks_survive(tmp_path: Path) -> None:
    text = 'a, "b"\nc; \r\n猫'
    annotation = replace(annotate([(text, SHAPES["block"])], path="a.png"), caption=text)
    found = annotation.detections
    more = {"alternatives": objects([((text, 0.5),)])}
    annotation = replace(annotation, detections=replace(found, data={**found.data, **more}))
    export_table(Dataset.of([annotation]), tmp_path)
    (row,) = read(tmp_path / "objects.csv")
    assert row["name"] == text
    assert json.loads(row["alternatives"]) == {text: 0.5}
    assert read(tmp_path / "images.csv")[0]["caption"] == text


def test_scores_that_are_not_known_are_empty(tmp_path: Path) -> None:
    annotation = annotate([("car", SHAPES["block"]), ("car", SHAPES["ring"])], path="a.png")
    found = annotation.detections
    told = {"crop_score": np.array([np.nan, 0.75], np.float32)}
    annotation = replace(annotation, detections=replace(found, data={**found.data, **told}))
    export_table(Dataset.of([annotation]), tmp_path)
    assert [row["crop_score"] for row in read(tmp_path / "objects.csv")] == ["", "0.75"]


def test_no_pictures_at_all(tmp_path: Path) -> None:
    export_table(Dataset.of([]), tmp_path)
    assert (tmp_path / "objects.csv").read_text() == ",".join(OBJECT_COLUMNS) + "\n"
    assert (tmp_path / "images.csv").read_text() == ",".join(IMAGE_COLUMNS) + "\n"
