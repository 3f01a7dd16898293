"""One picture for a human to check a cleaning by: of each label what went beside what stays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import PIL.ImageOps

from grounded_ram.annotation import ImageFacts
from grounded_ram.crops import crop
from grounded_ram.data_engine.cleaning.regions import Region
from grounded_ram.data_engine.cleaning.verdicts import LabelCount, Verdict
from grounded_ram.errors import InputError
from grounded_ram.images import load_same

SIDE = 120
"""Pixels of each crop on the sheet."""
GAP = 6
NAME_WIDTH = 150
LINE = 14
"""Pixels of a line of text."""
MOST_LABELS = 40
EACH = 6
"""Crops of each label that went, and of those that stay."""
MARGIN = 0.15
GONE, STAYS = "firebrick", "darkgreen"
LEGEND = (
    "Red boxes went, green ones stay. out: how far an object lies from the middle of its label, "
    "where half of them lie nearer than 1. alone: the tagger's score of it without its "
    "surroundings."
)


@dataclass(frozen=True)
class SheetRow:
    """One label on the sheet.

    Args:
        count: what became of it.
        removed: those that went, the farthest out first.
        kept: those that stay, from the middle of the label to its rim.
    """

    count: LabelCount
    removed: tuple[int, ...]
    kept: tuple[int, ...]


def choose_rows(
    labels: Sequence[LabelCount], regions: Sequence[Region], verdicts: Sequence[Verdict]
) -> list[SheetRow]:
    """Choose what the sheet shows: the labels that lost most, and a few regions of each.

    Args:
        labels: the one that lost most first.
        regions: of all labels.
        verdicts: on each.
    """
    shown = [one for one in labels if one.removed][:MOST_LABELS]
    gone: dict[str, list[int]] = {one.label: [] for one in shown}
    stay: dict[str, list[int]] = {one.label: [] for one in shown}
    for row, (region, verdict) in enumerate(zip(regions, verdicts, strict=True)):
        if region.label in gone:
            (stay if verdict.reason is None else gone)[region.label].append(row)

    def distance(row: int) -> float:
        return -1.0 if math.isnan(verdicts[row].distance) else verdicts[row].distance

    rows = []
    for one in shown:
        kept = sorted(stay[one.label], key=distance)
        places = sorted({round(x) for x in np.linspace(0, len(kept) - 1, EACH)}) if kept else []
        removed = sorted(gone[one.label], key=distance, reverse=True)[:EACH]
        rows.append(SheetRow(one, tuple(removed), tuple(kept[place] for place in places)))
    return rows


def draw_sheet(
    rows: Sequence[SheetRow],
    regions: Sequence[Region],
    verdicts: Sequence[Verdict],
    images: Mapping[str, ImageFacts],
) -> PIL.Image.Image:
    """Draw a row a label: its name, then what went, then what stays.

    Args:
        rows: as ``choose_rows`` returned them.
        regions: of all labels.
        verdicts: on each.
        images: of each region that is shown, by the picture's name; they are read again.
    """
    height = SIDE + 2 * LINE + GAP
    kept_x = NAME_WIDTH + EACH * (SIDE + GAP) + 4 * GAP
    size = (kept_x + EACH * (SIDE + GAP), 3 * LINE + max(1, len(rows)) * height + 2 * LINE)
    sheet = PIL.Image.new("RGB", size, "white")
    draw = PIL.ImageDraw.Draw(sheet)
    large, small = PIL.ImageFont.load_default(15), PIL.ImageFont.load_default(11)
    draw.text((NAME_WIDTH, GAP), "removed", fill=GONE, font=large)
    draw.text((kept_x, GAP), "kept", fill=STAYS, font=large)
    for number, row in enumerate(rows):
        y = 2 * LINE + number * height
        draw.text((GAP, y), row.count.label.replace(" ", "\n"), fill="black", font=large)
        facts = f"{row.count.removed} of {row.count.regions} removed"
        draw.text((GAP, y + SIDE), facts, fill="dimgrey", font=small, anchor="ld")
        for x, chosen, color in (
            (NAME_WIDTH, row.removed, GONE),
            (kept_x, row.kept, STAYS),
        ):
            for place, which in enumerate(chosen):
                at = (x + place * (SIDE + GAP), y)
                sheet.paste(_thumbnail(regions[which], images, color), at)
                told = (_told(regions[which], verdicts[which]), regions[which].picture)
                for line, text in enumerate(told):
                    below = (at[0], y + SIDE + line * LINE)
                    draw.text(below, _fitting(text, small), fill="dimgrey", font=small)
    draw.text((GAP, size[1] - LINE - GAP), LEGEND, fill="black", font=small)
    return sheet


def _fitting(text: str, font: PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont) -> str:
    """Return the end of a text, if the whole of it is wider than a crop."""
    shown = text
    while font.getlength(shown) > SIDE:
        text = text[1:]
        shown = f"...{text}"
    return shown


def _told(region: Region, verdict: Verdict) -> str:
    """Return the two numbers that a verdict rests on."""
    parts = (("out", verdict.distance), ("alone", region.alone))
    return ", ".join(f"{what} {value:.2f}" for what, value in parts if not math.isnan(value))


def _thumbnail(region: Region, images: Mapping[str, ImageFacts], color: str) -> PIL.Image.Image:
    """Return a region in a grey square; of a picture that is gone, the square alone."""
    square = PIL.Image.new("RGB", (SIDE, SIDE), "gainsboro")
    image = images[region.picture]
    if image.path is None:
        return square
    try:
        pixels = load_same(image.path, image.sha256).pixels
    except InputError:
        return square
    box = np.array(region.box_xyxy)
    cut = crop(pixels, box, MARGIN)
    picture = PIL.ImageOps.contain(PIL.Image.fromarray(cut), square.size)
    corner = np.array([SIDE - picture.width, SIDE - picture.height]) // 2
    square.paste(picture, (int(corner[0]), int(corner[1])))
    scale = picture.width / cut.shape[1]
    begins = np.floor(box[:2] - (box[2:] - box[:2]) * MARGIN).clip(0)  # of the crop, in the picture
    edges = (box.reshape(2, 2) - begins) * scale + corner
    PIL.ImageDraw.Draw(square).rectangle(tuple(edges.ravel()), outline=color, width=2)
    return square
