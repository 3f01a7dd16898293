"""Scenes without boxes: what lies behind and below the objects."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Canvas = NDArray[np.float32]
"""(H, W, 3) RGB values in 0..255, kept in float until the scene is finished."""
Painter = Callable[[np.random.Generator, int, int], Canvas]


def draw_background(rng: np.random.Generator, size: int) -> tuple[Canvas, tuple[str, ...]]:
    """Draw what lies behind the objects.

    Returns:
        A (size, size, 3) canvas and the names of the scenes in it: two, one, or none.
    """
    kind = rng.random()
    if kind < 0.1:
        return _plain(rng, size, size), ()
    if kind < 0.3:
        name = str(rng.choice(sorted(SCENES)))
        return SCENES[name](rng, size, size), (name,)
    above, below = str(rng.choice(sorted(_ABOVE))), str(rng.choice(sorted(_BELOW)))
    horizon = int(size * rng.uniform(0.25, 0.7))
    upper, lower = _ABOVE[above](rng, horizon, size), _BELOW[below](rng, size - horizon, size)
    return np.concatenate([upper, lower]), (above, below)


def _clouded(rng: np.random.Generator, height: int, width: int, cells: int) -> Canvas:
    """Return (H, W, 1) smooth noise of mean 0 and spread about 1, with so many cells across."""
    rows = max(2, cells * height // width)
    grid = rng.standard_normal((rows, cells)).astype(np.float32)
    smooth = cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(smooth, np.float32)[:, :, None]


def _grain(rng: np.random.Generator, height: int, width: int) -> Canvas:
    """Return (H, W, 1) noise of spread 1, independent in every pixel."""
    return rng.standard_normal((height, width, 1), dtype=np.float32)


def _tint(rng: np.random.Generator, color: tuple[int, int, int], spread: float = 14) -> Canvas:
    """Return the (1, 1, 3) colour moved at random."""
    return (np.array(color, np.float32) + rng.normal(0, spread, 3)).astype(np.float32)[None, None]


def _gradient(height: int, top: Canvas, bottom: Canvas) -> Canvas:
    t = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    return (1 - t) * top + t * bottom


def _plain(rng: np.random.Generator, height: int, width: int) -> Canvas:
    color = tuple(int(v) for v in rng.integers(60, 235, 3))
    ends = (
        _tint(rng, (color[0], color[1], color[2])),
        _tint(rng, (color[0], color[1], color[2]), 30),
    )
    return np.broadcast_to(_gradient(height, *ends), (height, width, 3)).copy()


def _sky(rng: np.random.Generator, height: int, width: int) -> Canvas:
    top, bottom = _tint(rng, (88, 150, 226), 18), _tint(rng, (190, 220, 245), 12)
    return _gradient(height, top, bottom) + 6 * _clouded(rng, height, width, 5)


def _night_sky(rng: np.random.Generator, height: int, width: int) -> Canvas:
    canvas = _gradient(height, _tint(rng, (10, 12, 34), 5), _tint(rng, (40, 42, 88), 10))
    canvas = canvas + 3 * _clouded(rng, height, width, 6)
    count = int(rng.uniform(0.0006, 0.003) * height * width)
    ys, xs = rng.integers(0, height, count), rng.integers(0, width, count)
    canvas[ys, xs] = rng.uniform(140, 255, (count, 1))
    return canvas


def _sunset(rng: np.random.Generator, height: int, width: int) -> Canvas:
    top, bottom = _tint(rng, (120, 70, 140), 18), _tint(rng, (252, 160, 72), 14)
    streaks = rng.standard_normal((max(2, height // 10), 2)).astype(np.float32)
    bands = cv2.resize(streaks, (width, height), interpolation=cv2.INTER_CUBIC)[:, :, None]
    return _gradient(height, top, bottom) + 9 * bands


def _grass(rng: np.random.Generator, height: int, width: int) -> Canvas:
    canvas = _tint(rng, (86, 152, 62), 14) + 9 * _clouded(rng, height, width, 8)
    tall = rng.standard_normal((max(2, height // 7), width)).astype(np.float32)
    canvas += 13 * cv2.resize(tall, (width, height), interpolation=cv2.INTER_LINEAR)[:, :, None]
    return canvas


def _sea(rng: np.random.Generator, height: int, width: int) -> Canvas:
    canvas = _gradient(height, _tint(rng, (36, 110, 168)), _tint(rng, (24, 84, 140)))
    y, x = (axis.astype(np.float32) for axis in np.mgrid[0:height, 0:width])
    pitch = rng.uniform(9, 18)
    swell = rng.uniform(1.5, 4) * np.sin(x / rng.uniform(6, 14) + 0.07 * y)
    crest = ((y + swell) % pitch < 0.18 * pitch) * (1.3 + _clouded(rng, height, width, 7)[:, :, 0])
    foam: Canvas = np.clip(crest, 0, 2)[:, :, None].astype(np.float32)
    return canvas + 26 * foam


def _sand(rng: np.random.Generator, height: int, width: int) -> Canvas:
    canvas = _tint(rng, (222, 198, 148), 9) + 7 * _grain(rng, height, width)
    ripples = 5 * _clouded(rng, height, width, 4)
    pebbles = (rng.random((height, width, 1)) < 0.012).astype(np.float32)
    return canvas + ripples - 55 * pebbles


def _snow(rng: np.random.Generator, height: int, width: int) -> Canvas:
    canvas = _tint(rng, (232, 238, 247), 5) + 8 * _clouded(rng, height, width, 4)
    sparkle = (rng.random((height, width, 1)) < 0.02).astype(np.float32)
    return canvas - 26 * sparkle * np.array([1.0, 0.7, 0.2], np.float32)


def _road(rng: np.random.Generator, height: int, width: int) -> Canvas:
    grey = float(rng.uniform(70, 110))
    canvas = np.full((height, width, 3), grey, np.float32) + 7 * _grain(rng, height, width)
    line = _tint(rng, (235, 232, 220) if rng.random() < 0.6 else (236, 196, 60), 6)
    row, thick = int(height * rng.uniform(0.3, 0.6)), max(2, int(height * 0.06))
    dash, start = int(width * rng.uniform(0.1, 0.2)), int(rng.integers(0, 40))
    for x in range(-start, width, 2 * dash):
        canvas[row : row + thick, max(0, x) : max(0, x + dash)] = line
    canvas[: max(2, thick // 2)] = line
    return canvas


def _wooden_floor(rng: np.random.Generator, height: int, width: int) -> Canvas:
    canvas = np.empty((height, width, 3), np.float32)
    base, plank = _tint(rng, (168, 116, 70), 14), int(width * rng.uniform(0.07, 0.13))
    for y in range(0, height, plank):
        canvas[y : y + plank] = base + rng.normal(0, 11)
        canvas[y : y + 2] -= 55
        for x in rng.integers(0, width, 2):
            canvas[y : y + plank, x : x + 2] -= 55
    long_grain = rng.standard_normal((height, max(2, width // 24))).astype(np.float32)
    return canvas + 7 * cv2.resize(long_grain, (width, height))[:, :, None]


def _brick_wall(rng: np.random.Generator, height: int, width: int) -> Canvas:
    base, mortar = _tint(rng, (172, 84, 62), 14), _tint(rng, (205, 196, 184), 10)
    tall = int(width * rng.uniform(0.055, 0.095))
    wide, gap = int(tall * rng.uniform(2.0, 2.6)), max(1, tall // 7)
    rows, cols = height // tall + 1, width // wide + 2
    y, x = np.mgrid[0:height, 0:width]
    row = y // tall
    shifted = x + (row % 2) * (wide // 2)
    shade = rng.normal(0, 13, (rows, cols)).astype(np.float32)[row, shifted // wide]
    joint = ((y % tall < gap) | (shifted % wide < gap))[:, :, None]
    return np.where(joint, mortar, base + shade[:, :, None]) + 4 * _grain(rng, height, width)


_ABOVE: dict[str, Painter] = {
    "sky": _sky,
    "night sky": _night_sky,
    "sunset": _sunset,
    "brick wall": _brick_wall,
}
_BELOW: dict[str, Painter] = {
    "grass": _grass,
    "sea": _sea,
    "sand": _sand,
    "snow": _snow,
    "road": _road,
    "wooden floor": _wooden_floor,
}
SCENES: dict[str, Painter] = _ABOVE | _BELOW
