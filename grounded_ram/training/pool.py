"""A pool of scenes on disk, drawn once and read by every training loop as memory-mapped arrays."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from grounded_ram.scenes.catalog import ACTIONS, CATEGORIES, COLORS, PATTERNS, PLAIN
from grounded_ram.scenes.scene import Scene, SceneObject, make_scene

SLOTS = 9  # slot 0 is what lies behind; a scene has at most eight objects
NONE = -1  # in the integer columns: no such thing
_SHARD = 500
_COLUMNS = ("images", "owners", "boxes", "looks", "tags")


@dataclass(frozen=True, eq=False)
class Pool:
    """N scenes of S x S pixels as arrays.

    Args:
        images: (N, S, S, 3) uint8 RGB.
        owners: (N, S, S) uint8, the slot of the object that each pixel shows; 0 is behind.
        boxes: (N, 9, 4) float32 xyxy pixels by slot; zeros where the slot is empty.
        looks: (N, 9, 4) int16 by slot: category, colour, pattern (0 is plain), action; -1 for none.
        tags: (N, T) bool in the order of ``PLAIN``, the plain names alone.
    """

    images: NDArray[np.uint8]
    owners: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    looks: NDArray[np.int16]
    tags: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.images)


def open_pool(folder: Path, *, first_seed: int, count: int, size: int, workers: int) -> Pool:
    """Open the pool in a folder, drawing first what is not there yet.

    Args:
        folder: made if absent; holds one shard of arrays per 500 scenes while they are drawn.
        first_seed: scenes have the seeds first_seed to first_seed + count - 1.
        count: rounded up to whole shards.
        size: side of the pictures in pixels.
        workers: processes that draw.
    """
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(first_seed, first_seed + count, _SHARD)
    paths = [folder / f"scenes-{size}-{start}.npz" for start in starts]
    todo = [(start, path) for start, path in zip(starts, paths, strict=True) if not path.exists()]
    if todo:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            list(pool.map(_draw_shard, *zip(*todo, strict=True), repeat(size)))
    return _join(folder, paths)


def _draw_shard(start: int, path: Path, size: int) -> None:
    rows = [_columns(make_scene(seed, size=size)) for seed in range(start, start + _SHARD)]
    arrays = {name: np.stack([row[name] for row in rows]) for name in _COLUMNS}
    partial_path = path.with_suffix(".partial.npz")
    np.savez(partial_path, **arrays)  # type: ignore[arg-type]
    partial_path.rename(path)


def _columns(scene: Scene) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of one scene."""
    owners = np.zeros(scene.image.shape[:2], np.uint8)
    boxes = np.zeros((SLOTS, 4), np.float32)
    looks = np.full((SLOTS, 4), NONE, np.int16)
    for slot, thing in enumerate(scene.objects, 1):
        owners[thing.mask] = slot
        boxes[slot] = thing.box_xyxy
        looks[slot] = _looks(thing)
    true = set(scene.tags.names)
    tags = np.array([name in true for name in PLAIN])
    return dict(zip(_COLUMNS, (scene.image, owners, boxes, looks, tags), strict=True))


def _looks(thing: SceneObject) -> tuple[int, int, int, int]:
    color, *pattern = thing.attributes
    return (
        CATEGORIES.index(thing.name),
        sorted(COLORS).index(color),
        1 + PATTERNS.index(pattern[0]) if pattern else 0,
        ACTIONS.index(thing.action) if thing.action else NONE,
    )


def _join(folder: Path, paths: list[Path]) -> Pool:
    """Join the shards into one memory-mapped array a column: a batch reads only its own rows."""
    stem = f"{paths[0].stem}-to-{paths[-1].stem.split('-')[-1]}"
    joined = {name: folder / f"{stem}-{name}.npy" for name in _COLUMNS}
    if not all(path.exists() for path in joined.values()):
        for name, path in joined.items():
            first: NDArray[np.generic] = np.load(paths[0])[name]
            shape = (len(paths) * _SHARD, *first.shape[1:])
            partial_path = path.with_suffix(".partial")
            out = np.lib.format.open_memmap(partial_path, "w+", first.dtype, shape)
            for i, shard in enumerate(paths):
                out[i * _SHARD : (i + 1) * _SHARD] = np.load(shard)[name]
            out.flush()
            partial_path.rename(path)
    load: Callable[[Path], NDArray[np.generic]] = partial(np.load, mmap_mode="r")
    return Pool(**{name: load(path) for name, path in joined.items()})  # type: ignore[arg-type]
