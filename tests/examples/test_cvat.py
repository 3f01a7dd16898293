"""CVAT itself needs containers; here its function is called as Nuclio calls it, and what comes
back is read as CVAT's server reads it.
"""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest
import yaml

from grounded_ram import Annotation, InputError
from grounded_ram.scenes.scene import make_scene
from grounded_ram.vocabulary.table import official_vocabulary

FOLDER = Path(__file__).parents[2] / "examples/cvat"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"cvat_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


main, write_function = load("main"), load("write_function")


@dataclass
class Response:
    """What Nuclio's own takes."""

    body: str
    headers: dict[str, str]
    content_type: str
    status_code: int


@dataclass
class Context:
    """What a function sees of Nuclio."""

    user_data: SimpleNamespace = field(default_factory=SimpleNamespace)
    logger: Any = field(default_factory=lambda: SimpleNamespace(info=print, warn=print))
    Response: Any = Response


def started(folder: Path, names: list[str], shape: str = "mask", vocabulary: str = "") -> Context:
    """Start a worker whose function.yaml has labels of its own."""
    (folder / "function.yaml").write_text(write_function.function_yaml(names), "utf-8")
    if vocabulary:
        (folder / "vocabulary.yaml").write_text(vocabulary, "utf-8")
    context = Context()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(main, "FUNCTION", folder / "function.yaml")
        patch.setattr(main, "VOCABULARY", folder / "vocabulary.yaml")
        patch.setenv("GROUNDED_RAM_PRESET", "tiny")
        patch.setenv("GROUNDED_RAM_CVAT_SHAPE", shape)
        main.init_context(context)
    return context


NAMES = sorted({one.name for one in make_scene(0).objects})


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return started(tmp_path_factory.mktemp("cvat"), NAMES)


@pytest.fixture(scope="module")
def picture() -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(make_scene(0).image).save(file, "PNG")
    return file.getvalue()


def ask(context: Context, body: Any) -> Response:
    answer: Response = main.handler(context, SimpleNamespace(body=body))
    assert answer.content_type == "application/json"
    return answer


def objects(context: Context, picture: bytes, **more: Any) -> Any:
    answer = ask(context, {"image": base64.b64encode(picture).decode(), **more})
    assert answer.status_code == 200
    return json.loads(answer.body)


@pytest.fixture(scope="module")
def told(context: Context, picture: bytes) -> Any:
    return objects(context, picture)


@pytest.fixture(scope="module")
def found(context: Context, picture: bytes) -> Annotation:
    annotation: Annotation = context.user_data.model.annotate(picture, tags=NAMES)
    return annotation


def test_masks_are_read_by_cvat_as_the_same_pixels(told: Any, found: Annotation) -> None:
    assert len(told) == len(found.detections) > 1
    assert [one["label"] for one in told] == found.detections.data["class_name"].tolist()
    for one, mask, score in zip(
        told, found.masks, found.detections.data["label_score"], strict=True
    ):
        assert set(one) == {"confidence", "label", "type", "points", "mask"}
        assert (one["type"], one["confidence"]) == ("mask", f"{score:.4f}")
        *pixels, left, top, right, bottom = one["mask"]
        drawn = np.zeros(mask.shape, int)
        drawn[top : bottom + 1, left : right + 1] = np.reshape(
            pixels, (bottom - top + 1, right - left + 1)
        )
        np.testing.assert_array_equal(drawn, mask)
        rows, columns = np.nonzero(mask)
        assert [left, top, right, bottom] == [
            *(columns.min(), rows.min()),
            *(columns.max(), rows.max()),
        ]


def test_a_mask_has_one_polygon_in_case_cvat_is_to_convert_it(told: Any) -> None:
    for one in told:
        *pixels, left, top, right, bottom = one["mask"]
        corners = np.reshape(one["points"], (-1, 2))
        assert len(corners) >= 3
        drawn = np.zeros((256, 256), np.uint8)
        cv2.fillPoly(drawn, [np.floor(corners).astype(np.int32)], 1)
        inside = drawn[top : bottom + 1, left : right + 1]
        mask = np.reshape(pixels, inside.shape)
        assert (inside & mask).sum() / (inside | mask).sum() > 0.97
        assert drawn.sum() == inside.sum()


