"""Pictures to begin with: scenes that the package draws itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import PIL.Image

from grounded_ram.app.page.templates import render
from grounded_ram.export.files import data_uri, write_picture
from grounded_ram.scenes.scene import make_scene

SEEDS = (2, 8, 9, 13, 17, 20)
"""Scenes never trained on, chosen to show many things and few."""

SIZE = 512
"""Side of the scenes, in pixels."""


@dataclass(frozen=True)
class Example:
    """A picture to begin with: its file and what it shows."""

    path: Path
    caption: str


def draw_examples(folder: Path) -> list[Example]:
    """Draw the scenes into a folder."""
    drawn = []
    for seed in SEEDS:
        scene = make_scene(seed, size=SIZE)
        path = folder / f"scene-{seed}.png"
        write_picture(PIL.Image.fromarray(scene.image), path)
        drawn.append(Example(path, scene.caption))
    return drawn


def examples_html(examples: Sequence[Example]) -> str:
    """Return buttons that show the scenes."""
    pictures = [(data_uri(one.path.read_bytes(), "image/png"), one.caption) for one in examples]
    return render("examples.html", pictures=pictures)
