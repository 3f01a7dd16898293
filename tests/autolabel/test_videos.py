"""Frames of real videos: which, called what, upright, and what damaged ones give."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from grounded_ram.autolabel.items import Item, Naming, Skipped
from grounded_ram.autolabel.sources import open_sources
from grounded_ram.autolabel.videos import Video, _Every, check_frames, timecode
from grounded_ram.errors import InputError

FPS = 10


def frame(grey: int) -> NDArray[np.uint8]:
    return np.full((48, 64, 3), grey, np.uint8)


def write(path: Path, frames: list[NDArray[np.uint8]], code: str = "mp4v") -> Path:
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), FPS, (width, height))
    assert writer.isOpened()
    for one in frames:
        writer.write(one)
    writer.release()
    return path


def counting(count: int) -> list[NDArray[np.uint8]]:
    """Make frames that are told apart by their grey, which a codec makes darker by up to 4."""
    return [frame(10 * number + 3) for number in range(count)]


def naming(folder: Path) -> Naming:
    return Naming(str(folder), folder / "keep", unique=False)


def take(video: Video, folder: Path) -> dict[str, int]:
    """Return the items' names and the number of the frame that is in each file."""
    taken = {}
    for item in video.items(naming(folder)):
        assert isinstance(item, Item), item
        assert item.path == str(folder / "keep" / item.name)
        taken[item.name] = round(float(cv2.imread(item.path).mean()) / 10)
    return taken


@pytest.mark.parametrize(
    ("name", "code"), [("clip.mp4", "mp4v"), ("clip.AVI", "MJPG"), ("clip.mkv", "mp4v")]
)
def test_frames_of_every_second(tmp_path: Path, name: str, code: str) -> None:
    path = write(tmp_path / name, counting(25), code)
    assert take(Video(path, "1s"), tmp_path) == {
        "clip/00-00-00.000.jpg": 0,
        "clip/00-00-01.000.jpg": 10,
        "clip/00-00-02.000.jpg": 20,
    }


@pytest.mark.parametrize(
    ("frames", "numbers"),
    [
        ("7", [0, 7, 14, 21]),
        ("1", list(range(25))),
        ("100", [0]),
        ("0.5s", [0, 5, 10, 15, 20]),
        ("0.25s", [0, 3, 5, 8, 10, 13, 15, 18, 20, 23]),
        (".1s", list(range(25))),
        ("0.01s", list(range(25))),
        ("60s", [0]),
    ],
)
def test_a_choice_of_frames(tmp_path: Path, frames: str, numbers: list[int]) -> None:
    path = write(tmp_path / "clip.mp4", counting(25))
    taken = take(Video(path, frames), tmp_path)
    assert list(taken.values()) == numbers
    assert list(taken) == [f"clip/{timecode(number / FPS)}.jpg" for number in numbers]


def test_times_are_binary_fractions_of_what_they_mean() -> None:
    every = _Every(0.1)
    taken = [number for number in range(1000) if every(number, number / 20, cv2.VideoCapture())]
    assert taken == list(range(0, 1000, 2))


