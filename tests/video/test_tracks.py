"""Votes, numbers, and the file in which frames wait for them."""

import tempfile
from collections.abc import Iterator

import numpy as np
import pytest

from grounded_ram.export import shapes
from grounded_ram.video.spool import Seen, SeenFrame, Spool
from grounded_ram.video.tracks import Ballot


def seen(track: int, label: str = "dog", score: float = 0.5) -> Seen:
    return Seen(track, label, score, (0.0, 0.0, 1.0, 1.0), 1, "x", {"tag_score": 0.25})


def ballot(*rows: tuple[int, str, float]) -> Ballot:
    """Count (track, label, score) rows, a frame each."""
    one = Ballot()
    for second, row in enumerate(rows):
        one.count(seen(*row), "object", float(second))
    return one


@pytest.fixture
def spool() -> Iterator[Spool]:
    with tempfile.TemporaryFile() as file:
        yield Spool(file)


def test_the_label_is_that_with_the_highest_summed_score() -> None:
    track = ballot((0, "cat", 0.9), (0, "dog", 0.5), (0, "dog", 0.6)).decide(1)[0]
    assert track.label == "dog"
    assert track.votes == {"dog": 1.1, "cat": 0.9}
    assert track.score == pytest.approx(2.0 / 3)
    assert (track.frames, track.first_second, track.last_second) == (3, 0.0, 2.0)


def test_equal_votes_are_decided_by_the_alphabet_whatever_came_first() -> None:
    for rows in ([(0, "dog", 0.5), (0, "cat", 0.5)], [(0, "cat", 0.5), (0, "dog", 0.5)]):
        assert ballot(*rows).decide(1)[0].label == "cat"


def test_numbers_count_from_1_without_gaps_in_order_of_appearance() -> None:
    one = ballot((0, "a", 0.5), (1, "b", 0.5), (2, "c", 0.5), (2, "c", 0.5), (0, "a", 0.5))
    assert {number: track.id for number, track in one.decide(2).items()} == {0: 1, 2: 2}
    assert len(one) == 3


def test_nobody_was_seen() -> None:
    assert Ballot().decide(1) == {}


def test_frames_come_back_as_they_were_put_in_empty_ones_too(spool: Spool) -> None:
    frames = [(0, 0.0, [seen(0), seen(1, "cät")]), (3, 0.3, []), (6, 0.6, [seen(1)])]
    for number, second, objects in frames:
        spool.add(number, second, objects)
    assert list(spool.frames()) == [
        SeenFrame(index, number, second, tuple(objects))
        for index, (number, second, objects) in enumerate(frames)
    ]
    assert list(spool.of_track(1)) == [(0, seen(1, "cät")), (2, seen(1))]
    assert list(spool.of_track(9)) == []


def test_a_mask_comes_back_inside_its_box() -> None:
    pixels = np.array([[1, 0, 1], [0, 1, 0]], bool)
    counts = shapes.rle(shapes.Region(pixels, 5, 2), (9, 11))["counts"]
    one = Seen(0, "dog", 0.5, (5.0, 2.0, 3.0, 2.0), 3, str(counts), {})
    np.testing.assert_array_equal(one.crop((9, 11)), pixels)
