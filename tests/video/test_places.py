"""Which files of an earlier run are replaced, and which are not ours to touch."""

from collections.abc import Callable
from pathlib import Path

import pytest

from grounded_ram.errors import InputError
from grounded_ram.video.annotate import annotate_video
from grounded_ram.video.result import Choices
from tests.video.squares import crossing, squares_model, write_squares


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_squares(tmp_path / "in" / "clip.mp4", crossing(20))


def annotate(
    clip: Path,
    choices: Choices | None = None,
    *,
    overwrite: bool = True,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    folder = clip.parents[1] / "out"
    annotate_video(squares_model(), clip, folder, choices=choices, overwrite=overwrite, stop=stop)


def out(clip: Path, end: str = ".json") -> Path:
    return clip.parents[1] / "out" / f"clip{end}"


def test_what_an_earlier_run_left_goes_and_what_is_not_ours_stays(clip: Path) -> None:
    annotate(clip, Choices(every=5, keep_frames=True))
    frames = out(clip, "")
    (frames / "mine.jpg").touch()
    annotate(clip, Choices(every=7, keep_frames=True, draw=False))
    assert not out(clip, ".mp4").exists()
    kept = {path.name for path in frames.iterdir()}
    assert kept == {"000000.jpg", "000007.jpg", "000014.jpg", "mine.jpg"}
    annotate(clip, Choices(draw=False))
    assert [path.name for path in frames.iterdir()] == ["mine.jpg"]
    (frames / "mine.jpg").unlink()
    annotate(clip, Choices(every=20, keep_frames=True, draw=False))
    annotate(clip, Choices(every=20, draw=False))
    assert not frames.exists()


def test_results_stay_until_there_are_new_ones(clip: Path) -> None:
    choices = Choices(every=10, keep_frames=True)
    annotate(clip, choices)
    before = sorted(path.name for path in out(clip).parent.rglob("*"))
    annotate(clip, choices, stop=lambda: True)
    assert sorted(path.name for path in out(clip).parent.rglob("*")) == before


def test_a_folder_of_other_things_is_no_earlier_run_and_a_file_is_in_the_way(clip: Path) -> None:
    out(clip, "").mkdir(parents=True)
    (out(clip, "") / "other.mov").touch()
    annotate(clip, Choices(every=10, draw=False), overwrite=False)
    out(clip).unlink()
    out(clip).mkdir()
    with pytest.raises(InputError, match=r"clip\.json' is in the way; choose another folder"):
        annotate(clip)
    out(clip).rmdir()
    (out(clip, "") / "other.mov").unlink()
    out(clip, "").rmdir()
    out(clip, "").touch()
    with pytest.raises(InputError, match=r"clip' is in the way; choose another folder"):
        annotate(clip)
