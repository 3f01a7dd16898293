"""The real FiftyOne: it applies our model to its datasets, and we read its labels.

pip does not bring the server of its database, which FiftyOne's own installer downloads from
elsewhere. In its place stands mongomock: datasets, samples, fields and ``apply_model`` are
FiftyOne's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from pycocotools import mask as coco_mask

from grounded_ram.scenes.scene import make_scene
from tests.readers.asking import ask
from tests.readers.conftest import Reader
from tests.readers.test_fiftyone import NEEDED, READ

REPOSITORY = Path(__file__).parents[2]
STAND_INS = READ[: READ.index("from fiftyone.utils.coco")]

DATABASE = """
import os
os.environ["FIFTYONE_DATABASE_URI"] = "mongodb://localhost"
os.environ["FIFTYONE_DATABASE_VALIDATION"] = "false"
os.environ["FIFTYONE_DO_NOT_TRACK"] = "true"
import mongoengine, mongomock, pymongo
import mongomock.codec_options
from mongomock.store import ServerStore

mongomock.codec_options.is_supported = lambda options: options
STORE = ServerStore()

class Client(mongomock.MongoClient):
    _closed = False

    def __init__(self, *args, **options):
        options.pop("appname", None)
        super().__init__(*args, **options, _store=STORE)

pymongo.MongoClient = Client
connect = mongoengine.connect
mongoengine.connect = lambda *args, **options: connect(*args, mongo_client_class=Client, **options)
"""

APPLY = """
import runpy
sys.path.insert(0, sys.argv[1])
import fiftyone as fo
import numpy as np
from grounded_ram import GroundedRAM
from grounded_ram.annotation import SCORE_COLUMNS
from grounded_ram.export import shapes
from grounded_ram.export.coco import to_coco
from grounded_ram.integrations.fiftyone import FiftyOneModel, apply, from_fiftyone

paths = json.loads(sys.argv[2])
model = GroundedRAM("tiny")
dataset = fo.Dataset("pictures")
dataset.add_samples([fo.Sample(filepath=path) for path in paths])
apply(model, dataset, batch_size=2, skip_failures=False)
named = FiftyOneModel(model, tags=["mushroom", "house"])
dataset.apply_model(named, label_field="own", skip_failures=False, confidence_thresh=0.5)

apply(model, dataset.limit(1), label_field="part", tags=["tree"], skip_failures=False)
schema = sorted(dataset.get_field_schema(flat=True))

def told(one):
    return {"label": one.label, "confidence": one.confidence, "kind": one["kind"],
            **{key: one[key] for key in one.field_names if key.endswith("_score")}}

def annotated(path):
    annotation = model.annotate(path)
    found, tags = annotation.detections, annotation.tags
    regions = [shapes.region_of(annotation.masks, row) for row in range(len(found))]
    return {
        "size": annotation.image.size_hw,
        "names": found.data["class_name"].tolist(),
        "boxes": [shapes.bbox_xywh(one) for one in regions],
        "masks": [one.pixels.astype(int).tolist() for one in regions],
        "scores": {key: found.data[key].tolist() for key in SCORE_COLUMNS},
        "tags": list(zip(tags.names, tags.kinds)),
        "why": {name: str(reason) for name, reason in annotation.ungrounded.items()},
    }

found = {}
for sample in dataset:
    found[sample.filepath] = {
        "objects": [
            {**told(one), "box": one.bounding_box, "mask": one.mask.astype(int).tolist()}
            for one in sample["ground_ram"].detections
        ],
        "tags": [
            {**told(one), "why": one["ungrounded"] if "ungrounded" in one.field_names else None}
            for one in sample["ground_ram_tags"].classifications
        ],
        "own": [told(one) for one in sample["own_objects"].detections],
    }
back = from_fiftyone(dataset, tags_field="ground_ram_tags")
tags = {one.image.path: [list(one.tags.names), list(one.tags.kinds)] for one in back}
coco = to_coco(list(back))

# What people do: a label renamed, an object deleted, one drawn without a mask.
sample = dataset.first()
sample["ground_ram"].detections[0].label = "thing"
sample["ground_ram"].detections = sample["ground_ram"].detections[:1] + [
    fo.Detection(label="drawn", bounding_box=[0.25, 0.25, 0.5, 0.5])
]
sample.save()
changed = next(iter(from_fiftyone(dataset)))

