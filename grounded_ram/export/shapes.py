"""Masks as COCO writes shapes: boxes, run lengths, polygons; no full-size mask is ever made."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import supervision as sv
from numpy.typing import NDArray

from grounded_ram.run_lengths import run_lengths

Mask = NDArray[np.bool_]
Points = NDArray[np.int_]


@dataclass(frozen=True, eq=False)
class Region:
    """The pixels of one object, cut to their tight box.

    Args:
        pixels: (h, w), with something set in its first and last rows and columns.
        x: the image column of the first column.
        y: the image row of the first row.
    """

    pixels: Mask
    x: int
    y: int


def region_of(masks: sv.CompactMask, row: int) -> Region | None:
    """Cut one mask to its tight box; None where no pixel is set."""
    crop = masks.crop(row)
    rows, columns = np.flatnonzero(crop.any(axis=1)), np.flatnonzero(crop.any(axis=0))
    if not len(rows):
        return None
    x, y = (int(v) for v in masks.offsets[row])
    top, left = int(rows[0]), int(columns[0])
    return Region(crop[top : rows[-1] + 1, left : columns[-1] + 1], x + left, y + top)


def area(region: Region) -> int:
    """Count the pixels."""
    return int(np.count_nonzero(region.pixels))


def bbox_xywh(region: Region) -> list[float]:
    """Return the tight box as x, y, width, height; one pixel is 1 wide and 1 high."""
    height, width = region.pixels.shape
    return [float(region.x), float(region.y), float(width), float(height)]


def rle(region: Region, size_hw: tuple[int, int]) -> dict[str, object]:
    """Return the mask as COCO's compressed run lengths, ``counts`` as text."""
    packed = run_lengths(region.pixels, (region.x, region.y), size_hw)
    return {"size": [*size_hw], "counts": packed["counts"].decode("ascii")}


def polygons(region: Region) -> list[list[int]]:
    """Return the outline as flat x, y lists, one for each part of the mask.

    A pixel covers the square from (x, y) to (x + 1, y + 1), and the outline runs along the pixels'
    edges, so that it gives back the very same pixels. COCO's polygons cannot have holes: a part
    with holes is cut from top to bottom through them into pieces that have none; the union of the
    polygons is the mask.
    """
    found = []
    for part in _parts(region):
        for strip in _cut_through_holes(part):
            for piece in _parts(strip):
                corners = _outline(piece.pixels) + np.array([piece.x, piece.y])
                found.append(corners.ravel().tolist())
    return found


def _parts(region: Region) -> list[Region]:
    """Split a mask into its 4-connected parts."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        region.pixels.astype(np.uint8), connectivity=4
    )
    parts = []
    for label in range(1, count):
        left, top, width, height, _ = (int(v) for v in stats[label])
        pixels = labels[top : top + height, left : left + width] == label
        parts.append(Region(pixels, region.x + left, region.y + top))
    return parts


def _cut_through_holes(part: Region) -> list[Region]:
    """Cut a part between columns so that every hole is opened, with as few cuts as do."""
    # Around the part lies one sea; background that the sea does not reach is a hole. The sea does
    # not slip through diagonal gaps: the outline that is drawn later closes them.
    background = np.pad(~part.pixels, 1, constant_values=True).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(background, connectivity=4)
    sea = labels[0, 0]
    lefts = stats[:, cv2.CC_STAT_LEFT] - 1
    rights = lefts + stats[:, cv2.CC_STAT_WIDTH]
    spans = [(int(rights[k]), int(lefts[k])) for k in range(1, count) if k != sea]
    cuts, low, high = [0], -1, -1
    for right, left in sorted(spans):
        if left > high:  # not opened by the cut before, which lies between low and high
            cuts, low, high = [*cuts, (left + right) // 2], left, right
        else:
            low = max(low, left)
            cuts[-1] = (low + high) // 2
    ends = [*cuts[1:], part.pixels.shape[1]]
    return [
        Region(part.pixels[:, start:end], part.x + start, part.y)
        for start, end in zip(cuts, ends, strict=True)
    ]


def _outline(part: Mask) -> Points:
    """Return K >= 4 corners (K, 2) around a part without holes, along the pixels' outer edges."""
    # Each pixel becomes 2 x 2, so that its four corners are told apart: an even coordinate is its
    # left or upper edge, an odd one its right or lower edge.
    doubled = part.repeat(2, axis=0).repeat(2, axis=1).astype(np.uint8)
    contours, _ = cv2.findContours(doubled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    corners = (contours[0].reshape(-1, 2) + 1) // 2
    moved = (corners != np.roll(corners, 1, axis=0)).any(axis=1)
    corners = corners[moved]
    step, following = corners - np.roll(corners, 1, axis=0), np.roll(corners, -1, axis=0) - corners
    turns = step[:, 0] * following[:, 1] != step[:, 1] * following[:, 0]
    outline: Points = corners[turns].astype(int)
    return outline
