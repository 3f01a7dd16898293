import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from grounded_ram.run_lengths import run_lengths


def whole(pixels: np.ndarray, offset_xy: tuple[int, int], size_hw: tuple[int, int]) -> np.ndarray:
    picture = np.zeros(size_hw, bool)
    (x, y), (height, width) = offset_xy, pixels.shape
    picture[y : y + height, x : x + width] = pixels
    return picture


@given(st.data())
def test_run_lengths_are_those_of_the_whole_picture(data: st.DataObject) -> None:
    height, width = data.draw(st.tuples(st.integers(0, 6), st.integers(0, 5)))
    pixels = data.draw(arrays(np.bool_, (height, width)))
    left, right, top, bottom = data.draw(st.tuples(*[st.integers(0, 3)] * 4))
    size_hw = max(1, top + height + bottom), max(1, left + width + right)
    found = run_lengths(pixels, (left, top), size_hw)
    picture = whole(pixels, (left, top), size_hw)
    assert found == coco_mask.encode(np.asfortranarray(picture.astype(np.uint8)))


@pytest.mark.parametrize("value", [True, False])
def test_full_and_empty_pictures(value: bool) -> None:
    found = run_lengths(np.full((4, 3), value), (0, 0), (4, 3))
    assert coco_mask.area(found) == (12 if value else 0)
    np.testing.assert_array_equal(coco_mask.decode(found), np.full((4, 3), value))
