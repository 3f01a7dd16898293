"""Parts of an object -> pixels: place, turn, fill, shade, paint patterns; with the exact mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from grounded_ram.scenes.pen import DARK, Color, Part, Points, darker, rotate

_SHIFT = 4  # fractional bits of OpenCV's polygon corners: a sixteenth of a pixel


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where and how an object is drawn.

    Args:
        centre: (x, y) of the object's middle, in pixels.
        size: length of its longer side before turning, in pixels.
        turn: clockwise degrees.
        flip: mirror left and right.
        stretch: width / height factor.
    """

    centre: tuple[float, float]
    size: float
    turn: float = 0.0
    flip: bool = False
    stretch: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Style:
    """How an object is painted.

    Args:
        outline: width of the dark line around every part, in pixels; 0 draws none.
        shade: strength in [0, 1] of the light that falls from one side.
        pattern: "plain", "striped" or "dotted", painted on the body parts.
        ink: colour of the pattern.
    """

    outline: float = 0.0
    shade: float = 0.0
    pattern: str = "plain"
    ink: Color = (255, 255, 255)


def place(parts: Sequence[Part], placement: Placement) -> list[list[Points]]:
    """Move the outlines from unit coordinates to pixels; all parts together get the size."""
    everything = np.concatenate([outline for part in parts for outline in part.outlines])
    low, high = everything.min(0), everything.max(0)
    stretch = np.array([np.sqrt(placement.stretch), 1 / np.sqrt(placement.stretch)])
    scale = placement.size / max(float(np.max((high - low) * stretch)), 1e-6)
    factors = stretch * scale * np.array([-1.0 if placement.flip else 1.0, 1.0])

    def to_pixels(outline: Points) -> Points:
        local = (outline - (low + high) / 2) * factors
        turned = rotate(local, (0.0, 0.0), placement.turn)
        return turned + np.asarray(placement.centre, np.float64)

    return [[to_pixels(outline) for outline in part.outlines] for part in parts]


def paint(
    canvas: NDArray[np.uint8], parts: Sequence[Part], placement: Placement, style: Style
) -> NDArray[np.bool_]:
    """Draw one object onto an (H, W, 3) RGB canvas, in place, and return its (H, W) mask."""
    mask = np.zeros(canvas.shape[:2], np.uint8)
    body = np.zeros_like(mask)
    width = round(2 * style.outline)
    for part, outlines in zip(parts, place(parts, placement), strict=True):
        polygons = [np.round(outline * (1 << _SHIFT)).astype(np.int32) for outline in outlines]
        if width > 0:
            edge = darker(part.color, 0.45) if sum(part.color) > 150 else DARK
            cv2.polylines(canvas, polygons, True, edge, width, cv2.LINE_AA, _SHIFT)
            cv2.polylines(mask, polygons, True, 1, width, cv2.LINE_8, _SHIFT)
            cv2.polylines(body, polygons, True, 0, width, cv2.LINE_8, _SHIFT)
        for polygon in polygons:
            cv2.fillPoly(canvas, [polygon], part.color, cv2.LINE_AA, _SHIFT)
            cv2.fillPoly(mask, [polygon], 1, cv2.LINE_8, _SHIFT)
            cv2.fillPoly(body, [polygon], int(part.body), cv2.LINE_8, _SHIFT)
    if style.pattern != "plain":
        _pattern(canvas, body.astype(bool), placement, style)
    filled: NDArray[np.bool_] = mask.astype(bool)
    if style.shade > 0:
        _shade(canvas, filled, placement, style.shade)
    return filled


def _local_axes(
    where: NDArray[np.bool_], placement: Placement
) -> tuple[NDArray[np.intp], NDArray[np.intp], Points, Points]:
    """Return rows and columns of the pixels set, and their place in units of the object's size."""
    rows, cols = np.nonzero(where)
    t = np.radians(placement.turn)
    dx = (cols - placement.centre[0]) / placement.size
    dy = (rows - placement.centre[1]) / placement.size
    return rows, cols, dx * np.cos(t) + dy * np.sin(t), dy * np.cos(t) - dx * np.sin(t)


def _pattern(
    canvas: NDArray[np.uint8], body: NDArray[np.bool_], placement: Placement, style: Style
) -> None:
    """Paint stripes or dots of ink on the body, at a pitch the eye can see at that size."""
    rows, cols, u, v = _local_axes(body, placement)
    pitch = max(0.14, 7.0 / placement.size)
    if style.pattern == "striped":
        inked = (u + 0.35 * v) % pitch < 0.45 * pitch
    else:
        row = np.floor(v / pitch)
        cell_u, cell_v = (u / pitch + 0.5 * (row % 2)) % 1 - 0.5, v / pitch - row - 0.5
        inked = cell_u**2 + cell_v**2 < 0.30**2
    canvas[rows[inked], cols[inked]] = style.ink


def _shade(
    canvas: NDArray[np.uint8], mask: NDArray[np.bool_], placement: Placement, strength: float
) -> None:
    """Darken the object from its lit upper left to its lower right."""
    rows, cols, u, v = _local_axes(mask, placement)
    light = 1.0 - strength * np.clip(0.5 + 0.7 * u + 0.7 * v, 0, 1)
    pixels = canvas[rows, cols].astype(np.float32) * light[:, None].astype(np.float32)
    canvas[rows, cols] = pixels.astype(np.uint8)
