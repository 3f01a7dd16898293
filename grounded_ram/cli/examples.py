"""One picture of what was discovered: a row a label, with its best example pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import PIL.ImageOps

from grounded_ram.errors import InputError

if TYPE_CHECKING:
    from grounded_ram.autolabel.discovery import Row

SIDE = 144
"""Pixels of each example on the sheet."""
GAP = 8
NAME_WIDTH = 176
MOST_ROWS = 30
ROWS_A_COLUMN = 15


def draw_examples(rows: Sequence[Row], sources: Mapping[str, str]) -> PIL.Image.Image:
    """Draw the first rows that are looked for, in columns of ``ROWS_A_COLUMN``.

    Args:
        rows: as ``Discovery.rows`` gives them.
        sources: path or URL of each picture by its name.
    """
    rows = [row for row in rows if row.looked_for][:MOST_ROWS]
    examples = max((len(row.examples) for row in rows), default=0)
    columns = max(1, -(-len(rows) // ROWS_A_COLUMN))
    column_w = NAME_WIDTH + examples * (SIDE + GAP) + 2 * GAP
    size = (columns * column_w + GAP, min(len(rows), ROWS_A_COLUMN) * (SIDE + GAP) + GAP)
    sheet = PIL.Image.new("RGB", size, "white")
    draw = PIL.ImageDraw.Draw(sheet)
    for number, row in enumerate(rows):
        column, line = divmod(number, ROWS_A_COLUMN)
        x, y = GAP + column * column_w, GAP + line * (SIDE + GAP)
        _write(draw, (x, y), row)
        for place, name in enumerate(row.examples):
            thumbnail = _thumbnail(sources[name])
            sheet.paste(thumbnail, (x + NAME_WIDTH + place * (SIDE + GAP), y))
    return sheet


def _write(draw: PIL.ImageDraw.ImageDraw, at: tuple[int, int], row: Row) -> None:
    """Write a label, folded between its words, and how often it was seen."""
    x, y = at
    large, small = PIL.ImageFont.load_default(18), PIL.ImageFont.load_default(13)
    draw.text((x, y), row.label.replace(" ", "\n"), fill="black", font=large)
    many = "picture" if row.pictures == 1 else "pictures"
    facts = f"{row.pictures} {many}\nscore {row.mean_score:.2f}"
    draw.text((x, y + SIDE), facts, fill="dimgrey", font=small, anchor="ld")


def _thumbnail(source: str) -> PIL.Image.Image:
    """Return a picture in a grey square; of one that is gone meanwhile, the square alone."""
    from grounded_ram.images import load_image

    square = PIL.Image.new("RGB", (SIDE, SIDE), "gainsboro")
    try:
        picture = PIL.ImageOps.contain(PIL.Image.fromarray(load_image(source).pixels), square.size)
    except InputError:
        return square
    square.paste(picture, ((SIDE - picture.width) // 2, (SIDE - picture.height) // 2))
    return square
