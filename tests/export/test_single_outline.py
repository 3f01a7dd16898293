from __future__ import annotations

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from grounded_ram.export.shapes import Region
from grounded_ram.export.single_outline import INSET, single_outline
from tests.hand_annotation import box_of, rectangle
from tests.hand_dataset import SHAPES, SIZE, Mask

NOISE = {
    f"{share} noise": np.random.default_rng(3).random(SIZE) < share for share in (0.2, 0.4, 0.8)
}
MASKS = SHAPES | NOISE


def region(mask: Mask) -> Region:
    x1, y1, x2, y2 = box_of(mask)
    return Region(mask[y1:y2, x1:x2], int(x1), int(y1))


def enclosed(mask: Mask) -> Mask:
    """Return the pixels inside the outline as pycocotools sees it."""
    line = single_outline(region(mask)).ravel().tolist()
    return coco_mask.decode(coco_mask.frPyObjects([line], *SIZE))[..., 0].astype(bool)


def painted(mask: Mask) -> Mask:
    """Return the pixels that OpenCV paints of the outline, cut to whole pixels as it needs them."""
    canvas = np.zeros(SIZE, np.uint8)
    cv2.fillPoly(canvas, [single_outline(region(mask)).astype(np.int32)], 1)
    return canvas.astype(bool)


@pytest.mark.parametrize("shape", MASKS)
def test_it_encloses_the_mask(shape: str) -> None:
    np.testing.assert_array_equal(enclosed(MASKS[shape]), MASKS[shape])


@pytest.mark.parametrize("shape", [name for name in SHAPES if name not in ("two parts", "noise")])
def test_painting_it_gives_the_mask(shape: str) -> None:
    np.testing.assert_array_equal(painted(MASKS[shape]), MASKS[shape])


@pytest.mark.parametrize("shape", MASKS)
def test_painting_it_adds_nothing_but_bridges_between_parts(shape: str) -> None:
    mask = MASKS[shape]
    assert not (mask & ~painted(mask)).any()
    parts, _ = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    extra, _ = cv2.connectedComponents((painted(mask) & ~mask).astype(np.uint8), connectivity=8)
    assert (extra > 1) == (parts > 2)


def test_bridges_are_the_shortest_ones() -> None:
    """Three blocks in a row: the outer ones are joined to the middle one, not to each other."""
    row = rectangle(SIZE, 0, 0, 10, 10) | rectangle(SIZE, 0, 14, 10, 20)
    row |= rectangle(SIZE, 0, 27, 10, 40)
    assert (painted(row) & ~row).sum() == 4 + 7


def test_corners_lie_a_little_inside_the_pixels() -> None:
    low, high = INSET, 1 - INSET
    corners = single_outline(region(rectangle(SIZE, 3, 5, 7, 6)))
    assert sorted(map(tuple, corners.tolist())) == [
        (5 + low, 3 + low),
        (5 + low, 6 + high),
        (5 + high, 3 + low),
        (5 + high, 6 + high),
    ]


@pytest.mark.parametrize("shape", MASKS)
def test_no_corner_comes_twice_in_a_row(shape: str) -> None:
    corners = single_outline(region(MASKS[shape]))
    assert (corners != np.roll(corners, 1, axis=0)).any(axis=1).all()


def test_it_has_corners_only_where_it_turns() -> None:
    assert len(single_outline(region(SHAPES["everything"]))) == 4
    # Two blocks of four corners, and the bridge's two ends, one of them once more on the way back.
    assert len(single_outline(region(SHAPES["two parts"]))) == 10
