from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import supervision as sv
import torch

from grounded_ram.annotation import Tags
from grounded_ram.backends import Backend, check_boxes, check_masks, check_tags, no_boxes, no_masks
from grounded_ram.errors import InputError, UnknownNameError
from grounded_ram.presets import PRESETS
from grounded_ram.registry import BUILTIN, Stage
from grounded_ram.weights import CHECKPOINTS, Checkpoint, WeightFile
from tests.truth_stages import Truth, detections, with_masks

CPU = {"device": torch.device("cpu"), "dtype": torch.float32}
IMAGES = [np.zeros((40, 60, 3), np.uint8), np.zeros((8, 5, 3), np.uint8)]
CAR = Tags.of(["car", "tree"])
BOXES = detections([(CAR, "tree", 0.7, (0, 0, 60, 40)), (CAR, "car", 0.6, (5, 5, 9, 9))])
MASKS = np.zeros((2, 40, 60), bool)
STAGES: tuple[Stage, ...] = ("tagger", "detector", "segmenter")


def backend(stage: Stage) -> Backend[object]:
    return Backend(stage, Truth(), **CPU)


def tag(found: object) -> list[Tags]:
    return check_tags(found, IMAGES, backend("tagger"))


def detect(found: object) -> list[sv.Detections]:
    return check_boxes(found, IMAGES, [CAR, CAR], backend("detector"))


def segment(found: object) -> list[sv.Detections]:
    return check_masks(found, IMAGES, [BOXES, no_boxes()], backend("segmenter"))


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_names_backends_without_loading_them(stage: Stage, preset: str) -> None:
    name = getattr(PRESETS[preset], stage)
    made: Backend[object] = Backend(stage, name, **CPU)
    assert str(made) == f"{stage} {name!r}"


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("tiny", InputError, "adapter:checkpoint"),
        ("samm:tiny", UnknownNameError, "did you mean 'sam'"),
        ("ram:tiny", UnknownNameError, "segmenter adapter 'ram'"),
        ("sam:vit-g", UnknownNameError, "checkpoint 'sam:vit-g'"),
    ],
)
def test_a_wrong_name_is_refused_at_once(name: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Backend("segmenter", name, **CPU)


@pytest.mark.parametrize("stage", STAGES)
def test_an_object_without_the_method_is_refused(stage: Stage) -> None:
    with pytest.raises(InputError, match=rf"{stage}: expected .*method \w+\(\), got int"):
        Backend(stage, 3, **CPU)
    with pytest.raises(InputError, match="got the class Truth; call it"):
        Backend(stage, Truth, **CPU)


def test_a_name_is_loaded_once_and_an_object_is_itself() -> None:
    named: Backend[object] = Backend("segmenter", "sam:tiny", **CPU)
    assert named.get() is named.get()
    mine = Truth()
    assert Backend("segmenter", mine, **CPU).get() is mine


def test_the_record_names_the_files() -> None:
    standard = Backend[object]("detector", "grounding-dino:swin-t", **CPU).record()
    assert standard["name"] == "grounding-dino:swin-t"
    assert standard["sha256"]["weights"].startswith("3b3ca2563c77c69f")
    tiny = Backend[object]("segmenter", "sam:tiny", **CPU).record()
    assert set(tiny["sha256"]) == {"weights", "config"}
    assert all(len(digest) == 64 for digest in tiny["sha256"].values())
    assert backend("tagger").record() == {"name": "tests.truth_stages.Truth"}


def test_files_of_the_user_s_own_are_recorded(tmp_path: Path) -> None:
    (tmp_path / "mine.pth").write_bytes(b"weights")
    (tmp_path / "mine.txt").write_text("[PAD]")
    files = {"detector": tmp_path / "mine.pth", "detector.vocab": tmp_path / "mine.txt"}
    mine = Backend[object]("detector", "grounding-dino:swin-t", own_files=files, **CPU)
    recorded = mine.record()["sha256"]
    assert recorded["weights"] == hashlib.sha256(b"weights").hexdigest()
    assert recorded["vocab"] == hashlib.sha256(b"[PAD]").hexdigest()
    others = Backend[object]("segmenter", "sam:vit-b", own_files=files, **CPU)
    assert others.record() == Backend[object]("segmenter", "sam:vit-b", **CPU).record()


def test_files_for_nobody_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    with pytest.raises(UnknownNameError, match="unknown stage 'detectr'; did you mean 'detector'"):
        Backend("segmenter", "sam:vit-b", own_files={"detectr": tmp_path / "x"}, **CPU)
    with pytest.raises(InputError, match="segmenter: files are for a backend given by name"):
        Backend("segmenter", Truth(), own_files={"segmenter": tmp_path / "x"}, **CPU)
    with pytest.raises(InputError, match="no file"):
        Backend("segmenter", "sam:vit-b", own_files={"segmenter": tmp_path / "y"}, **CPU)


def test_the_commit_of_a_repository_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROUNDED_RAM_HOME", str(tmp_path))
    named: Backend[object] = Backend("segmenter", "sam:owner/repo@v1", **CPU)
    assert named.record() == {"name": "sam:owner/repo@v1", "sha256": {}}
    repo = tmp_path / "hub" / "models--owner--repo"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "v1").write_text("c0ffee")
    (repo / "snapshots" / "c0ffee").mkdir(parents=True)
    (repo / "snapshots" / "c0ffee" / "config.json").write_text("{}")
    assert named.record() == {
        "name": "sam:owner/repo@v1",
        "sha256": {"config": hashlib.sha256(b"{}").hexdigest()},
        "commit": {"config": "c0ffee"},
    }


