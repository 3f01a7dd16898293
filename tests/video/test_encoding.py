"""Writing videos: OpenCV reads back the same frames, sizes and times."""

from pathlib import Path

import av
import numpy as np
import pytest

from grounded_ram.video.encoding import Encoder
from tests.video.squares import picture, read_video

RED = picture({"apple": (10, 10)}, (48, 64))


@pytest.mark.parametrize(
    ("size_hw", "written"),
    [((48, 64), (48, 64)), ((47, 64), (48, 64)), ((47, 63), (48, 64)), ((1, 1), (2, 2))],
)
def test_frames_keep_number_and_size_and_odd_sides_gain_one(
    tmp_path: Path, size_hw: tuple[int, int], written: tuple[int, int]
) -> None:
    with Encoder(tmp_path / "a.mp4", 12, size_hw) as encoder:
        for number in range(5):
            encoder.write(RED[: size_hw[0], : size_hw[1]].copy(), number / 12)
    frames, fps = read_video(tmp_path / "a.mp4")
    assert [frame.shape for frame in frames] == [(*written, 3)] * 5
    assert fps == pytest.approx(12)


def test_colours_stay(tmp_path: Path) -> None:
    with Encoder(tmp_path / "a.mp4", 12, (48, 64)) as encoder:
        encoder.write(RED, 0.0)
    frame = read_video(tmp_path / "a.mp4")[0][0]
    for y, x in ((18, 18), (40, 50)):
        np.testing.assert_allclose(frame[y, x].astype(int), RED[y, x].astype(int), atol=8)


def test_browsers_can_play_it(tmp_path: Path) -> None:
    """H.264 with shared colours, and the table of contents before the pictures."""
    with Encoder(tmp_path / "a.mp4", 12, (48, 64)) as encoder:
        encoder.write(RED, 0.0)
    with av.open(str(tmp_path / "a.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_each_frame_is_shown_when_it_was_said(tmp_path: Path) -> None:
    told = [0.0, 0.04, 0.5, 0.51, 2.0]
    with Encoder(tmp_path / "a.mp4", 30, (48, 64)) as encoder:
        for second in told:
            encoder.write(RED, second)
    with av.open(str(tmp_path / "a.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    np.testing.assert_allclose(times, told, atol=1e-4)


def write_until(path: Path, error: type[BaseException]) -> None:
    with Encoder(path, 12, (48, 64)) as encoder:
        encoder.write(RED, 0.0)
        encoder.write(RED, 0.1)
        raise error


def test_an_interrupt_leaves_what_was_written_and_an_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_until(tmp_path / "kept.mp4", KeyboardInterrupt)
    with pytest.raises(ValueError, match=r"^$"):
        write_until(tmp_path / "gone.mp4", ValueError)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.mp4"]
    assert len(read_video(tmp_path / "kept.mp4")[0]) == 2


def test_no_frames_leave_no_file(tmp_path: Path) -> None:
    with Encoder(tmp_path / "a.mp4", 12, (48, 64)):
        pass
    assert list(tmp_path.iterdir()) == []
