"""What thresholds of single labels do to boxes; the rest of a draft is tested by the pipeline."""

from collections.abc import Sequence

import numpy as np
import pytest
import supervision as sv

from grounded_ram.annotation import Annotation, Reason, Tags
from grounded_ram.images import Image
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.vocabulary.edits import Edits
from tests.truth_stages import detections, with_masks

PICTURE = np.zeros((60, 200, 3), np.uint8)


class Stages:
    """All three at once; the detector finds each tag it is asked for once, side by side."""

    def __init__(self, scores: dict[str, float]) -> None:
        self.scores = scores
        self.asked: list[float] = []

    def tag(self, images: Sequence[Image], *, threshold: float | None = None) -> list[Tags]:
        return [Tags.of(self.scores)] * len(images)

    def detect(
        self, images: Sequence[Image], tags: Sequence[Tags], *, threshold: float
    ) -> list[sv.Detections]:
        self.asked.append(threshold)
        found = []
        for asked in tags:
            rows = [
                (asked, name, self.scores[name], (40 * place, 0, 40 * place + 30, 50))
                for place, name in enumerate(asked.names)
                if np.float32(self.scores[name]) > np.float32(threshold)
            ]
            found.append(detections(rows))
        return found

    def segment(
        self, images: Sequence[Image], found: Sequence[sv.Detections]
    ) -> list[sv.Detections]:
        masks = [np.zeros((len(one), 60, 200), bool) for one in found]
        for one, dense in zip(found, masks, strict=True):
            for row, (x0, y0, x1, y1) in enumerate(one.xyxy.astype(int)):
                dense[row, y0:y1, x0:x1] = True
        return [with_masks(one, dense) for one, dense in zip(found, masks, strict=True)]


def run(scores: dict[str, float], edits: Edits, **options: object) -> tuple[Annotation, Stages]:
    stages = Stages(scores)
    parts = {"tagger": stages, "detector": stages, "segmenter": stages}
    model = GroundedRAM("tiny", vocabulary=edits, device="cpu", box_threshold=0.45, **parts)  # type: ignore[arg-type]
    return model.annotate(PICTURE, **options), stages  # type: ignore[arg-type]


def names(found: Annotation) -> list[str]:
    return sorted(found.detections.data["class_name"].tolist())


def test_a_higher_threshold_rejects_and_tells() -> None:
    found, stages = run({"dog": 0.6, "car": 0.6}, Edits(box_thresholds={"dog": 0.7}))
    assert stages.asked == [0.45]
    assert names(found) == ["car"]
    (gone,) = found.rejected
    assert (gone.name, gone.reason, gone.box_xyxy) == ("dog", Reason.LOW_BOX, (0, 0, 30, 50))
    assert found.ungrounded == {"dog": Reason.NO_BOX_LEFT}


def test_a_lower_threshold_finds_more_of_its_label_alone() -> None:
    scores = {"dog": 0.3, "car": 0.3, "tree": 0.5}
    found, stages = run(scores, Edits(box_thresholds={"dog": 0.2}))
    assert stages.asked == [0.2]
    assert names(found) == ["dog", "tree"]
    # As if the detector had not found it: it would not have, at the preset's threshold.
    assert found.rejected == ()
    assert found.ungrounded == {"car": Reason.NO_BOX}


@pytest.mark.parametrize("limit", [0.6, 0.45])
def test_a_box_scored_at_the_threshold_goes(limit: float) -> None:
    found, _ = run({"dog": limit}, Edits(box_thresholds={"dog": limit}))
    assert names(found) == []
    found, _ = run({"dog": limit + 1e-6}, Edits(box_thresholds={"dog": limit}))
    assert names(found) == ["dog"]


def test_the_threshold_is_that_of_the_label_in_the_end() -> None:
    scores = {"dog": 0.6, "truck": 0.6, "car": 0.8}
    edits = Edits(
        rename={"dog": "hound"},
        classes={"ride": ("truck", "car"), "dog": ("dog",)},
        box_thresholds={"hound": 0.5, "ride": 0.7},
    )
    found, _ = run(scores, edits)
    assert names(found) == ["hound", "ride"]
    assert [(one.name, one.reason) for one in found.rejected] == [("ride", Reason.LOW_BOX)]


def test_words_of_the_users_own_are_found_whatever_the_file_says() -> None:
    found, stages = run({"dog": 0.5}, Edits(box_thresholds={"dog": 0.9, "cat": 0.1}), tags=["dog"])
    assert names(found) == ["dog"]
    assert stages.asked == [0.45]


def test_a_picture_without_boxes() -> None:
    found, _ = run({"dog": 0.1}, Edits(box_thresholds={"dog": 0.2}))
    assert len(found.detections) == 0
    assert found.detections.data["box_score"].dtype == np.float32