def test_masks_that_a_detector_gave_are_kept() -> None:
    found = detect([with_masks(BOXES, MASKS), no_boxes()])
    assert found[0].mask.shape == (2, 40, 60)
    assert found[0].data["mask_score"].tolist() == [np.float32(0.8)] * 2
    assert found[1].mask is None
    for bad, message in [
        (replace(BOXES, mask=MASKS), "got ndarray"),
        (with_masks(BOXES, MASKS[:, :8]), r"CompactMask \(2, 40, 60\), got CompactMask \(2, 8"),
        (replace(with_masks(BOXES, MASKS), data=BOXES.data), "mask_score: expected 2 floats"),
    ]:
        with pytest.raises(InputError, match=f"detector 'tests.truth_stages.Truth': .*{message}"):
            detect([bad, no_boxes()])


def test_good_results_pass() -> None:
    assert tag([CAR, Tags.of([])])[0] is CAR
    found = detect([BOXES, no_boxes()])
    assert found[0].data["class_name"].tolist() == ["tree", "car"]
    assert len(found[1]) == 0
    cut = segment([with_masks(BOXES, MASKS), no_masks(no_boxes(), IMAGES[1])])
    assert cut[0].data["mask_score"].tolist() == [np.float32(0.8)] * 2
    assert cut[1].mask.shape == (0, 8, 5)


def test_no_images_no_results() -> None:
    assert check_tags([], [], backend("tagger")) == []
    assert check_boxes([], [], [], backend("detector")) == []
    assert check_masks([], [], [], backend("segmenter")) == []


def test_a_detector_may_leave_columns_out_where_it_found_nothing() -> None:
    assert set(detect([sv.Detections.empty()] * 2)[0].data) == {"class_name", "alternatives"}


def test_columns_that_nobody_asked_for_are_left_behind() -> None:
    more = replace(BOXES, data={**BOXES.data, "logits": np.zeros((2, 900))})
    assert set(detect([more, no_boxes()])[0].data) == {"class_name", "alternatives"}


def test_other_tags_of_a_box_are_tags_that_were_asked_for() -> None:
    pairs = [(("tree", 0.4),), ()]
    told = replace(BOXES, data={**BOXES.data, "alternatives": pairs})
    assert detect([told, no_boxes()])[0].data["alternatives"].tolist() == pairs
    assert detect([BOXES, no_boxes()])[0].data["alternatives"].tolist() == [(), ()]
    for wrong in ([(("zebra", 0.4),), ()], [()]):
        bad = replace(BOXES, data={})
        bad.data.update(BOXES.data, alternatives=wrong)
        with pytest.raises(InputError, match=r"Truth': alternatives: expected 2 tuples"):
            detect([bad, no_boxes()])


@pytest.mark.parametrize(
    ("check", "good"), [(tag, CAR), (detect, BOXES), (segment, with_masks(BOXES, MASKS))]
)
def test_there_must_be_one_result_an_image(check, good) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=r"Truth': expected 2 results, one an image, got 1"):
        check([good])
    with pytest.raises(InputError, match=r"Truth': expected a list, got NoneType"):
        check(None)
    with pytest.raises(InputError, match=r"Truth': expected \w+, got str"):
        check([good, "nothing"])


