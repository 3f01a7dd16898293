from dataclasses import replace
from typing import Any

import pytest

from grounded_ram.benchmark.settings import Settings, parse_size
from grounded_ram.errors import InputError
from tests.benchmark.quick import SMALL


@pytest.mark.parametrize(
    ("text", "size"), [("640x480", (640, 480)), ("1920X1080", (1920, 1080)), (" 8 x 9 ", (8, 9))]
)
def test_a_size_is_width_and_height(text: str, size: tuple[int, int]) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "640", "640*480", "x480", "-1x2", "640x480x3", "axb"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected WIDTHxHEIGHT"):
        parse_size(text)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"size_wh": (15, 640)}, "sides of 16 to 16384 pixels, got 15x640"),
        ({"size_wh": (640, 20_000)}, "got 640x20000"),
        ({"batch": 0}, "batch: expected 1 or more, got 0"),
        ({"boxes": 0}, "boxes: expected 1 or more"),
        ({"tags": 0}, "tags: expected 1 or more"),
        ({"repeat": 0}, "repeat: expected 1 or more"),
        ({"pictures": 3, "batch": 2}, "3 pictures \\(--images\\) are no multiple of 2"),
        ({"draws": True}, "say --baseline too"),
        ({"boxes": 1000}, "1000 boxes do not fit"),
    ],
)
def test_what_cannot_be_measured_is_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        replace(SMALL, **wrong)


def test_without_a_number_of_pictures_it_is_one_batch() -> None:
    assert replace(SMALL, batch=3).count == 3
    assert replace(SMALL, batch=3, pictures=6).count == 6
    assert Settings(preset=SMALL.preset).size_hw == (480, 640)
