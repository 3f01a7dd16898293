"""What Label Studio's own converter makes of our tasks, once somebody has accepted them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grounded_ram.export.label_studio import export_label_studio
from tests.hand_annotation import box_of
from tests.hand_dataset import SHAPES, Mask, truth, write_dataset
from tests.readers.asking import ask
from tests.readers.conftest import Reader

NEEDED = (
    *("label-studio-sdk>=2", "ijson>=3", "lxml>=5", "nltk>=3.9", "ujson>=5", "appdirs>=1.4"),
    *("defusedxml>=0.7", "pyjwt>=2"),
)

OPENING = """
import tempfile
from label_studio_sdk.converter import brush
from label_studio_sdk.converter.converter import Converter
from label_studio_sdk._extensions.label_studio_tools.core.utils.io import resolve_local_storage_file

folder, form = Path(sys.argv[1]), sys.argv[2]
tasks = json.loads((folder / "tasks-0001.json").read_text("utf-8"))
for number, task in enumerate(tasks):
    (prediction,) = task.pop("predictions")
    told = {"completed_by": {"email": "a@b.c"}, "created_at": "2026-01-01T00:00:00Z"}
    task.update(id=number, annotations=[{"id": number, **told, **prediction}])
"""

DECODE = (
    OPENING
    + """
answer([
    [brush.decode_rle(item["value"]["rle"]).tolist()
     for item in task["annotations"][0]["result"] if item["type"] == "brushlabels"]
    for task in tasks
])
"""
)

CONVERT = (
    OPENING
    + """
converter = Converter((folder / "config.xml").read_text("utf-8"), None, download_resources=False)
source, target = tempfile.mkdtemp(), tempfile.mkdtemp()
Path(source, "tasks.json").write_text(json.dumps(tasks))
assert form in converter.supported_formats
converter.convert(source, target, form, is_dir=True)
(found,) = Path(target).glob("*.json")
pictures = [resolve_local_storage_file(task["data"]["image"]) for task in tasks]
answer({**json.loads(found.read_text("utf-8")), "pictures": pictures})
"""
)


@pytest.fixture
def label_studio(reader: Reader) -> Path:
    return reader("label-studio", NEEDED, outer=True)


def test_brushes_are_the_same_pixels(label_studio: Path, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "pictures")
    export_label_studio(dataset, tmp_path / "out", pictures="none")
    found = ask(label_studio, DECODE, tmp_path / "out", "")
    for brushes, expected in zip(found, truth(dataset).values(), strict=True):
        for brush, (_, mask) in zip(brushes, expected, strict=True):
            rgba = np.reshape(brush, (*mask.shape, 4))
            np.testing.assert_array_equal(rgba == 255, np.repeat(mask[..., None], 4, axis=2))


@pytest.mark.parametrize(
    ("masks", "form"), [("polygon", "COCO"), ("rle", "BRUSH_TO_COCO")], ids=["polygons", "brushes"]
)
def test_objects_keep_their_names_and_places(
    masks: Any, form: str, label_studio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_FILES_DOCUMENT_ROOT", str(tmp_path / "out"))
    dataset = write_dataset(tmp_path / "pictures")
    export_label_studio(dataset, tmp_path / "out", masks=masks)
    told = ask(label_studio, CONVERT, tmp_path / "out", form)
    names = {one["id"]: one["name"] for one in told["categories"]}
    for number, (key, expected) in enumerate(truth(dataset).items()):
        assert Path(told["pictures"][number]).resolve() == (tmp_path / "pictures" / key).resolve()
        items = [one for one in told["annotations"] if one["image_id"] == number]
        found = {(names[one["category_id"]], *one["bbox"]) for one in items}
        for name, mask in expected:
            if is_one_piece(mask):
                x1, y1, x2, y2 = box_of(mask)
                assert (name, x1, y1, x2 - x1, y2 - y1) in found
        if masks == "polygon":
            area = sum(one["area"] for one in items)
            assert area == pytest.approx(sum(int(mask.sum()) for _, mask in expected))


def is_one_piece(mask: Mask) -> bool:
    """Whether the converter writes a shape as one object, which it does not for parts and holes."""
    whole = [SHAPES[name] for name in ("block", "everything")]
    return any(mask.shape == one.shape and (mask == one).all() for one in whole)