@pytest.mark.parametrize("scores", [[1.5, 0.1], [np.nan, 0.1]])
def test_tag_scores_lie_in_0_to_1(scores: list[float]) -> None:
    bad = Tags(CAR.names, np.array(scores, np.float32), CAR.kinds)
    with pytest.raises(InputError, match=r"tagger 'tests.truth_stages.Truth': scores"):
        tag([bad, CAR])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class_id": np.array([0, 2])}, "class_id: expected 2 rows of 2 tags"),
        ({"class_id": np.array([0, -1])}, "class_id: expected"),
        ({"class_id": np.array([0.0, 1.0])}, "class_id: expected"),
        ({"class_id": None}, "class_id: expected"),
        ({"class_id": np.array([0, 1])}, "class_id says .*'car', 'tree'.*class_name says"),
        ({"confidence": None}, "confidence: expected 2 floats"),
        ({"confidence": np.array([0.5, 2])}, "confidence"),
        ({"xyxy": np.array([[0, 0, 61, 40], [5, 5, 9, 9]], float)}, "60 wide and 40 high"),
        ({"xyxy": np.array([[-1, 0, 60, 40], [5, 5, 9, 9]], float)}, "got .*-1"),
        ({"xyxy": np.array([[0, 0, 60, 40], [9, 5, 5, 9]], float)}, r"got \[9"),
        ({"xyxy": np.array([[0, 0, 60, 40], [5, 9, 9, 9]], float)}, "y1 < y2"),
    ],
)
def test_wrong_boxes_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=rf"detector 'tests.truth_stages.Truth'.*{message}"):
        detect([replace(BOXES, **change), no_boxes()])


def test_wrong_masks_are_refused() -> None:
    good = with_masks(BOXES, MASKS)
    for bad, message in [
        (with_masks(BOXES, MASKS[:, :8]), r"CompactMask \(2, 40, 60\), got CompactMask \(2, 8"),
        (replace(good, mask=MASKS), "got ndarray"),
        (replace(good, mask=None), "got NoneType"),
        (good.select([1, 0]), "the 2 boxes it was given, in their order"),
        (good.select([0]), "the 2 boxes it was given"),
        (replace(good, data=BOXES.data), "mask_score: expected 2 floats"),
        (with_masks(BOXES, MASKS, score=7), "mask_score"),
    ]:
        with pytest.raises(InputError, match=f"segmenter 'tests.truth_stages.Truth': .*{message}"):
            segment([bad, no_masks(no_boxes(), IMAGES[1])])


def test_a_name_is_checked_without_importing_its_adapter() -> None:
    """A typing error must not cost the seconds that the large libraries take to load."""
    module = "grounded_ram.detection.grounding_dino"
    before = sys.modules.pop(module, None)
    try:
        Backend("detector", "grounding-dino:tiny", **CPU)
        assert module not in sys.modules
    finally:
        if before is not None:
            sys.modules[module] = before


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two checkpoints of an adapter that detects and segments."""
    monkeypatch.setitem(BUILTIN["detector"], "both", "tests.truth_stages:load_truth")
    monkeypatch.setitem(BUILTIN["segmenter"], "both", "tests.truth_stages:load_truth")
    file = WeightFile(name="one", source="package:tiny/sam.json")
    for name in ("both:one", "both:two"):
        row = Checkpoint(name=name, summary="", licence="", files={"weights": file})
        monkeypatch.setitem(CHECKPOINTS, name, row)


@pytest.mark.usefixtures("both")
def test_one_backend_of_two_stages_is_one_object(tmp_path: Path) -> None:
    detector: Backend[object] = Backend("detector", "both:one", **CPU)
    same: Backend[object] = Backend("segmenter", "both:one", other=detector, **CPU)
    assert same.get() is detector.get()
    (tmp_path / "mine").touch()
    own = {"segmenter": tmp_path / "mine"}
    for unlike in (
        Backend[object]("segmenter", "both:two", other=detector, **CPU),
        Backend[object]("segmenter", "both:one", other=detector, own_files=own, **CPU),
        Backend[object]("segmenter", "both:one", **CPU),
        Backend[object]("segmenter", "both:one", other=backend("detector"), **CPU),
    ):
        assert isinstance(unlike.get(), Truth)
        assert unlike.get() is not detector.get()


@pytest.mark.usefixtures("both")
def test_one_name_of_two_factories_is_two_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BUILTIN["segmenter"], "both", "copy:copy")
    detector: Backend[object] = Backend("detector", "both:one", **CPU)
    other: Backend[object] = Backend("segmenter", "both:one", other=detector)
    assert other.get() is not detector.get()