def test_polygons_of_an_object_are_one_group_of_the_same_pixels(
    tmp_path: Path, picture: bytes, found: Annotation
) -> None:
    context = started(tmp_path, NAMES, "polygon")
    drawn = [np.zeros(found.image.size_hw, np.uint8) for _ in range(len(found.detections))]
    for one in objects(context, picture):
        assert one["type"] == "polygon"
        assert "mask" not in one
        # A corner at the edges of pixels; drawn four times as large, lines are half a pixel off.
        corners = np.reshape(one["points"], (-1, 2))
        assert len(corners) >= 4
        large = np.zeros((256 * 4, 256 * 4), np.uint8)
        cv2.fillPoly(large, [corners.astype(np.int32) * 4], 1)
        drawn[one["group_id"] - 1] |= large[2::4, 2::4]
    for mask, expected in zip(drawn, found.masks, strict=True):
        np.testing.assert_array_equal(mask.astype(bool), expected)


def test_the_threshold_drops_what_scores_lower(context: Context, picture: bytes, told: Any) -> None:
    scores = [float(one["confidence"]) for one in told]
    middle = (min(scores) + max(scores)) / 2
    kept = [float(one["confidence"]) for one in objects(context, picture, threshold=middle)]
    assert kept == [score for score in scores if score >= middle]
    assert 0 < len(kept) < len(scores)
    assert objects(context, picture, threshold=None) == told


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{}", "expected JSON"),
        ({"threshold": 0.5}, "expected JSON"),
        ({"image": "no base64!"}, "expected base64"),
        ({"image": "é"}, "expected base64"),
        ({"image": "AAAA"}, "image"),
        ({"image": "AAAA", "threshold": "high"}, "a number from 0 to 1, got 'high'"),
    ],
)
def test_requests_that_cannot_be_used_say_why(body: Any, message: str, context: Context) -> None:
    answer = ask(context, body)
    assert answer.status_code == 400
    assert message in json.loads(answer.body)["error"]


def test_a_vocabulary_says_what_is_looked_for(tmp_path: Path, picture: bytes) -> None:
    rows = "\n".join(f"  class {name}: [{name}]" for name in NAMES[:2])
    vocabulary = f"ask: classes\nclasses:\n{rows}\n"
    context = started(tmp_path, [f"class {NAMES[0]}"], vocabulary=vocabulary)
    assert context.user_data.tags is None
    found = context.user_data.model.annotate(picture)
    labels = found.detections.data["class_name"].tolist()
    told = [one["label"] for one in objects(context, picture)]
    assert set(labels) == {f"class {name}" for name in NAMES[:2]}
    assert told == [name for name in labels if name == f"class {NAMES[0]}"]


def test_an_unknown_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"GROUNDED_RAM_CVAT_SHAPE.*'circle'"):
        started(tmp_path, NAMES, "circle")


def test_the_function_is_a_detector_whose_labels_the_vocabulary_knows() -> None:
    told = yaml.safe_load((FOLDER / "function.yaml").read_text("utf-8"))
    assert told["metadata"]["annotations"]["type"] == "detector"
    assert told["spec"]["handler"] == "main:handler"
    labels = json.loads(told["metadata"]["annotations"]["spec"])
    assert [label["id"] for label in labels] == list(range(len(labels)))
    assert {label["type"] for label in labels} == {"mask"}
    assert [label["name"] for label in labels] == main.read_labels(FOLDER / "function.yaml")
    assert [n["name"] for n in labels if not official_vocabulary().knows(n["name"])] == []


def write(*arguments: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["write_function.py", *arguments])
        write_function.main()


def test_other_labels_are_written_and_nothing_else_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.yaml").write_text("classes:\n  pet: [dog, cat]\nrename:\n  pet: Tier ü\n")
    write("traffic light", '"odd" \\1', "--vocabulary", str(tmp_path / "own.yaml"))
    told = yaml.safe_load(capsys.readouterr().out)
    labels = json.loads(told["metadata"]["annotations"].pop("spec"))
    assert [one["name"] for one in labels] == ["traffic light", '"odd" \\1', "Tier ü"]
    template = yaml.safe_load((FOLDER / "function.yaml").read_text("utf-8"))
    template["metadata"]["annotations"].pop("spec")
    assert told == template


def test_no_labels_or_one_twice_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.yaml").write_text("block: [dog]\n")
    for arguments in ((), ("car", "car"), ("--vocabulary", str(tmp_path / "own.yaml"))):
        with pytest.raises(SystemExit, match="2"):
            write(*arguments)
        assert "expected" in capsys.readouterr().err
