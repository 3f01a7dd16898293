from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from grounded_ram.errors import InputError
from grounded_ram.rules import Rules


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind_iou", 1.1),
        ("support", -0.1),
        ("support", True),
        ("island", float("nan")),
        ("contained", "much"),
        ("least_pixels", 0),
        ("least_pixels", 2.5),
        ("crop_check", "on"),
        ("least_score", None),
    ],
)
def test_a_value_that_cannot_be_is_told_by_its_name(field: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"^{field}: expected .*got"):
        Rules(**{field: value})


def test_both_ends_are_allowed() -> None:
    assert Rules(kind_iou=0, support=1, least_pixels=1, crop_check="drop").support == 1
    assert Rules(support=np.float32(0.5), least_pixels=np.int64(3)).support == 0.5
