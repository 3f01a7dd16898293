from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
from hypothesis import given
from hypothesis import strategies as st

from grounded_ram.annotation import ImageFacts
from grounded_ram.evaluation.exhibits import Exhibit, exhibit_object, exhibit_picture
from grounded_ram.evaluation.tiles import Tile, View, draw_tiles, window
from grounded_ram.overlay import color_of
from tests.evaluation.picture_files import on_disk
from tests.hand_annotation import rectangle

SIZE = (300, 400)
VIEW = View(side=100, context=2.0)
PLENTY = 10**9


def decoded(tile: Tile) -> PIL.Image.Image:
    head, data = tile.data.split(",")
    assert head == "data:image/jpeg;base64"
    return PIL.Image.open(io.BytesIO(base64.b64decode(data)))


def corners(path: str) -> np.ndarray:
    return np.array(re.findall(r"(-?\d+) (-?\d+)", path), int) / 10


def test_a_tile_shows_the_object_with_its_outline_on_it(tmp_path: Path) -> None:
    found = on_disk(tmp_path, "a.png", [("dog", rectangle(SIZE, 100, 200, 180, 320))])
    pixels = np.full((*SIZE, 3), 255, np.uint8)
    pixels[100:180, 200:320] = 0, 0, 0
    PIL.Image.fromarray(pixels).save(found.image.path)
    found = replace(found, image=replace(found.image, sha256=_digest(found.image.path)))

    shown = exhibit_object(found, 0)
    tile = draw_tiles([(shown, VIEW)], PLENTY)[shown]
    picture = decoded(tile)
    assert picture.size == tile.size_wh == (100, 100)
    y, x = np.nonzero(np.asarray(picture)[:, :, 0] < 128)
    (line,) = tile.lines
    points = corners(line.path)
    np.testing.assert_allclose(points.min(axis=0), [x.min(), y.min()], atol=1)
    np.testing.assert_allclose(points.max(axis=0), [x.max() + 1, y.max() + 1], atol=1)
    assert line.color == "#{:02x}{:02x}{:02x}".format(*color_of("dog"))
    assert not line.dashed


def _digest(path: str | None) -> str:
    from hashlib import sha256

    return sha256(Path(str(path)).read_bytes()).hexdigest()


def test_a_small_cut_is_not_blown_up(tmp_path: Path) -> None:
    found = on_disk(tmp_path, "a.png", [("dog", rectangle(SIZE, 10, 10, 14, 14))])
    shown = exhibit_object(found, 0)
    assert draw_tiles([(shown, VIEW)], PLENTY)[shown].size_wh == (48, 48)


def test_a_picture_that_is_gone_or_another_by_now_is_said(tmp_path: Path) -> None:
    gone, changed, nowhere, fine = (
        exhibit_picture(on_disk(tmp_path, f"{name}.png", seed=seed))
        for seed, name in enumerate(("gone", "changed", "nowhere", "fine"))
    )
    Path(str(gone.image.path)).unlink()
    Path(str(changed.image.path)).write_bytes(Path(str(fine.image.path)).read_bytes())
    nowhere = Exhibit(nowhere.key, replace(nowhere.image, path=None))
    all_four = [gone, changed, nowhere, fine]
    tiles = draw_tiles([(one, VIEW) for one in all_four], PLENTY)
    assert [bool(tiles[one].data) for one in all_four] == [False, False, False, True]
    assert "there is no file" in tiles[gone].missing
    assert "was changed since it was labelled" in tiles[changed].missing
    assert tiles[nowhere].missing == "the picture was not kept"


def test_tiles_past_the_limit_are_left_out_the_last_first(tmp_path: Path) -> None:
    shown = [exhibit_picture(on_disk(tmp_path, f"{n}.png", seed=n)) for n in range(4)]
    wanted = [(one, VIEW) for one in shown]
    weights = [draw_tiles(wanted, PLENTY)[one].weight for one in shown]
    tiles = draw_tiles(wanted, sum(weights[:2]))
    assert [bool(tiles[one].data) for one in shown] == [True, True, False, False]
    assert tiles[shown[3]].missing == "left out to keep this page small"
    assert not any(draw_tiles(wanted, 0)[one].data for one in shown)


@given(
    st.tuples(st.integers(1, 500), st.integers(1, 500)),
    st.tuples(*[st.floats(-50, 550)] * 4),
    st.floats(0.5, 6),
    st.floats(0.2, 5),
)
def test_a_window_lies_in_the_picture(
    size_hw: tuple[int, int],
    box: tuple[float, float, float, float],
    context: float,
    aspect: float,
) -> None:
    x0, x1 = sorted(box[::2])
    y0, y1 = sorted(box[1::2])
    facts = ImageFacts(None, size_hw, "0" * 64)
    exhibit = Exhibit(("a", ""), facts, box_xyxy=(x0, y0, x1, y1))
    left, top, right, bottom = window(exhibit, size_hw, View(100, context, aspect))
    assert 0 <= left < right <= size_hw[1]
    assert 0 <= top < bottom <= size_hw[0]


def test_a_window_is_as_wide_as_asked_around_the_object() -> None:
    exhibit = Exhibit(
        ("a", ""), ImageFacts(None, (600, 800), "0" * 64), box_xyxy=(380, 250, 420, 350)
    )
    assert window(exhibit, (600, 800), View(100, 2.0)) == (300, 200, 500, 400)
    assert window(exhibit, (600, 800), View(100, 2.0, 1.5)) == (250, 200, 550, 400)
    assert window(exhibit, (600, 800), View(100)) == (0, 0, 800, 600)
    at_edge = replace(exhibit, box_xyxy=(700, 500, 800, 600))
    assert window(at_edge, (600, 800), View(100, 2.0)) == (600, 400, 800, 600)
