"""What detectors found, to be compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import supervision as sv


def columns(found: sv.Detections) -> list[Any]:
    assert found.confidence is not None
    assert found.class_id is not None
    return [found.xyxy, found.confidence, found.class_id, found.data["class_name"]]


def assert_equal(left: sv.Detections, right: sv.Detections) -> None:
    for ours, theirs in zip(columns(left), columns(right), strict=True):
        np.testing.assert_array_equal(ours, theirs)
