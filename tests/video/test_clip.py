"""Reading videos: upright RGB frames, their times, and what damaged files give."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import grounded_ram.video.clip
from grounded_ram.errors import InputError
from grounded_ram.video.clip import USUAL_FPS, Clip, Frame, Reading
from tests.video.squares import crossing, write_noise, write_squares


def read_all(path: Path) -> list[Frame]:
    return list(Reading(Clip.open(path), lambda number: True))


def test_frames_come_in_order_as_rgb_with_their_times(tmp_path: Path) -> None:
    path = write_squares(tmp_path / "a.mp4", crossing(5), fps=10)
    clip = Clip.open(path)
    assert (clip.size_hw, round(clip.fps), clip.announced) == ((64, 96), 10, 5)
    frames = read_all(path)
    assert [frame.number for frame in frames] == [0, 1, 2, 3, 4]
    np.testing.assert_allclose([frame.second for frame in frames], np.arange(5) / 10, atol=1e-3)
    red, green, blue = frames[0].pixels[22, 10].tolist()  # inside the apple
    assert red > 200
    assert max(green, blue) < 60


def test_only_what_is_wanted_is_decoded_and_all_is_counted(tmp_path: Path) -> None:
    reading = Reading(
        Clip.open(write_squares(tmp_path / "a.mp4", crossing(7))), {0, 4}.__contains__
    )
    assert [frame.number for frame in reading] == [0, 4]
    assert (reading.frames, reading.damaged, reading.fault) == (7, 0, None)


@pytest.mark.parametrize(("size", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (9, [5])])
def test_batches_lose_no_frame(tmp_path: Path, size: int, sizes: list[int]) -> None:
    reading = Reading(Clip.open(write_squares(tmp_path / "a.mp4", crossing(5))), lambda n: True)
    found = list(reading.batches(size))
    assert [len(batch) for batch in found] == sizes
    assert [frame.number for batch in found for frame in batch] == [0, 1, 2, 3, 4]


def test_uneven_times_are_kept_and_begin_at_0(tmp_path: Path) -> None:
    told = [0.5, 0.6, 1.0, 1.05, 3.0]
    frames = read_all(write_squares(tmp_path / "a.mp4", crossing(5), seconds=told))
    expected = [second - 0.5 for second in told]
    np.testing.assert_allclose([frame.second for frame in frames], expected, atol=2e-3)


def test_where_no_times_are_told_frames_are_evenly_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grounded_ram.video.clip, "second_of", lambda video: 0.0)
    frames = read_all(write_squares(tmp_path / "a.mp4", crossing(4), fps=10))
    np.testing.assert_allclose([frame.second for frame in frames], [0.0, 0.1, 0.2, 0.3], atol=1e-3)


def test_times_count_from_the_first_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = iter([5.0, 5.5, 7.0])
    monkeypatch.setattr(grounded_ram.video.clip, "second_of", lambda video: next(told))
    frames = read_all(write_squares(tmp_path / "a.mp4", crossing(3)))
    assert [frame.second for frame in frames] == [0.0, 0.5, 2.0]


def test_phones_turn_their_videos_and_frames_come_upright(tmp_path: Path) -> None:
    path = write_squares(tmp_path / "a.mp4", [{"apple": (0, 20)}] * 3)
    turn(path, 64)
    clip = Clip.open(path)
    assert clip.size_hw == (96, 64)  # it was 64 high and 96 wide
    pixels = read_all(path)[0].pixels
    assert pixels.shape == (96, 64, 3)
    assert pixels[4, 64 - 28, 0] > 200  # a quarter turn clockwise: what was left is above


def turn(path: Path, height: int) -> None:
    """Write a quarter turn clockwise into the header of an MP4 file."""
    data = path.read_bytes()
    matrix = data.index(b"tkhd") + 44
    one, minus = (1 << 16).to_bytes(4, "big"), (-1 << 16).to_bytes(4, "big", signed=True)
    zero = bytes(4)
    turned = zero + one + zero + minus + zero + zero + (height << 16).to_bytes(4, "big") + zero
    path.write_bytes(data[:matrix] + turned + data[matrix + 32 :])


def test_a_video_cut_short_gives_what_it_has_and_says_so(tmp_path: Path) -> None:
    path = write_noise(tmp_path / "a.avi", 20)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    reading = Reading(Clip.open(path), lambda number: True)
    frames = list(reading)
    assert 5 <= len(frames) < 20
    assert reading.fault == f"damaged: it ends after {len(frames)} of 20 frames"


def test_frames_are_counted_where_the_container_does_not_say(tmp_path: Path) -> None:
    path = write_squares(tmp_path / "a.mp4", crossing(6))
    clip = Clip.open(path)
    assert clip.count() == 6
    assert Clip(path, clip.size_hw, USUAL_FPS, announced=0).count() == 6


@pytest.mark.parametrize("content", [b"", b"no video at all\n" * 99])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.mp4: damaged, or no video: no frame can be read"):
        Clip.open(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a video, but there is no file '.*none\.mp4'"):
        Clip.open(tmp_path / "none.mp4")


def test_a_picture_is_no_video_of_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    PIL.Image.new("RGB", (32, 24)).save(path)
    with pytest.raises(InputError, match="got a picture; type: grounded-ram annotate"):
        Clip.open(path)
