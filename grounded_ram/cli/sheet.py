"""One picture of a whole demo: for each scene what was drawn beside what the models found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

if TYPE_CHECKING:
    from grounded_ram.annotation import Annotation

SIDE = 384
"""Pixels of each picture on the sheet."""
HEADER = 24
GAP = 12
PAIRS_A_ROW = 2


@dataclass(frozen=True, eq=False)
class Pair:
    """A scene's truth and what was found in it, each with a line to stand above."""

    truth: Annotation
    truth_title: str
    result: Annotation
    result_title: str


def draw_sheet(pairs: Sequence[Pair]) -> PIL.Image.Image:
    """Draw the pairs side by side, two pairs a row, truth on the left."""
    columns = min(PAIRS_A_ROW, max(1, len(pairs)))
    rows = -(-len(pairs) // PAIRS_A_ROW)
    cell_w, cell_h = 2 * SIDE + 2 * GAP, HEADER + SIDE + GAP
    sheet = PIL.Image.new("RGB", (columns * cell_w + GAP, rows * cell_h + GAP), "white")
    draw = PIL.ImageDraw.Draw(sheet)
    font = PIL.ImageFont.load_default(15)
    for number, pair in enumerate(pairs):
        row, column = divmod(number, PAIRS_A_ROW)
        x, y = GAP + column * cell_w, GAP + row * cell_h
        # The truth in outlines only: its colours are part of it.
        halves = ((pair.truth, pair.truth_title, 0.0), (pair.result, pair.result_title, 0.45))
        for annotation, title, opacity in halves:
            draw.text((x, y), title, fill="black", font=font)
            scale = SIDE / max(annotation.image.size_hw)
            overlay = annotation.overlay(scale=scale, opacity=opacity)
            sheet.paste(overlay, (x, y + HEADER))
            x += SIDE + GAP // 2
    return sheet