def test_the_first_frame_of_each_scene(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scenes = []
    for length in (8, 12, 3, 9):  # the third is too short to follow its change by another
        wide = cv2.resize(rng.integers(0, 256, (8, 12, 3), np.uint8), (120, 48))
        scenes += [wide[:, shift : shift + 64] for shift in range(length)]  # a camera that pans
    path = write(tmp_path / "clip.avi", [np.ascontiguousarray(one) for one in scenes], "MJPG")
    items = list(Video(path, "scenes").items(naming(tmp_path)))
    starts = [0, 8, 20]
    assert [item.name for item in items] == [f"clip/{timecode(one / FPS)}.jpg" for one in starts]


def test_a_second_time_frames_stay_and_lost_ones_come_again(tmp_path: Path) -> None:
    video = Video(write(tmp_path / "clip.mp4", counting(25)), "1s")
    before = take(video, tmp_path)
    kept, lost = tmp_path / "keep/clip/00-00-00.000.jpg", tmp_path / "keep/clip/00-00-01.000.jpg"
    cv2.imwrite(str(kept), frame(250))
    lost.unlink()
    assert take(video, tmp_path) == {**before, "clip/00-00-00.000.jpg": 25}


def test_frames_are_written_as_they_are_reached(tmp_path: Path) -> None:
    items = Video(write(tmp_path / "clip.mp4", counting(25)), "1s").items(naming(tmp_path))
    item = next(items)
    assert isinstance(item, Item)
    assert item.origin == "clip.mp4 at 00:00:00.000"
    assert len(list((tmp_path / "keep/clip").iterdir())) == 1
    items.close()  # type: ignore[attr-defined]


def test_frames_are_upright_as_the_container_says(tmp_path: Path) -> None:
    picture = frame(0)
    picture[:, :32] = 255  # white on the left
    path = write(tmp_path / "clip.mp4", [picture] * 5)
    data = path.read_bytes()
    matrix = data.index(b"tkhd") + 44  # of the track, 16.16 fixed point
    one, minus = (1 << 16).to_bytes(4, "big"), (-1 << 16).to_bytes(4, "big", signed=True)
    zero = bytes(4)
    turned = zero + one + zero + minus + zero + zero + (48 << 16).to_bytes(4, "big") + zero
    path.write_bytes(data[:matrix] + turned + data[matrix + 32 :])
    (item,) = Video(path, "1s").items(naming(tmp_path))
    assert isinstance(item, Item)
    upright = cv2.imread(item.path)
    assert upright.shape == (64, 48, 3)
    assert upright[:30].mean() > 240  # a quarter turn clockwise: left is up
    assert upright[34:].mean() < 15


def test_a_video_cut_short_gives_what_it_has(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(40)]
    path = write(tmp_path / "clip.avi", noise, "MJPG")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    *items, last = Video(path, "1s").items(naming(tmp_path))
    assert len(items) in (2, 3)
    assert all(isinstance(item, Item) for item in items)
    assert isinstance(last, Skipped)
    assert last.name == "clip.avi"
    assert last.reason.startswith("damaged: it ends after ")
    assert last.reason.endswith(" of 40 frames")


@pytest.mark.parametrize("content", [b"", b"no video" * 100])
def test_what_is_no_video_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    assert list(Video(path, "1s").items(naming(tmp_path))) == [
        Skipped("clip.mp4", "damaged, or no video: no frame can be read")
    ]


def test_videos_are_opened_by_pattern_and_left_alone_in_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    for name in ("a.mp4", "b.mp4"):
        write(tmp_path / "clips" / name, counting(5))
    sources = open_sources(["clips/*.mp4"], keep_in=tmp_path / "keep", frames="3")
    assert [item.name for item in sources.items()] == [
        "a/00-00-00.000.jpg",
        "a/00-00-00.300.jpg",
        "b/00-00-00.000.jpg",
        "b/00-00-00.300.jpg",
    ]
    assert sources.count() is None
    found = list(open_sources(["clips"], keep_in=tmp_path / "keep").items())
    assert [item.reason for item in found if isinstance(item, Skipped)] == [
        "not opened, since only those named by themselves are: .mp4"
    ] * 2


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "0s", "0.0s", "s", ".s", "1.5", "1m", "scene", "2 s"]
)
def test_no_choice_of_frames(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="expected a number as 30"):
        check_frames(text)
    with pytest.raises(InputError, match="frames"):
        Video(tmp_path / "clip.mp4", text)


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (0, "00-00-00.000"),
        (12.345, "00-00-12.345"),
        (59.9996, "00-01-00.000"),
        (366_000.5, "101-40-00.500"),
    ],
)
def test_timecodes(second: float, code: str) -> None:
    assert timecode(second) == code
