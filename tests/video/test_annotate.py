"""Whole videos, by a model that sees coloured squares and by the tiny one."""

import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import PIL.Image
import pytest
import torch

from grounded_ram.errors import InputError, MissingDependencyError
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.video.annotate import annotate_video
from grounded_ram.video.drawing import color_of_track
from grounded_ram.video.drawn import CAST, draw_frames, write_drawn
from grounded_ram.video.result import Choices, VideoResult
from tests.video import layout
from tests.video.scoring import Pair, purity
from tests.video.squares import (
    Squares,
    crossing,
    picture,
    read_video,
    squares_model,
    write_noise,
    write_squares,
)

LENGTH = 20


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """An apple and a car that pass one another."""
    return write_squares(tmp_path / "in" / "clip.mp4", crossing(LENGTH))


def annotate(clip: Path, model: GroundedRAM | None = None, **options: object) -> VideoResult:
    out = clip.parents[1] / "out"
    return annotate_video(model or squares_model(), clip, out, **options)  # type: ignore[arg-type]


def out(clip: Path, end: str = ".json") -> Path:
    return clip.parents[1] / "out" / f"clip{end}"


def rows(clip: Path) -> list[dict[str, str]]:
    with out(clip, ".tracks.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_two_objects_have_two_numbers_in_all_files(clip: Path) -> None:
    result = annotate(clip)
    assert [(track.id, track.label, track.frames) for track in result.tracks] == [
        (1, "apple", LENGTH),
        (2, "car", LENGTH),
    ]
    told = layout.load(out(clip))
    assert [one["name"] for one in told["categories"]] == ["apple", "car"]
    assert told["videos"][0]["length"] == LENGTH
    lefts = [box[0] for box in told["annotations"][0]["bboxes"]]
    np.testing.assert_allclose(lefts, 2 + 3 * np.arange(LENGTH), atol=1)
    assert {(row["track"], row["label"]) for row in rows(clip)} == {("1", "apple"), ("2", "car")}
    assert len(rows(clip)) == 2 * LENGTH
    assert result.files() == {
        "objects": out(clip),
        "table": out(clip, ".tracks.csv"),
        "overlay": out(clip, ".mp4"),
    }


def test_the_overlay_has_the_frames_size_and_speed_of_the_video(clip: Path) -> None:
    result = annotate(clip)
    (before, fps), (after, fps_after) = read_video(clip), read_video(out(clip, ".mp4"))
    assert len(after) == len(before) == result.drawn == LENGTH
    assert after[0].shape == before[0].shape
    assert fps_after == pytest.approx(fps, rel=0.01)
    apple = np.array(color_of_track(result.tracks[0]), int)
    for number in (0, LENGTH - 1):  # red, with the colour of number 1 laid over it
        x, y = crossing(LENGTH)[number]["apple"]
        tint = 0.45 * apple + 0.55 * np.array([235, 20, 20])
        seen = after[number][y + 10, x + 8].astype(int)
        np.testing.assert_allclose(seen, tint, atol=30)


def test_uneven_times_come_through(tmp_path: Path) -> None:
    told = [0.0, 0.1, 0.15, 0.9, 1.0]
    clip = write_squares(tmp_path / "in/clip.mp4", crossing(5), seconds=told)
    annotate(clip)
    np.testing.assert_allclose(layout.load(out(clip))["videos"][0]["seconds"], told, atol=2e-3)
    assert [float(row["second"]) for row in rows(clip)[::2]] == pytest.approx(told, abs=2e-3)


@pytest.mark.parametrize("batch_size", [3, 64])
def test_the_batch_size_changes_nothing(clip: Path, batch_size: int) -> None:
    annotate(clip)
    first = layout.load(out(clip))
    annotate(clip, squares_model(batch_size=batch_size), overwrite=True)
    assert layout.load(out(clip)) == first


def test_every_third_frame_is_annotated_and_all_are_drawn(clip: Path) -> None:
    stage = Squares()
    result = annotate(clip, squares_model(stage), choices=Choices(every=3))
    assert stage.detected == result.annotated == 7
    assert result.drawn == LENGTH
    told = layout.load(out(clip))
    assert told["videos"][0]["frame_numbers"] == list(range(0, LENGTH, 3))
    assert [track.frames for track in result.tracks] == [7, 7]
    assert result.fps == pytest.approx(10, rel=0.01)


def test_the_tagger_is_asked_about_some_frames_and_all_are_searched(tmp_path: Path) -> None:
    """A tree that only the last frame's tags know of is found before, too."""
    frames = [{"tree": (3 * k - 30, 20)} for k in range(LENGTH)]
    clip, stage = write_squares(tmp_path / "in/clip.mp4", frames), Squares()
    result = annotate(clip, squares_model(stage), choices=Choices(tag_frames=2))
    assert stage.tagged == 2
    assert result.looked_for == ("tree",)
    assert result.tracks[0].frames == LENGTH - 5  # the first ones show too little of it


def test_named_things_are_looked_for_and_the_tagger_is_not_asked(clip: Path) -> None:
    stage = Squares()
    result = annotate(clip, squares_model(stage), tags=["car"])
    assert stage.tagged == 0
    assert [track.label for track in result.tracks] == ["car"]
    told = layout.load(out(clip))
    assert told["info"]["run"]["video"]["looked_for"] == ["car"]


@pytest.mark.parametrize(("gone", "numbers"), [(5, 1), (15, 2)])
def test_who_comes_back_in_time_keeps_its_number(tmp_path: Path, gone: int, numbers: int) -> None:
    there = [{"apple": (20, 20)}] * 4
    clip = write_squares(tmp_path / "in/clip.mp4", [*there, *[{}] * gone, *there])
    result = annotate(clip, choices=Choices(patience_s=1.0))
    assert [track.frames for track in result.tracks] == [8] if numbers == 1 else [4, 4]


def test_no_patience_still_outlives_one_frame_without_the_object(tmp_path: Path) -> None:
    there: list[dict[str, tuple[int, int]]] = [{"apple": (20, 20)}] * 3
    clip = write_squares(tmp_path / "in/clip.mp4", [*there, {}, *there])
    assert [one.frames for one in annotate(clip, choices=Choices(patience_s=0.0)).tracks] == [6]


def test_a_flash_is_left_out_and_told(tmp_path: Path) -> None:
    frames: list[dict[str, tuple[int, int]]] = [{"apple": (20, 20)} for _ in range(5)]
    frames[2]["car"] = (60, 20)
    clip = write_squares(tmp_path / "in/clip.mp4", frames)
    result = annotate(clip)
    assert ([track.label for track in result.tracks], result.left_out) == (["apple"], 1)
    assert {row["label"] for row in rows(clip)} == {"apple"}
    result = annotate(clip, choices=Choices(min_frames=1), overwrite=True)
    assert ([track.label for track in result.tracks], result.left_out) == (["apple", "car"], 0)


def test_a_video_of_one_frame(tmp_path: Path) -> None:
    clip = write_squares(tmp_path / "in/clip.mp4", [{"apple": (20, 20)}])
    result = annotate(clip)
    assert [(track.id, track.frames) for track in result.tracks] == [(1, 1)]
    assert layout.load(out(clip))["annotations"][0]["areas"] == [pytest.approx(256, abs=20)]
    assert len(read_video(out(clip, ".mp4"))[0]) == 1


def test_a_video_without_objects(tmp_path: Path) -> None:
    clip = write_squares(tmp_path / "in/clip.mp4", [{}] * 4)
    result = annotate(clip)
    assert (result.tracks, result.annotated, result.drawn) == ((), 4, 4)
    told = layout.load(out(clip))
    assert (told["categories"], told["annotations"]) == ([], [])
    assert rows(clip) == []


def test_odd_sides_keep_their_size_in_the_labels(tmp_path: Path) -> None:
    clip = tmp_path / "in/clip.mov"
    clip.parent.mkdir()
    with av.open(str(clip), "w") as container:  # H.264 and OpenCV's writer have no odd sides
        stream = container.add_stream("png", 10, width=97, height=63, pix_fmt="rgb24")
        for k in range(3):
            pixels = picture({"apple": (81, 20 + k)}, (63, 97))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode(None))
    annotate(clip)
    told = layout.load(out(clip))
    assert (told["videos"][0]["width"], told["videos"][0]["height"]) == (97, 63)
    assert read_video(out(clip, ".mp4"))[0][0].shape == (64, 98, 3)


