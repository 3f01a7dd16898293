"""Pictures -> an MP4 file that browsers play, each picture shown at the time it is given.

H.264 by PyAV, which supervision brings: OpenCV's own builds may not hold that encoder.
"""

from __future__ import annotations

import secrets
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import av.video
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from grounded_ram.images import Image

CODECS = ("libx264", "libopenh264", "mpeg4")
"""Encoders, best first; browsers play what all but the last one write."""

_TICKS = 90_000  # of a second
_OPTIONS = {"libx264": {"crf": "20", "preset": "veryfast"}}
_BIT_RATE = 8_000_000  # of encoders that have no setting for quality


class Encoder:
    """A video file being written; it appears when the block ends, at an interrupt too.

    Args:
        path: of the file, ``.mp4``.
        fps: its usual frames per second.
        size_hw: of the pictures. H.264 shares colours among 2 x 2 pixels: where a side is odd, its
            last row or column is written twice.

    Attributes:
        codec: the encoder in use.
        frames: pictures written so far.
    """

    def __init__(self, path: Path, fps: float, size_hw: tuple[int, int]) -> None:
        self.codec = next(name for name in CODECS if name in av.codecs_available)
        self.frames = 0
        self._path = path
        self._odd = (size_hw[0] % 2, size_hw[1] % 2)
        self._last_tick = -1
        path.parent.mkdir(parents=True, exist_ok=True)
        self._draft = path.with_name(f".{secrets.token_hex(8)}.part")
        options = {"movflags": "+faststart"}  # a browser plays it before all of it is there
        self._container = av.open(str(self._draft), "w", format="mp4", options=options)
        rate = Fraction(fps).limit_denominator(1001)
        stream = self._container.add_stream(self.codec, rate, options=_OPTIONS.get(self.codec, {}))
        assert isinstance(stream, av.video.VideoStream)
        self._stream = stream
        stream.height, stream.width = (s + odd for s, odd in zip(size_hw, self._odd, strict=True))
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, _TICKS)
        if self.codec not in _OPTIONS:
            context.bit_rate = _BIT_RATE

    def write(self, picture: Image, second: float) -> None:
        """Add a picture.

        Args:
            picture: (H, W, 3) RGB.
            second: when it is shown; later than the one before.
        """
        if any(self._odd):
            bottom, right = self._odd
            edge = cv2.BORDER_REPLICATE
            picture = np.asarray(cv2.copyMakeBorder(picture, 0, bottom, 0, right, edge), np.uint8)
        # OpenCV reads every video by BT.601, whatever it says; so written, its colours come back.
        frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.MPEG
        )
        self._last_tick = max(round(second * _TICKS), self._last_tick + 1)
        frame.pts, frame.time_base = self._last_tick, Fraction(1, _TICKS)
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def __enter__(self) -> Encoder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the file so that it can be played; what an error broke off is removed."""
        keep = self.frames > 0 and (kind is None or kind is KeyboardInterrupt)
        try:
            if keep:
                self._container.mux(self._stream.encode(None))
            self._container.close()
            if keep:
                self._draft.replace(self._path)
        finally:
            self._draft.unlink(missing_ok=True)
