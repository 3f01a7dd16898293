"""Pictures to measure with, drawn by code, as files are: JPEG bytes that must be decoded."""

from __future__ import annotations

from io import BytesIO

import PIL.Image

from grounded_ram.scenes.scene import make_scene

_DRAWN_SIDE = 512
"""Scenes are drawn with this side, in pixels, and then resized."""

FIRST_SEED = 1


def jpegs(count: int, size_wh: tuple[int, int]) -> list[bytes]:
    """Draw scenes, each another one, and return them as JPEG files of that size."""
    return [_jpeg(seed, size_wh) for seed in range(FIRST_SEED, FIRST_SEED + count)]


def _jpeg(seed: int, size_wh: tuple[int, int]) -> bytes:
    drawn = PIL.Image.fromarray(make_scene(seed, size=_DRAWN_SIDE).image)
    out = BytesIO()
    drawn.resize(size_wh, PIL.Image.Resampling.BICUBIC).save(out, "JPEG", quality=92)
    return out.getvalue()
