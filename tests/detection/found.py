"""What detectors found, to be compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import supervision as sv
import torch

from grounded_ram.annotation import Tags


def columns(found: sv.Detections) -> list[Any]:
    assert found.confidence is not None
    assert found.class_id is not None
    return [found.xyxy, found.confidence, found.class_id, found.data["class_name"]]


def assert_tags_are_read_once(
    detector: Any, other: Any, text_encoder: torch.nn.Module, pictures: list[Any]
) -> None:
    """Ask twice for four tags, then another detector of the same weights, which knows others."""
    asked = [Tags.of(["dog", "fire hydrant", "train"]), Tags.of(["train", "a bus"])]
    read: list[int] = []
    hook = text_encoder.register_forward_hook(lambda *_: read.append(1))
    try:
        cold = detector.detect(pictures[:2], asked, threshold=0.1)
        assert len(read) == 6  # [CLS], [SEP] and four tags
        warm = detector.detect(pictures[:2], asked, threshold=0.1)
        assert len(read) == 6
    finally:
        hook.remove()
    other.detect(pictures[2:], [Tags.of([f"dog {n}" for n in range(99)])], threshold=0.1)
    after = other.detect(pictures[1::-1], asked[::-1], threshold=0.1)[::-1]
    for one, two, three in zip(cold, warm, after, strict=True):
        assert len(one) > 0
        assert_equal(one, two)
        assert_equal(one, three)


def assert_equal(left: sv.Detections, right: sv.Detections) -> None:
    for ours, theirs in zip(columns(left), columns(right), strict=True):
        np.testing.assert_array_equal(ours, theirs)