def test_a_video_cut_short_is_annotated_as_far_as_it_goes(tmp_path: Path) -> None:
    clip = tmp_path / "in/clip.avi"
    clip.parent.mkdir()
    write_noise(clip, 20)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    result = annotate(clip)
    assert 5 <= result.annotated == result.drawn < 20
    assert result.notes == (f"damaged: it ends after {result.annotated} of 20 frames",)
    assert len(read_video(out(clip, ".mp4"))[0]) == result.annotated


class StopAfter:
    """Wants an end once it was asked so many times."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_a_stop_while_annotating_leaves_what_was_done(clip: Path) -> None:
    result = annotate(clip, tags=["apple"], stop=StopAfter(5))
    assert result.interrupted
    assert result.annotated == result.drawn == 5
    assert layout.load(out(clip))["videos"][0]["length"] == 5
    assert len(read_video(out(clip, ".mp4"))[0]) == 5


def test_a_stop_while_drawing_ends_the_drawing(clip: Path) -> None:
    result = annotate(clip, tags=["apple"], stop=StopAfter(LENGTH + 5))
    assert (result.interrupted, result.annotated) == (True, LENGTH)
    assert len(read_video(out(clip, ".mp4"))[0]) == result.drawn < LENGTH


def test_a_stop_while_tagging_annotates_nothing(clip: Path) -> None:
    stage = Squares()
    result = annotate(clip, squares_model(stage), stop=lambda: True)
    assert (result.interrupted, stage.tagged, stage.detected) == (True, 1, 0)
    assert (result.files(), result.annotated) == ({}, 0)
    assert not out(clip).exists()


def test_nothing_is_replaced_unasked(clip: Path) -> None:
    annotate(clip)
    before = out(clip).read_bytes()
    with pytest.raises(InputError, match=r"clip\.mp4' is there from an earlier run.*--overwrite"):
        annotate(clip, tags=["apple"])
    assert out(clip).read_bytes() == before
    annotate(clip, tags=["apple"], overwrite=True)
    assert out(clip).read_bytes() != before


def test_an_overlay_does_not_replace_its_own_video(clip: Path) -> None:
    with pytest.raises(InputError, match="the results would replace"):
        annotate_video(squares_model(), clip, clip.parent, overwrite=True)
    assert len(read_video(clip)[0]) == LENGTH


def test_frames_that_are_kept_are_those_that_the_labels_name(clip: Path) -> None:
    result = annotate(clip, choices=Choices(every=5, keep_frames=True, draw=False))
    names = layout.load(out(clip))["videos"][0]["file_names"]
    assert names == [f"clip/{number:06}.jpg" for number in (0, 5, 10, 15)]
    for name in names:
        with PIL.Image.open(out(clip).parent / name) as picture:
            assert picture.size == (96, 64)
    assert "overlay" not in result.files()
    assert not out(clip, ".mp4").exists()


def test_progress_is_told_to_the_end(clip: Path) -> None:
    told: list[tuple[str, int, int]] = []
    annotate(clip, on_progress=lambda *row: told.append(row), choices=Choices(tag_frames=3))
    assert told[:3] == [("asking what is there", k, 3) for k in (1, 2, 3)]
    assert ("annotating", LENGTH, LENGTH) in told
    assert told[-1] == ("drawing", LENGTH, LENGTH)


@pytest.mark.parametrize(
    "wrong",
    [{"every": 0}, {"min_frames": 1.5}, {"begin_threshold": 2.0}, {"patience_s": float("nan")}],
)
def test_choices_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Choices(**wrong)


def test_without_trackers_it_is_said_before_anything_is_done(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trackers", None)
    stage = Squares()
    with pytest.raises(MissingDependencyError, match="pip install"):
        annotate(clip, squares_model(stage))
    assert stage.tagged == 0


def pairs_of(told: dict[str, object], truth: Sequence[dict[int, np.ndarray]]) -> list[list[Pair]]:
    """Match the masks of a file with true ones that they overlap by half, frame by frame."""
    found = [(one["id"], layout.masks(one)) for one in told["annotations"]]  # type: ignore[attr-defined, index]
    frames = []
    for index, true in enumerate(truth):
        frames.append(
            [
                (actor, number)
                for actor, mask in true.items()
                for number, masks in found
                if index in masks
                and (masks[index] & mask).sum() > 0.5 * (masks[index] | mask).sum()
            ]
        )
    return frames


@dataclass(frozen=True)
class Drawn:
    """A drawn video that the tiny model annotated."""

    result: VideoResult
    told: dict[str, object]
    truth: list[dict[int, np.ndarray]]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("drawn")
    length = 14
    write_drawn(folder / "drawn.mp4", length)
    model = GroundedRAM("tiny", device="cpu")
    choices = Choices(tag_frames=3)
    result = annotate_video(model, folder / "drawn.mp4", folder / "out", choices=choices)
    truth = [frame.masks for frame in draw_frames(length)]
    return Drawn(result, layout.load(folder / "out/drawn.json"), truth)


def test_the_tiny_model_follows_three_objects_that_cross(drawn: Drawn) -> None:
    """Measured: purity 0.97; one frame's star mask spills over the fish that it hides."""
    labels = {track.id: track.label for track in drawn.result.tracks}
    assert sorted(labels.values()) == sorted(one.name for one in CAST)
    frames = pairs_of(drawn.told, drawn.truth)
    pairs = [pair for frame in frames for pair in frame]
    assert len(pairs) >= 0.85 * 3 * len(frames)  # of the objects' frames, found by mask
    assert purity(pairs) >= 0.95
    right = [labels[number] == CAST[actor].name for actor, number in pairs]
    assert np.mean(right) >= 0.95


def test_a_drawn_video_is_as_long_as_asked(tmp_path: Path) -> None:
    frames, fps = read_video(write_drawn(tmp_path / "a.mp4", 3, fps=8, size=64))
    assert (len(frames), frames[0].shape, fps) == (3, (64, 64, 3), 8)
