"""The real autodistill: our base model labels a folder, by its ``label`` and by ours.

It brings roboflow along, and that an OpenCV that overwrites ours.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import yaml

from grounded_ram.scenes.scene import make_scene
from tests.readers.asking import ask
from tests.readers.conftest import Reader

NEEDED = (
    *("autodistill==0.1.29", "roboflow==1.7.3", "requests-toolbelt", "python-dotenv", "filetype"),
    *("idna", "tqdm"),
)
REPOSITORY = Path(__file__).parents[2]
ONTOLOGY = {"tree": "plant", "flower": "plant", "house": "house", "cat": "animal", "car": "car"}

LABEL = """
import os, runpy
sys.path.insert(0, sys.argv[1])
import supervision as sv
from autodistill.detection import CaptionOntology, DetectionBaseModel
from grounded_ram.export import shapes
from grounded_ram.integrations.autodistill import AutodistillModel

folder, ontology = sys.argv[2], json.loads(sys.argv[3])
model = AutodistillModel(CaptionOntology(ontology), model="tiny")
again = model.label(folder)
ours = model.label(folder, record_confidence=True)  # from the journal
DetectionBaseModel.label(model, folder, output_folder=f"{folder}_theirs")
sliced = model.sahi_predict(f"{folder}/scene-1.jpg")

os.chdir(Path(folder).parent)  # the example, which has no ontology
example = f"{sys.argv.pop(1)}/examples/autodistill_target.py"
sys.argv[:] = [example]
run = runpy.run_path(example, run_name="__main__")
drawn = Path("autodistill-output/pictures").glob("*.png")
seen = [run["base"].model.annotate(path).detections.data["class_name"] for path in drawn]

def objects(path):
    annotation = model.model.annotate(path, tags=list(ontology))
    height, width = annotation.image.size_hw
    boxes = [shapes.bbox_xywh(shapes.region_of(annotation.masks, row))
             for row in range(len(annotation.detections))]
    return {"names": annotation.detections.data["class_name"].tolist(),
            "scores": annotation.detections.confidence.tolist(),
            "boxes": [[x / width, y / height, (x + w) / width, (y + h) / height]
                      for x, y, w, h in boxes]}

def told(dataset):
    return {path: [dataset.classes[i] for i in found.class_id]
            for path, found in dataset.annotations.items()}

answer({
    "is_one": isinstance(model, DetectionBaseModel),
    "version": sv.__version__,
    "classes": ours.classes,
    "found": told(ours),
    "objects": {path: objects(path) for path in told(ours)},
    "again": told(again) == told(ours),
    "free": run["dataset"].classes,
    "free_objects": sorted({name for names in seen for name in names.tolist()}),
    "sliced": sorted({ours.classes.index(name) for name in sliced.data["class_name"]}),
})
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("autodistill") / "pictures"
    folder.mkdir()
    for seed in range(2):
        PIL.Image.fromarray(make_scene(seed).image).save(folder / f"scene-{seed}.jpg", quality=95)
    return folder


@pytest.fixture(scope="module")
def answer(reader: Reader, folder: Path) -> Any:
    python = reader("autodistill", NEEDED, outer=True)
    return ask(python, LABEL, REPOSITORY, folder, json.dumps(ONTOLOGY))


def labels(folder: Path) -> dict[str, list[tuple[int, list[float]]]]:
    """Return the class and the tight box, in parts of the sides, of each object of each file."""
    found = {}
    for path in folder.glob("*/labels/*.txt"):
        if path.name.startswith("confidence-"):
            continue
        rows = [line.split() for line in path.read_text().splitlines()]
        points = [np.array(row[1:], float).reshape(-1, 2) for row in rows]
        found[path.stem] = [
            (int(row[0]), [*corners.min(axis=0), *corners.max(axis=0)])
            for row, corners in zip(rows, points, strict=True)
        ]
    return found


def test_what_it_labels_is_what_annotate_finds(answer: Any, folder: Path) -> None:
    assert answer["is_one"]
    assert answer["again"]
    classes = ["plant", "house", "animal", "car"]
    assert answer["classes"] == classes
    out = Path(f"{folder}_labeled")
    told = yaml.safe_load((out / "data.yaml").read_bytes())
    assert (told["names"], told["nc"]) == (classes, 4)
    written, objects = labels(out), 0
    assert sorted(written) == [f"scene-{seed}" for seed in range(2)]
    for stem, rows in written.items():
        expected = answer["objects"][str(folder / f"{stem}.jpg")]
        names = [ONTOLOGY[name] for name in expected["names"]]
        assert [classes[number] for number, _ in rows] == names
        assert answer["found"][str(folder / f"{stem}.jpg")] == names
        np.testing.assert_allclose([box for _, box in rows], expected["boxes"], atol=1e-3)
        (scores,) = out.glob(f"*/labels/confidence-{stem}.txt")
        np.testing.assert_allclose(
            [float(line) for line in scores.read_text().split()],
            expected["scores"],
            rtol=1e-4,
        )
        objects += len(rows)
    assert objects >= 2
    for path in (*out.glob("train/images/*"), *out.glob("valid/images/*")):
        assert path.read_bytes() == (folder / path.name).read_bytes()


def test_its_own_label_takes_our_predictions(answer: Any, folder: Path) -> None:
    """It drops objects that consist of small parts, so that ours may have more."""
    theirs, ours = labels(Path(f"{folder}_theirs")), labels(Path(f"{folder}_labeled"))
    names = list(ONTOLOGY.values())  # its data.yaml has a class as often as it has prompts
    assert theirs.keys() == ours.keys()
    for stem, rows in theirs.items():
        found = {(answer["classes"][number]) for number, _ in ours[stem]}
        assert {names[number] for number, _ in rows} <= found
    assert sum(map(len, theirs.values())) > 0
    assert set(answer["sliced"]) <= set(range(4))


def test_without_an_ontology_the_classes_are_what_ram_sees(answer: Any, folder: Path) -> None:
    """As in examples/autodistill_target.py."""
    drawn, found = folder.parent / "autodistill-output", answer["free_objects"]
    assert answer["free"] == found
    assert len(found) > 1
    used = {number for rows in labels(drawn / "pictures_labeled").values() for number, _ in rows}
    assert used == set(range(len(found)))
    out = drawn / "pictures_labeled"
    assert yaml.safe_load((out / "data.yaml").read_bytes())["val"] == "valid/images"
    assert [len(list(out.glob(f"{name}/images/*"))) for name in ("train", "valid")] == [2, 1]
