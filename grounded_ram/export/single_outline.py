"""A mask as one closed line, for formats that have a single polygon for an object, and no holes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from grounded_ram.export.shapes import Region

INSET = 0.05
"""How far inside the pixels' edges the line runs, in pixels."""

Points = NDArray[np.int_]


def single_outline(region: Region) -> NDArray[np.float64]:
    """Return K >= 4 corners (K, 2), x and y in pixels of the image, of one closed line.

    The outlines of all parts and holes are joined by bridges: straight lines walked once there and
    once back, so that they have no area. By the even-odd rule the line encloses the mask. Bridges
    are as short as can be: those to a hole lie in the mask, those between parts outside of it.

    Readers that cut corners to whole pixels and paint the line too, as ultralytics does, get the
    very same pixels, and bridges between parts as lines one pixel wide. That is why the line runs
    a little inside the pixels' edges: what lies at x or y + 1 would be cut to the next pixel.
    """
    loops = _loops(region)
    corners = _turns(_walk(loops, _bridges(loops)))
    inside = np.where(corners % 2 == 0, INSET, 1 - INSET)
    line: NDArray[np.float64] = corners // 2 + inside + np.array([region.x, region.y])
    return line


def _loops(region: Region) -> list[Points]:
    """Return the outlines of parts and holes (N, 2) over the pixels that touch them.

    Each pixel becomes 2 x 2, so that its sides are told apart: an even coordinate is its left or
    upper side, an odd one its right or lower side.
    """
    doubled = region.pixels.repeat(2, axis=0).repeat(2, axis=1).astype(np.uint8)
    contours, _ = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return [contour.reshape(-1, 2).astype(int) for contour in contours]


def _bridges(loops: list[Points]) -> list[tuple[int, int]]:
    """Return the pairs of points, counted over all loops, that join all loops most shortly.

    They are the shortest spanning tree of the loops. The shortest line between two sets of points
    is always a side of a triangle of the Delaunay triangulation, so no other lines are looked at.
    """
    if len(loops) == 1:
        return []
    points = np.concatenate(loops)
    owner = np.repeat(np.arange(len(loops)), [len(loop) for loop in loops])
    _, first, same = np.unique(points, axis=0, return_index=True, return_inverse=True)
    same = same.reshape(-1)  # numpy 2.0 has another shape
    shared = np.stack([np.arange(len(points)), first[same]], axis=1)  # a point of several loops
    sides = Delaunay(points[first]).simplices[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    pairs = np.concatenate([shared, first[sides]])
    pairs = pairs[owner[pairs[:, 0]] != owner[pairs[:, 1]]]
    lengths = ((points[pairs[:, 0]] - points[pairs[:, 1]]) ** 2).sum(axis=1)
    pairs = pairs[np.argsort(lengths, kind="stable")]
    return _spanning_tree(pairs.tolist(), owner.tolist())


def _spanning_tree(pairs: list[list[int]], owner: list[int]) -> list[tuple[int, int]]:
    """Keep the pairs, in their order, that join what is not joined yet (Kruskal)."""
    above = list(range(owner[-1] + 1))

    def top(loop: int) -> int:
        while above[loop] != loop:
            above[loop] = above[above[loop]]
            loop = above[loop]
        return loop

    kept = []
    for a, b in pairs:
        one, other = top(owner[a]), top(owner[b])
        if one != other:
            above[one] = other
            kept.append((a, b))
    return kept


def _walk(loops: list[Points], bridges: list[tuple[int, int]]) -> Points:
    """Return the points in the order of one walk around all loops, over every bridge and back."""
    points = np.concatenate(loops)
    following: list[int] = []
    for loop in loops:
        start = len(following)
        following += [*range(start + 1, start + len(loop)), start]
    where = list(range(len(points)))
    for a, b in bridges:
        # Two circles become one: from a over to b, around, back from b to a, on as before.
        back_at_a, over_at_b = len(where), len(where) + 1
        where += [a, b]
        following += [following[a], following[b]]
        following[a], following[b] = over_at_b, back_at_a
    order, at = [0], following[0]
    while at != 0:
        order.append(where[at])
        at = following[at]
    walk: Points = points[order]
    return walk


def _turns(walk: Points) -> Points:
    """Drop the points of a closed line at which it goes straight on."""
    walk = walk[(walk != np.roll(walk, 1, axis=0)).any(axis=1)]
    came, goes = walk - np.roll(walk, 1, axis=0), np.roll(walk, -1, axis=0) - walk
    turns: Points = walk[(came != goes).any(axis=1)]
    return turns
