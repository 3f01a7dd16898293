from pathlib import Path

import numpy as np
import torch

from grounded_ram.scenes.catalog import ACTIONS, CATEGORIES, PATTERNS, PLAIN
from grounded_ram.scenes.scene import make_scene
from grounded_ram.training.batches import draw_batch
from grounded_ram.training.pool import NONE, Pool, open_pool


def test_rows_are_the_scenes_of_their_seeds(pool: Pool) -> None:
    for row in (0, 7, 499):
        scene = make_scene(30_000_000 + row, size=96)
        np.testing.assert_array_equal(pool.images[row], scene.image)
        names = [name for name, true in zip(PLAIN, pool.tags[row], strict=True) if true]
        assert names == [name for name in scene.tags.names if name in PLAIN]
        for slot, thing in enumerate(scene.objects, 1):
            np.testing.assert_array_equal(pool.owners[row] == slot, thing.mask)
            np.testing.assert_array_equal(pool.boxes[row, slot], thing.box_xyxy)
            category, _, pattern, action = pool.looks[row, slot]
            assert CATEGORIES[category] == thing.name
            assert (*PATTERNS, None)[pattern - 1] == (thing.attributes[1:] or (None,))[0]
            assert (None if action == NONE else ACTIONS[action]) == thing.action
        assert (pool.looks[row, len(scene.objects) + 1 :] == NONE).all()
        assert (pool.looks[row, 0] == NONE).all()


def test_a_pool_is_drawn_once(pool: Pool, scenes_folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in scenes_folder.iterdir()}
    again = open_pool(scenes_folder, first_seed=30_000_000, count=500, size=96, workers=2)
    assert {path: path.stat().st_mtime_ns for path in scenes_folder.iterdir()} == before
    np.testing.assert_array_equal(again.tags, pool.tags)


def test_a_batch_mirrors_pixels_owners_and_boxes_alike(pool: Pool) -> None:
    batch = draw_batch(pool, np.random.default_rng(0), 64, 96)
    seen = 0
    for row in range(64):
        for slot in range(1, 9):
            if batch.looks[row, slot, 0] < 0:
                continue
            rows, cols = (batch.owners[row] == slot).nonzero(as_tuple=True)
            low_x, high_x = int(cols.min()), int(cols.max()) + 1
            tight = torch.tensor([low_x, int(rows.min()), high_x, int(rows.max()) + 1]) / 96
            torch.testing.assert_close(batch.boxes[row, slot], tight.float())
            seen += 1
    assert seen > 100


def test_a_batch_depends_on_its_generator_alone(pool: Pool) -> None:
    first, again, other = (draw_batch(pool, np.random.default_rng(s), 8, 48) for s in (1, 1, 2))
    assert first.images.shape == (8, 3, 48, 48)
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, other.images)
    assert 0 <= float(first.images.min()) < float(first.images.max()) <= 255
