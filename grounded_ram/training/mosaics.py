"""Mosaics of close-ups: many objects of like size in one picture, to learn shapes from first.

An encoder that starts from nothing sees nine objects instead of three or four for the price of one
picture, none of them tiny; what it learns carries over to whole scenes.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from grounded_ram.scenes.catalog import ACTIONS, CATEGORIES, COLORS, PATTERNS, PLAIN
from grounded_ram.scenes.scene import tight_box
from grounded_ram.training.batches import Batch, brightened
from grounded_ram.training.pool import NONE, SLOTS, Pool

_SIDE = 3  # tiles in a row
_LEAST_PIXELS = 60  # of an object in a tile, to be asked for
_LOOSE = (1.05, 1.4)  # side of a tile over that of its object
_SHIFT = 0.1  # of the tile's side: how far off its middle the object may be


def draw_mosaics(pool: Pool, rng: np.random.Generator, count: int, size: int) -> Batch:
    """Draw mosaics of three by three close-ups each.

    Returns:
        A batch whose slots number the objects of all tiles: ``looks`` and ``boxes`` are (B, 81, 4).
        Its ``tags`` say nothing of places: what lies behind is cut to pieces.
    """
    images = np.zeros((count, size, size, 3), np.uint8)
    owners = np.zeros((count, size, size), np.uint8)
    boxes = np.zeros((count, _SIDE**2 * SLOTS, 4), np.float32)
    looks = np.full((count, _SIDE**2 * SLOTS, 4), NONE, np.int64)
    tile = size // _SIDE
    for row in range(count):
        for number in range(_SIDE**2):
            scene_and_slot = _an_object(pool, rng)
            y, x = (tile * part for part in divmod(number, _SIDE))
            place = (row, slice(y, y + tile), slice(x, x + tile))
            images[place], near = _close_up(pool, rng, scene_and_slot, tile)
            owners[place] = near + SLOTS * number
            for slot in _visible(near):
                looks[row, SLOTS * number + slot] = pool.looks[scene_and_slot[0], slot]
                box = tight_box(near == slot) + np.array([x, y, x, y])
                boxes[row, SLOTS * number + slot] = box / size
    tags = np.zeros((count, len(PLAIN)), np.float32)
    for row in range(count):
        tags[row, _columns(looks[row])] = 1
    return Batch(
        images=brightened(torch.from_numpy(images).permute(0, 3, 1, 2).float(), rng),
        owners=torch.from_numpy(owners),
        boxes=torch.from_numpy(boxes),
        looks=torch.from_numpy(looks),
        tags=torch.from_numpy(tags),
    )


def _visible(near: NDArray[np.uint8]) -> list[int]:
    """Return the slots of a tile that show enough to be recognised."""
    counts = np.bincount(near.ravel(), minlength=SLOTS)
    return [slot for slot in range(1, SLOTS) if counts[slot] >= _LEAST_PIXELS]


def _columns(looks: NDArray[np.int64]) -> list[int]:
    """Return the places in ``PLAIN`` of all that (M, 4) looks say."""
    names: set[str] = set()
    for category, color, pattern, action in looks[looks[:, 0] != NONE].tolist():
        names |= {CATEGORIES[category], sorted(COLORS)[color]}
        names |= {PATTERNS[pattern - 1]} if pattern else set()
        names |= {ACTIONS[action]} if action != NONE else set()
    return [column for column, name in enumerate(PLAIN) if name in names]


def _an_object(pool: Pool, rng: np.random.Generator) -> tuple[int, int]:
    """Draw a scene that has objects, and one of its slots."""
    while True:
        scene = int(rng.integers(len(pool)))
        slots = np.flatnonzero(pool.looks[scene, :, 0] != NONE)
        if len(slots):
            return scene, int(rng.choice(slots))


def _close_up(
    pool: Pool, rng: np.random.Generator, scene_and_slot: tuple[int, int], size: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the (size, size) picture around an object, and who owns its pixels."""
    scene, _ = scene_and_slot
    box = pool.boxes[scene_and_slot]
    side = float((box[2:] - box[:2]).max() * rng.uniform(*_LOOSE))
    centre = (box[:2] + box[2:]) / 2 + rng.uniform(-_SHIFT, _SHIFT, 2) * side
    scale = size / side
    across = -scale if rng.random() < 0.5 else scale
    matrix = np.array(
        [[across, 0, size / 2 - across * centre[0]], [0, scale, size / 2 - scale * centre[1]]]
    )

    def warp(pixels: NDArray[np.uint8], how: int) -> NDArray[np.uint8]:
        border = cv2.BORDER_REFLECT_101
        out = cv2.warpAffine(np.asarray(pixels), matrix, (size, size), flags=how, borderMode=border)
        return np.asarray(out, np.uint8)

    return warp(pool.images[scene], cv2.INTER_LINEAR), warp(pool.owners[scene], cv2.INTER_NEAREST)
