"""What datumaro makes of what we say of whole images, and of panoptic segments."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grounded_ram.export.dataset import Dataset, key_of
from grounded_ram.export.image_level import export_captions, export_tags
from grounded_ram.export.panoptic import export_panoptic, to_panoptic
from tests.hand_dataset import ODD, write_dataset
from tests.readers.asking import ask
from tests.readers.conftest import Reader
from tests.readers.test_datumaro import NEEDED

READ = """
# These two are for formats that we do not write; datumaro only wants to see that they are there.
for name in ("pandas", "pyarrow"):
    Path(__file__).with_name(f"{name}.py").touch()

import numpy as np
from datumaro.components.annotation import AnnotationType
from datumaro.components.dataset import Dataset

dataset = Dataset.import_from(sys.argv[1], sys.argv[2])
labels = [label.name for label in dataset.categories().get(AnnotationType.label, [])]

def plain(one):
    if one.type == AnnotationType.caption:
        return one.caption
    if one.type == AnnotationType.label:
        return [labels[one.label], one.attributes["score"]]
    return [labels[one.label], np.asarray(one.image).astype(int).tolist()]

answer({
    f"{item.subset}/{item.id}": [list(item.media.size), [plain(one) for one in item.annotations]]
    for item in dataset
})
"""


@pytest.fixture
def datumaro(reader: Reader) -> Path:
    return reader("datumaro", NEEDED, outer=True)


def read(python: Path, folder: Path, kind: str, dataset: Dataset) -> list[Any]:
    """Return what it has of each image, in the dataset's order."""
    found = ask(python, READ, folder, kind)
    assert len(found) == len(dataset)
    answers = []
    for annotation in dataset:
        key = key_of(annotation.image)
        size, told = found[f"{dataset.split_of(annotation)}/{key.removesuffix('.png')}"]
        assert tuple(size) == annotation.image.size_hw
        answers.append(told)
    return answers


def test_captions(datumaro: Path, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "pictures")
    first, *others = dataset
    caption = f'a "{ODD}"\nand a <car>'
    annotations = [replace(first, caption=caption), *others]
    dataset = replace(Dataset.of(annotations), splits=dataset.splits)
    export_captions(dataset, tmp_path / "out", pictures="copy")
    found = read(datumaro, tmp_path / "out", "coco_captions", dataset)
    assert found == [[caption], [], [], []]


def test_tags(datumaro: Path, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "pictures")
    export_tags(dataset, tmp_path / "out", pictures="copy")
    found = read(datumaro, tmp_path / "out", "coco_labels", dataset)
    for told, annotation in zip(found, dataset, strict=True):
        expected = zip(annotation.tags.names, annotation.tags.scores, strict=True)
        assert dict(told) == {name: pytest.approx(float(v), abs=1e-6) for name, v in expected}


def test_segments(datumaro: Path, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "pictures")
    export_panoptic(dataset, tmp_path / "out", pictures="copy")
    found = read(datumaro, tmp_path / "out", "coco_panoptic", dataset)
    for told, annotation in zip(found, dataset, strict=True):
        colours, segments = to_panoptic(annotation)
        ids = colours.astype(int) @ [1, 256, 256**2]
        expected = Counter((one["category_id"], (ids == one["id"]).tobytes()) for one in segments)
        assert Counter((name, np.array(mask, bool).tobytes()) for name, mask in told) == expected
