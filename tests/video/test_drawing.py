"""What is drawn on each frame: whose colour, which label, where between two frames."""

import tempfile
from collections.abc import Iterator

import numpy as np
import pytest

from grounded_ram.export import shapes
from grounded_ram.overlay import PALETTE
from grounded_ram.video.clip import Frame
from grounded_ram.video.drawing import Painter, between, color_of_track
from grounded_ram.video.spool import Seen, Spool
from grounded_ram.video.tracks import Story, Track

SIZE_HW = (40, 60)


def square(track: int, x: int, y: int, side: int = 8, score: float = 0.5) -> Seen:
    region = shapes.Region(np.ones((side, side), bool), x, y)
    counts = str(shapes.rle(region, SIZE_HW)["counts"])
    box = (float(x), float(y), float(side), float(side))
    return Seen(track, "dog", score, box, side * side, counts, {})


def track(number: int) -> Track:
    return Track(number, "dog", "object", 0.5, 2, 0.0, 1.0, {"dog": 1.0})


@pytest.fixture
def spool() -> Iterator[Spool]:
    with tempfile.TemporaryFile() as file:
        yield Spool(file)


def blank(number: int) -> Frame:
    return Frame(number, number / 10, np.full((*SIZE_HW, 3), 128, np.uint8))


def test_an_object_has_its_own_colour_in_all_frames(spool: Spool) -> None:
    for number, x in enumerate((2, 20, 40)):
        spool.add(number, number / 10, [square(7, x, 28), square(4, 50 - x, 28)])
    painter = Painter(Story(spool, {4: track(1), 7: track(2)}, SIZE_HW))
    for number, x in enumerate((2, 20, 40)):
        pixels = painter.paint(blank(number))
        assert tuple(pixels[28, x]) == color_of_track(track(2))
        assert tuple(pixels[28, 50 - x]) == color_of_track(track(1))


def test_as_many_neighbours_as_the_palette_has_differ() -> None:
    colors = [color_of_track(track(number)) for number in range(1, len(PALETTE) + 1)]
    assert len(set(colors)) == len(PALETTE)
    near = np.abs(np.diff(np.array(colors, int), axis=0)).max(axis=1)
    assert near.min() > 60


def test_between_two_frames_an_object_is_on_its_way() -> None:
    before, after = square(0, 0, 0, 8, 0.4), square(0, 20, 10, 16, 0.8)
    seen, mask = between(before, after, 0.25, SIZE_HW)
    assert seen.bbox == (5.0, 2.0, 10.0, 10.0)
    assert mask.shape == (10, 10)
    assert seen.score == pytest.approx(0.5)
    assert between(before, after, 0.25, SIZE_HW)[0].area == before.area
    assert between(before, after, 0.75, SIZE_HW)[0].area == after.area
    at_edge = between(square(0, 52, 32), square(0, 52, 32), 0.5, SIZE_HW)
    assert at_edge[0].bbox == (52.0, 32.0, 8.0, 8.0)


def test_frames_left_out_show_objects_gliding_and_the_last_ones_stay(spool: Spool) -> None:
    spool.add(0, 0.0, [square(0, 0, 30), square(1, 30, 30)])
    spool.add(4, 0.4, [square(0, 40, 30)])
    painter = Painter(Story(spool, {0: track(1)}, SIZE_HW))
    lefts = []
    for number in range(6):
        pixels = painter.paint(blank(number))
        row = (pixels[37] != 128).any(axis=1)  # below the label
        lefts.append(int(np.flatnonzero(row)[0]))
    assert lefts == [0, 10, 20, 30, 40, 40]


def test_who_appears_is_drawn_in_its_first_frame(spool: Spool) -> None:
    spool.add(0, 0.0, [])
    spool.add(1, 0.1, [square(0, 10, 20)])
    spool.add(2, 0.2, [square(0, 10, 20)])
    painter = Painter(Story(spool, {0: track(1)}, SIZE_HW))
    drawn = [(painter.paint(blank(number)) != 128).any() for number in range(3)]
    assert drawn == [False, True, True]


def test_tracks_that_were_left_out_are_not_drawn(spool: Spool) -> None:
    spool.add(0, 0.0, [square(3, 10, 10)])
    painter = Painter(Story(spool, {}, SIZE_HW))
    np.testing.assert_array_equal(painter.paint(blank(0)), blank(0).pixels)


def test_before_the_first_annotated_frame_nothing_is_drawn(spool: Spool) -> None:
    spool.add(2, 0.2, [square(0, 10, 10)])
    painter = Painter(Story(spool, {0: track(1)}, SIZE_HW))
    np.testing.assert_array_equal(painter.paint(blank(1)), blank(1).pixels)
    assert (painter.paint(blank(2)) != 128).any()
