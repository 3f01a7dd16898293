"""What FiftyOne's importers make of our datasets.

They run without FiftyOne's database, whose server pip does not bring: what they would put into it
is checked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grounded_ram.export.dataset import key_of
from grounded_ram.export.fiftyone import export_fiftyone
from tests.hand_annotation import box_of
from tests.hand_dataset import truth, write_dataset
from tests.readers.asking import ask
from tests.readers.conftest import Reader

# These fit each other; nobody else sees to that where requirements are not followed.
NEEDED = (
    *("fiftyone==1.22.1", "fiftyone-brain==0.25.0", "voxel51-eta==0.17.0", "mongoengine==0.29.3"),
    *("motor==3.6.1", "pymongo==4.9.2", "attrs", "cachetools", "dacite", "dill", "exceptiongroup"),
    *("glob2", "jsonlines", "pprintpp", "pydash", "pytz", "retrying", "setuptools<81"),
    *("sortedcontainers", "tabulate", "xmltodict"),
)

READ = """
# FiftyOne imports these for its server and its plots, which nobody here uses.
import importlib.abc, importlib.machinery
from unittest.mock import MagicMock

UNUSED = {"cryptography", "graphql", "plotly", "py7zr", "rarfile", "skimage", "sklearn",
          "sse_starlette", "sseclient", "starlette", "strawberry"}

class StandIn(MagicMock):
    __path__ = []

class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in UNUSED:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return StandIn(name=spec.name)

    def exec_module(self, module):
        pass

sys.meta_path.insert(0, Finder())

from fiftyone.utils.coco import COCODetectionDatasetImporter
from fiftyone.utils.data.importers import FiftyOneImageClassificationDatasetImporter

folder = sys.argv[1]
objects, tags = {}, {}
with COCODetectionDatasetImporter(folder, label_types="segmentations") as importer:
    for path, facts, found in importer:
        objects[path] = [(facts.height, facts.width)] + [
            {"name": one.label, "confidence": one.confidence, "box": one.bounding_box,
             "mask": one.mask.astype(int).tolist(), "label_score": one["label_score"]}
            for one in (found.detections if found else [])
        ]
told = {"data_path": f"{folder}/files.json", "labels_path": f"{folder}/tags.json"}
with FiftyOneImageClassificationDatasetImporter(**told) as importer:
    for path, _, found in importer:
        tags[path] = [(one.label, one.confidence, one["kind"]) for one in found.classifications]
answer({"objects": objects, "tags": tags})
"""


@pytest.fixture
def fiftyone(reader: Reader) -> Path:
    return reader("fiftyone", NEEDED, outer=True)


@pytest.mark.parametrize("masks", ["rle", "polygon"])
def test_objects_and_tags_are_the_same(masks: Any, fiftyone: Path, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "pictures", splits=False)
    export_fiftyone(dataset, tmp_path / "out", masks=masks)
    told = ask(fiftyone, READ, tmp_path / "out")
    assert set(told["objects"]) == set(told["tags"])
    assert len(told["tags"]) == len(dataset)
    for annotation, expected in zip(dataset, truth(dataset).values(), strict=True):
        path = str(tmp_path / "out" / "data" / key_of(annotation.image))
        (height, width), *objects = told["objects"][path]
        assert (height, width) == annotation.image.size_hw
        for one, (name, mask) in zip(objects, expected, strict=True):
            x1, y1, x2, y2 = box_of(mask)
            assert one["name"] == name
            np.testing.assert_array_equal(one["mask"], mask[y1:y2, x1:x2])
            sides = np.array(one["box"]) * [width, height, width, height]
            np.testing.assert_allclose(sides, [x1, y1, x2 - x1, y2 - y1], atol=1e-9)
        found = annotation.detections
        kept = [row for row in range(len(found)) if annotation.masks[row].any()]
        for key, column in (("confidence", "box_score"), ("label_score", "label_score")):
            scores = [one[key] for one in objects]
            np.testing.assert_allclose(scores, found.data[column][kept], atol=1e-6)
        tags = annotation.tags
        assert [(name, kind) for name, _, kind in told["tags"][path]] == list(
            zip(tags.names, tags.kinds, strict=True)
        )
        np.testing.assert_allclose(
            [score for _, score, _ in told["tags"][path]], tags.scores, atol=1e-6
        )


def test_pictures_that_differ_in_their_endings_are_told_apart(
    fiftyone: Path, tmp_path: Path
) -> None:
    first = write_dataset(tmp_path / "pictures", splits=False)
    second = write_dataset(tmp_path / "pictures", ending=".jpg", splits=False)
    both = type(first).of([*first, *list(second)[1:]])
    export_fiftyone(both, tmp_path / "out")
    told = ask(fiftyone, READ, tmp_path / "out")
    keys = [key_of(one.image) for one in both]
    assert sorted(told["tags"]) == sorted(str(tmp_path / "out" / "data" / key) for key in keys)
