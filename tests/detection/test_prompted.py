from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from grounded_ram.detection.prompted import preprocess, resized_hw


def test_resize_rule_is_the_official_one(golden: Path) -> None:
    stored = json.loads((golden / "preprocess" / "outputs.json").read_text("utf-8"))
    rows = stored["gdino_resized_wh_for_800_1333"]
    assert len(rows) > 10
    for size, expected in rows.items():
        width, height = map(int, size.split("x"))
        assert resized_hw((height, width), 800, 1333) == (expected[1], expected[0])


def test_an_extreme_sliver_keeps_a_pixel() -> None:
    assert resized_hw((1, 100_000), 800, 1333) == (1, 100_000)
    assert resized_hw((2, 100_000), 800, 1333) == (1, 50_000)


def test_preprocessing_is_the_official_one(golden: Path, pictures: list[NDArray[np.uint8]]) -> None:
    stored = np.load(golden / "preprocess" / "outputs.npz")["gdino_short64_max110"]
    np.testing.assert_allclose(preprocess(pictures[0], 64, 110), stored, rtol=0, atol=1e-6)
