import errno
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import grounded_ram.pipeline
import grounded_ram.video.annotate
from grounded_ram.cli.root import app
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.video.drawn import write_drawn
from tests.video import layout
from tests.video.squares import Squares, crossing, read_video, squares_model, write_squares

LENGTH = 8


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a video of two squares."""
    write_squares(tmp_path / "clip.mp4", crossing(LENGTH))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Let the command use the model that sees squares; return what it asks for."""
    told: list[dict[str, object]] = []

    def make(row: object, **options: object) -> GroundedRAM:
        told.append({"row": row, **options})
        return squares_model()

    monkeypatch.setattr(grounded_ram.pipeline, "GroundedRAM", make)
    return told


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["video", *arguments, "--preset", "tiny"])


def test_a_drawn_video_is_followed_by_the_tiny_preset(folder: Path) -> None:
    write_drawn("drawn.mp4", 10)
    options = ("--tags", "car,fish", "--device", "cpu", "--every", "3")
    done = run("drawn.mp4", "-o", "out", *options)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert any("#1" in line and "car" in line for line in lines)
    assert "frames annotated: 4, objects: 2" in lines
    assert f"objects: {Path('out/drawn.json')}" in lines
    assert [one["name"] for one in layout.load(Path("out/drawn.json"))["categories"]] == [
        "car",
        "fish",
    ]
    assert len(read_video(Path("out/drawn.mp4"))[0]) == 10


def test_json_is_all_of_standard_output(folder: Path, asked: list[dict[str, object]]) -> None:
    done = run("clip.mp4", "-o", "out", "--json", "--every", "2", "--batch-size", "4")
    told = json.loads(done.stdout)
    assert [track["label"] for track in told["tracks"]] == ["apple", "car"]
    assert (told["frames"], told["frames_drawn"]) == (4, LENGTH)
    assert set(told["files"]) == {"objects", "table", "overlay"}
    assert asked[0]["batch_size"] == 4


def test_options_reach_their_place(folder: Path, asked: list[dict[str, object]]) -> None:
    options = ("--box-threshold", "0.6", "--min-frames", "9", "--no-draw", "--keep-frames")
    done = run("clip.mp4", "-o", "out", *options)
    assert done.exit_code == 0, done.output
    assert asked[0]["row"].box_threshold == 0.6  # type: ignore[attr-defined]
    assert "objects: 2" in done.stdout  # in a video of 8 frames none can be seen in 9
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        "clip",
        "clip.json",
        "clip.tracks.csv",
    ]
    assert len(list((folder / "out/clip").iterdir())) == LENGTH


def test_what_is_there_is_refused_before_models_are_loaded(
    folder: Path, asked: list[dict[str, object]]
) -> None:
    assert run("clip.mp4", "-o", "out").exit_code == 0
    asked.clear()
    again = run("clip.mp4", "-o", "out")
    assert (again.exit_code, asked) == (2, [])
    assert "clip.mp4' is there from an earlier run" in again.stderr
    assert run("clip.mp4", "-o", "out", "--overwrite").exit_code == 0


def test_a_full_disk_is_told_without_a_promise_to_go_on(
    folder: Path, asked: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(grounded_ram.video.annotate, "write_tracks", refuse)
        done = run("clip.mp4", "-o", "out")
    assert "the disk is full" in done.stderr
    assert "type the command again, with --overwrite" in done.stderr
    assert "go on" not in done.stderr
    assert run("clip.mp4", "-o", "out", "--overwrite").exit_code == 0


def test_a_video_without_an_ending_is_not_taken_for_results(
    folder: Path, asked: list[dict[str, object]]
) -> None:
    (folder / "clip.mp4").rename("clip")
    for options in ((), ("--overwrite", "--keep-frames")):
        done = run("clip", "-o", ".", *options)
        assert done.exit_code == 2
        assert "the results would replace 'clip' itself; choose another folder" in done.stderr
    assert run("clip", "-o", "out", "--keep-frames").exit_code == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.mp4", "expected a video, but there is no file 'none.mp4'"),
        ("text.mp4", "text.mp4: damaged, or no video: no frame can be read"),
    ],
)
def test_what_is_no_video_is_one_line_and_code_2(
    folder: Path, asked: list[dict[str, object]], name: str, said: str
) -> None:
    (folder / "text.mp4").write_text("no video")
    done = run(name, "-o", "out")
    assert (done.exit_code, asked) == (2, [])
    assert done.stderr == f"error: {said}\n"
    assert not (folder / "out").exists()


class Interrupted(Squares):
    """Presses Ctrl-C while it looks at a frame."""

    def __init__(self, *frames: int) -> None:
        super().__init__()
        self.at = frames

    def detect(self, *arguments: object, **options: object) -> list[object]:  # type: ignore[override]
        found = super().detect(*arguments, **options)  # type: ignore[arg-type]
        if self.detected in self.at:
            signal.raise_signal(signal.SIGINT)
        return found  # type: ignore[return-value]


def interrupting(*frames: int) -> Callable[..., GroundedRAM]:
    return lambda row, **options: squares_model(Interrupted(*frames))


def test_ctrl_c_leaves_a_video_that_plays_and_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grounded_ram.pipeline, "GroundedRAM", interrupting(3))
    done = run("clip.mp4", "-o", "out")
    assert done.exit_code == 130
    assert "Ctrl-C once more stops at once" in done.stderr
    assert "stopped; the files hold the first 3 frames that were annotated" in done.stderr
    assert layout.load(Path("out/clip.json"))["videos"][0]["length"] == 3
    assert len(read_video(Path("out/clip.mp4"))[0]) == 3


def test_a_second_ctrl_c_stops_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grounded_ram.pipeline, "GroundedRAM", interrupting(3))
    stop = grounded_ram.pipeline.GroundedRAM

    def twice(row: object, **options: object) -> GroundedRAM:
        model = stop(row, **options)  # type: ignore[arg-type]
        before = model.annotate_batch

        def annotate_batch(*arguments: object, **given: object) -> object:
            found = before(*arguments, **given)  # type: ignore[arg-type]
            if model.detector.detected == 3:  # type: ignore[attr-defined]
                signal.raise_signal(signal.SIGINT)
            return found

        model.annotate_batch = annotate_batch  # type: ignore[assignment, method-assign]
        return model

    monkeypatch.setattr(grounded_ram.pipeline, "GroundedRAM", twice)
    done = run("clip.mp4", "-o", "out")
    assert done.exit_code == 130
    assert "stopped at once" in done.stderr
    assert not (folder / "out" / "clip.json").exists()
