import numpy as np
import pytest
import supervision as sv
import torch

from grounded_ram.annotation import Tags
from grounded_ram.benchmark import timing
from grounded_ram.benchmark.timing import Clock, Spread, Timed
from grounded_ram.scenes.scene import make_scene
from tests.truth_stages import Truth

CPU = torch.device("cpu")


def test_a_spread_is_the_median_and_both_ends() -> None:
    assert Spread.of([5.0, 1.0, 2.0]) == Spread(median=2.0, least=1.0, most=5.0)


def test_a_clock_adds_up_by_name_and_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([0.0, 1.0, 10.0, 12.0, 20.0, 24.0])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(readings))
    clock = Clock(CPU)
    for name in ("a", "b", "a"):
        with clock.measure(name):
            pass
    assert clock.take() == {"a": 5.0, "b": 2.0}
    assert clock.take() == {}


def test_a_timed_stage_does_what_the_stage_does() -> None:
    scene = make_scene(7)
    truth, clock = Truth(scene), Clock(CPU)
    timed = Timed(truth, clock, "stage")
    (tags,) = timed.tag([scene.image])
    (boxes,) = timed.detect([scene.image], [tags], threshold=0.5)
    (objects,) = timed.segment([scene.image], [boxes])
    assert len(boxes) > 0
    assert tags.names == scene.tags.names
    assert objects.mask is not None
    assert truth.calls == [("tag", 1), ("detect", 1), ("segment", 1)]
    assert timed.boxes == len(boxes)
    assert clock.take()["stage"] > 0


def test_thresholds_are_passed_on() -> None:
    asked: list[float | None] = []

    class Stage:
        def tag(self, images: object, *, threshold: float | None = None) -> list[Tags]:
            asked.append(threshold)
            return []

        def detect(self, images: object, tags: object, *, threshold: float) -> list[sv.Detections]:
            asked.append(threshold)
            return []

    timed = Timed(Stage(), Clock(CPU), "stage")
    image = np.zeros((2, 2, 3), np.uint8)
    timed.tag([image], threshold=0.25)
    timed.detect([image], [Tags.of(["a"])], threshold=0.75)
    assert asked == [0.25, 0.75]
