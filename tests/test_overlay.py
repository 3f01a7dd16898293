from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import supervision as sv

from grounded_ram.errors import InputError
from grounded_ram.overlay import (
    PALETTE,
    color_of,
    draw_overlay,
    line_thickness,
    place_labels,
    text_height,
)
from tests.hand_annotation import annotate, rectangle

SIZE = (120, 160)
CAR = rectangle(SIZE, 30, 40, 100, 120)
DOOR = rectangle(SIZE, 60, 70, 80, 90)


def only_masks(annotation, opacity: float = 1.0) -> np.ndarray:
    return np.asarray(draw_overlay(annotation, boxes=False, labels=False, opacity=opacity))


def test_without_objects_the_picture_is_the_image() -> None:
    empty = annotate(size_hw=(30, 50))
    np.testing.assert_array_equal(np.asarray(empty.overlay()), empty.pixels)


def test_the_input_is_not_drawn_on() -> None:
    annotation = annotate([("car", CAR)])
    pixels, xyxy = annotation.pixels.copy(), annotation.detections.xyxy.copy()
    assert (np.asarray(annotation.overlay()) != pixels).any()
    np.testing.assert_array_equal(annotation.pixels, pixels)
    np.testing.assert_array_equal(annotation.detections.xyxy, xyxy)


def test_masks_change_the_pixels_inside_and_only_those() -> None:
    annotation = annotate([("car", CAR)])
    drawn = only_masks(annotation)
    np.testing.assert_array_equal(drawn[CAR], np.broadcast_to(color_of("car"), drawn[CAR].shape))
    np.testing.assert_array_equal(drawn[~CAR], annotation.pixels[~CAR])


def test_opacity_blends() -> None:
    annotation = annotate([("car", CAR)])
    inside = rectangle(SIZE, 35, 45, 95, 115)
    expected = 0.25 * np.array(color_of("car")) + 0.75 * annotation.pixels[inside]
    np.testing.assert_allclose(only_masks(annotation, 0.25)[inside], expected, atol=1)


@pytest.mark.parametrize("order", [1, -1])
def test_where_masks_overlap_both_colours_show_the_smaller_on_top(order: int) -> None:
    drawn = only_masks(annotate([("car", CAR), ("door", DOOR)][::order]))
    assert color_of("car") != color_of("door")
    assert (drawn[DOOR] == color_of("door")).all()
    assert (drawn[CAR & ~DOOR] == color_of("car")).all()


def test_an_empty_mask_still_has_its_box() -> None:
    annotation = annotate([("car", np.zeros(SIZE, bool))])
    np.testing.assert_array_equal(only_masks(annotation), annotation.pixels)
    assert (np.asarray(draw_overlay(annotation, labels=False)) != annotation.pixels).any()


def test_each_layer_can_be_left_out() -> None:
    annotation = annotate([("car", CAR)])
    nothing = draw_overlay(annotation, masks=False, boxes=False, labels=False)
    np.testing.assert_array_equal(np.asarray(nothing), annotation.pixels)
    layers = [{"masks": True}, {"boxes": True}, {"labels": True}]
    off = {"masks": False, "boxes": False, "labels": False}
    pictures = [np.asarray(draw_overlay(annotation, **{**off, **layer})) for layer in layers]
    for picture in pictures:
        assert (picture != annotation.pixels).any()
    centre = (65, 80)
    assert (pictures[1][centre] == annotation.pixels[centre]).all()  # a box is hollow


def test_colours_are_the_same_in_every_process() -> None:
    names = ["car", "tree", "traffic light", "straße", ""]
    code = f"from grounded_ram.overlay import color_of; print([color_of(n) for n in {names!r}])"
    other_seed = str((int(os.environ.get("PYTHONHASHSEED", "0").replace("random", "0")) + 1) % 99)
    environment = {**os.environ, "PYTHONHASHSEED": other_seed, "PYTHONIOENCODING": "utf-8"}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == str([color_of(name) for name in names])


def test_colours_are_the_same_in_every_release() -> None:
    assert color_of("car") == (184, 128, 192)


def test_colour_depends_on_the_name_not_on_the_others() -> None:
    alone = only_masks(annotate([("car", CAR)]))
    beside = only_masks(annotate([("door", DOOR), ("car", CAR)]))
    np.testing.assert_array_equal(alone[CAR & ~DOOR], beside[CAR & ~DOOR])


def test_palette_has_no_near_twins() -> None:
    colors = np.array([color.as_rgb() for color in PALETTE.colors], int)
    apart = np.abs(colors[:, None] - colors[None]).sum(2) + 999 * np.eye(len(colors), dtype=int)
    assert apart.min() >= 40


@pytest.mark.parametrize("size_hw", [(200, 200), (1080, 1920), (4320, 7680), (50, 20_000)])
def test_lines_and_text_grow_with_the_picture(size_hw: tuple[int, int]) -> None:
    assert text_height(size_hw) >= 11
    assert text_height(size_hw) <= min(size_hw) / 4
    assert 1 <= line_thickness(size_hw) <= max(1, min(size_hw) / 100)


def test_scale_draws_on_a_larger_picture() -> None:
    annotation = annotate([("car", CAR)])
    large = np.asarray(draw_overlay(annotation, scale=2, boxes=False, labels=False, opacity=1))
    assert large.shape == (240, 320, 3)
    inside = CAR.repeat(2, 0).repeat(2, 1)
    assert (large[inside] == color_of("car")).all()
    assert draw_overlay(annotation, scale=0.001).size == (1, 1)


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 300), (300, 1), (50, 2000)])
def test_odd_shapes_are_drawn(size_hw: tuple[int, int]) -> None:
    annotation = annotate([("a rather long name", np.ones(size_hw, bool))])
    picture = annotation.overlay()
    assert picture.size == size_hw[::-1]
    assert (np.asarray(picture) != annotation.pixels).any()


def test_labels_stay_inside_and_off_each_other() -> None:
    rng = np.random.default_rng(3)
    corner = rng.uniform(0, 900, (40, 2))
    boxes = np.hstack([corner, corner + rng.uniform(5, 100, (40, 2))])
    boxes[1] = boxes[0]  # one object under two names
    boxes[2:4] = [[0, 0, 30, 5], [980, 990, 1000, 1000]]  # no room beside the frame
    sizes = np.stack([rng.integers(40, 90, 40), np.full(40, 18)], axis=1)
    corners = place_labels(boxes, sizes, (1000, 1000))
    placed = np.hstack([corners, corners + sizes])
    assert placed.min() >= 0
    assert placed.max() <= 1000
    overlap = sv.box_iou_batch(placed, placed) - np.eye(40)
    np.testing.assert_allclose(overlap, 0, atol=1e-6)


def test_a_label_touches_its_box_where_there_is_room() -> None:
    assert place_labels(
        np.array([[50.0, 60, 90, 100]]), np.array([[30, 12]]), (200, 200)
    ).tolist() == [[50, 48]]
    assert place_labels(np.zeros((0, 4)), np.zeros((0, 2), int), (9, 9)).shape == (0, 2)


@pytest.mark.parametrize(
    "options", [{"opacity": 1.5}, {"scale": 0}, {"scale": float("nan")}, {"font": "no such.ttf"}]
)
def test_options_are_checked(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        draw_overlay(annotate(), **options)