os.chdir(sys.argv[3])
sys.argv[:] = [f"{sys.argv[1]}/examples/fiftyone_dataset.py"]
runpy.run_path(sys.argv[0], run_name="__main__")
answer({
    "is_one": isinstance(named, fo.Model),
    "schema": schema,
    "parts": sum(sample["part"] is not None for sample in dataset),
    "found": found, "tags": tags, "coco": coco,
    "annotated": {path: annotated(path) for path in paths},
    "changed": changed.detections.data["class_name"].tolist(),
    "areas": changed.masks.area.tolist(),
})
"""


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Pictures of unlike size, one in a sub-folder, one that its file holds turned."""
    folder = tmp_path_factory.mktemp("fiftyone")
    (folder / "deep").mkdir()
    paths = [folder / "deep" / "a.png", folder / "turned.jpg"]
    first, second = (PIL.Image.fromarray(make_scene(seed).image) for seed in (5, 2))
    first.save(paths[0])
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    second = second.crop((0, 0, second.width, second.height - 32))
    second.transpose(PIL.Image.Transpose.ROTATE_90).save(paths[1], exif=exif, quality=95)
    return paths


@pytest.fixture(scope="module")
def answer(reader: Reader, paths: list[Path]) -> Any:
    python = reader("fiftyone", (*NEEDED, "mongomock==4.3.0", "sentinels"), outer=True)
    code = DATABASE + STAND_INS + APPLY
    listed = json.dumps([str(path) for path in paths])
    return ask(python, code, REPOSITORY, listed, paths[1].parent)


def test_its_fields_hold_what_annotate_finds(answer: Any, paths: list[Path]) -> None:
    assert answer["is_one"]
    objects = 0
    for path in map(str, paths):
        expected, told = answer["annotated"][path], answer["found"][path]
        height, width = expected["size"]
        assert [one["label"] for one in told["objects"]] == expected["names"]
        for row, one in enumerate(told["objects"]):
            sides = np.array(one["box"]) * [width, height, width, height]
            np.testing.assert_allclose(sides, expected["boxes"][row], atol=1e-6)
            mask = np.array(expected["masks"][row])
            assert np.shape(one["mask"]) == mask.shape
            assert (np.array(one["mask"]) == mask).mean() > 0.99  # of a JPEG
            for key, column in expected["scores"].items():
                np.testing.assert_allclose(one[key], column[row], atol=1e-3)
            assert one["confidence"] == one["box_score"]
        assert [[one["label"], one["kind"]] for one in told["tags"]] == expected["tags"]
        why = {one["label"]: one["why"] for one in told["tags"] if one["why"]}
        assert why == expected["why"]
        objects += len(expected["names"])
    assert objects >= 3


def test_words_and_thresholds_work_as_for_its_own_models(answer: Any) -> None:
    own = [one for told in answer["found"].values() for one in told["own"]]
    assert own
    assert {one["label"] for one in own} == {"mushroom", "house"}
    assert min(one["confidence"] for one in own) >= 0.5


def test_views_can_be_labelled_and_fiftyone_knows_the_attributes(answer: Any) -> None:
    assert answer["parts"] == 1
    expected = {"tag_score", "box_score", "mask_score", "label_score", "crop_score", "kind"}
    for field in ("ground_ram", "part"):
        assert {f"{field}.detections.{name}" for name in expected} <= set(answer["schema"])
        assert f"{field}_tags.classifications.ungrounded" in answer["schema"]


def test_labels_come_back_as_they_went(answer: Any, paths: list[Path]) -> None:
    coco = answer["coco"]
    images = {image["id"]: image for image in coco["images"]}
    assert [one["file_name"] for one in coco["images"]] == ["deep/a.png", "turned.jpg"]
    names = {one["id"]: one["name"] for one in coco["categories"]}
    told = {path.name: answer["found"][str(path)]["objects"] for path in paths}
    for one in coco["annotations"]:
        image = images[one["image_id"]]
        there = told[Path(image["file_name"]).name].pop(0)
        assert names[one["category_id"]] == there["label"]
        assert one["score"] == pytest.approx(there["confidence"], abs=1e-5)
        x, y, w, h = map(int, one["bbox"])
        mask = coco_mask.decode(one["segmentation"])
        assert mask.shape == (image["height"], image["width"])
        np.testing.assert_array_equal(mask[y : y + h, x : x + w], there["mask"])
        assert mask.sum() == np.sum(there["mask"])
    assert not any(told.values())
    for path in paths:
        tags = answer["found"][str(path)]["tags"]
        assert answer["tags"][str(path)] == [
            [one["label"] for one in tags],
            [one["kind"] for one in tags],
        ]


def test_what_people_changed_there_comes_along(answer: Any, paths: list[Path]) -> None:
    assert answer["changed"] == ["thing", "drawn"]
    with PIL.Image.open(paths[0]) as picture:
        assert answer["areas"][1] == picture.width * picture.height / 4


def test_the_example_leaves_what_it_says(answer: Any, paths: list[Path]) -> None:
    file = paths[1].parent / "fiftyone-output" / "annotations.coco.json"
    coco = json.loads(file.read_bytes())
    assert [one["file_name"] for one in coco["images"]] == [f"scene-{k}.png" for k in range(3)]
    assert coco["annotations"]
