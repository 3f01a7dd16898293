import numpy as np
import torch

from grounded_ram.scenes.catalog import CATEGORIES, PLAIN
from grounded_ram.training.mosaics import draw_mosaics
from grounded_ram.training.pool import Pool


def test_boxes_owners_looks_and_tags_agree(pool: Pool) -> None:
    batch = draw_mosaics(pool, np.random.default_rng(0), 4, 96)
    assert batch.images.shape == (4, 3, 96, 96)
    assert batch.looks.shape == batch.boxes.shape == (4, 81, 4)
    for row in range(4):
        used = (batch.looks[row, :, 0] >= 0).nonzero()[:, 0].tolist()
        for slot in used:
            rows, cols = (batch.owners[row] == slot).nonzero(as_tuple=True)
            low_x, high_x = int(cols.min()), int(cols.max()) + 1
            tight = torch.tensor([low_x, int(rows.min()), high_x, int(rows.max()) + 1]) / 96
            torch.testing.assert_close(batch.boxes[row, slot], tight.float())
        names = {CATEGORIES[int(batch.looks[row, slot, 0])] for slot in used}
        told = {n for n, t in zip(PLAIN, batch.tags[row].tolist(), strict=True) if t}
        assert names == {name for name in told if PLAIN[name] == "object"}
        assert not {name for name in told if PLAIN[name] == "scene"}


def test_every_tile_shows_an_object(pool: Pool) -> None:
    batch = draw_mosaics(pool, np.random.default_rng(1), 8, 96)
    tiles = (batch.owners % 9 > 0).float().reshape(8, 3, 32, 3, 32).mean((2, 4))
    assert float(tiles.min()) > 0
    assert float(tiles.mean()) > 0.3


def test_the_generator_alone_decides(pool: Pool) -> None:
    first, again = (draw_mosaics(pool, np.random.default_rng(2), 2, 96) for _ in range(2))
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.boxes, again.boxes)
