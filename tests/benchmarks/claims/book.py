"""Picture-book scenes as files, with true tags and with captions as the web has them.

Such a caption leaves out a third of what can be seen and names a tenth of the rest wrongly.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from grounded_ram.data_engine.examples import Caption, Example
from grounded_ram.scenes.caption import describe
from grounded_ram.scenes.catalog import ACTIONS, CATEGORIES, COLORS, PERSON, PLAIN
from grounded_ram.scenes.scene import Scene, SceneObject, make_scene

NAMES = tuple(PLAIN)
"""The tags of the claims: every plain name."""

LEFT_OUT, WRONG = 1 / 3, 0.1
_SIZE = 256
_SHARD = 250
_NO_PIXELS = np.zeros((1, 1), bool)


@dataclass(frozen=True)
class Page:
    """One scene.

    Args:
        image: path of its picture.
        truth: the plain names of everything in it.
        caption: says everything.
        noisy: leaves things out and names some wrongly.
    """

    image: str
    truth: tuple[str, ...]
    caption: str
    noisy: str


def draw_pages(folder: Path, first_seed: int, count: int, workers: int = 2) -> list[Page]:
    """Draw scenes into a folder, or read those that were drawn before."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"pages-{first_seed}-{count}.json"
    if not path.exists():
        starts = range(first_seed, first_seed + count, _SHARD)
        lengths = [min(_SHARD, first_seed + count - start) for start in starts]
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            found = pool.map(_draw, [folder] * len(starts), starts, lengths)
            rows = [row for some in found for row in some]
        path.write_text(json.dumps(rows))
    return [
        Page(str(folder / name), tuple(truth), caption, noisy)
        for name, truth, caption, noisy in json.loads(path.read_text())
    ]


def captioned(pages: Sequence[Page]) -> list[Example]:
    """Return the pages with nothing but the captions of the web."""
    return [Example(page.image, (), (Caption(page.noisy),)) for page in pages]


def _draw(folder: Path, first: int, count: int) -> list[tuple[str, tuple[str, ...], str, str]]:
    rows = []
    for seed in range(first, first + count):
        scene = make_scene(seed, size=_SIZE)
        name = f"{seed}.png"
        Image.fromarray(scene.image).save(folder / name, compress_level=1)
        truth = tuple(tag for tag in scene.tags.names if tag in PLAIN)
        rows.append((name, truth, scene.caption, noisy_caption(scene, seed)))
    return rows


def noisy_caption(scene: Scene, seed: int) -> str:
    """Describe a scene as somebody in a hurry does."""
    rng = np.random.default_rng([seed, 7])
    seen = [thing for thing in scene.objects if rng.random() >= LEFT_OUT]
    told = [_mistaken(thing, rng) if rng.random() < WRONG else thing for thing in seen]
    return describe(told, [place for place in scene.places if rng.random() >= LEFT_OUT])


def _mistaken(thing: SceneObject, rng: np.random.Generator) -> SceneObject:
    """Take a thing for another one, of another colour."""
    names = [name for name in CATEGORIES if name != thing.name]
    name = str(rng.choice(names))
    color = str(rng.choice([color for color in COLORS if color != thing.attributes[0]]))
    action = str(rng.choice(list(ACTIONS))) if name == PERSON else None
    return SceneObject(name, _NO_PIXELS, (color, *thing.attributes[1:]), action)
