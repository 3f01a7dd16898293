"""One picture for a human to check a cleaning by: of each label what went beside what stays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import PIL.ImageOps

from grounded_ram.annotation import ImageFacts, Reason
from grounded_ram.crops import crop
from grounded_ram.data_engine.cleaning.regions import Region
from grounded_ram.data_engine.cleaning.verdicts import LabelCount, Verdict
from grounded_ram.errors import InputError
from grounded_ram.images import load_same

SIDE = 160
"""Pixels of each crop on the sheet."""
GAP = 8
NAME_WIDTH = 190
LINE = 18
"""Pixels of a line of text."""
LINES = 3
"""Of text below each crop."""
MOST_LABELS = 40
EACH = 6
"""Crops of each label that went, and of those that stay."""
MARGIN = 0.3
"""A crop is wider than the box by this share on each side, so that the surroundings show."""
GONE, STAYS = "firebrick", "darkgreen"
UNLIKE, UNSEEN = "unlike others", "not seen alone"
"""Why a label went, in few words."""
BOX = (20, 12)
"""Pixels of a box in the legend."""
LEGEND = (
    "Each row is one label: objects that lost it, the least usual first, beside some that keep it, "
    "the most usual first. Around each box are its surroundings.",
    "unlike: how far an object looks from the middle of its label; half of its objects lie "
    f'nearer than 1. The farthest go, as --share says: "{UNLIKE}".',
    "alone: the tagger's score of the label in this region alone. Below --least-alone it goes: "
    f'"{UNSEEN}".',
    "A plain grey square: the picture can no longer be read. Too much in red is right? Lower "
    "--share, or raise --least-distance.",
)
TOP = (len(LEGEND) + 3) * LINE
"""Pixels above the first row: the legend, and the heads of the columns."""

_Font: TypeAlias = PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont


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
    """Draw a row a label: its name, then what went, then what stays; a legend is above.

    Args:
        rows: as ``choose_rows`` returned them.
        regions: of all labels.
        verdicts: on each.
        images: of each region that is shown, by the picture's name; they are read again.
    """
    large, small = PIL.ImageFont.load_default(17), PIL.ImageFont.load_default(13)
    kept_x = kept_from(rows)
    needed = kept_x + max((len(row.kept) for row in rows), default=0) * (SIDE + GAP)
    legend = GAP + max(math.ceil(small.getlength(line)) for line in LEGEND) + GAP
    size = (max(needed, legend), TOP + max(1, len(rows)) * row_height())
    sheet = PIL.Image.new("RGB", size, "white")
    draw = PIL.ImageDraw.Draw(sheet)
    _draw_legend(draw, small)
    for x, what, color in ((NAME_WIDTH, "removed", GONE), (kept_x, "kept", STAYS)):
        draw.text((x, TOP - LINE - GAP), what, fill=color, font=large)
    for number, row in enumerate(rows):
        y = TOP + number * row_height()
        draw.line((0, y - GAP // 2, size[0], y - GAP // 2), fill="gainsboro")
        _draw_name(draw, row, y, (large, small))
        for x, chosen in ((NAME_WIDTH, row.removed), (kept_x, row.kept)):
            for place, which in enumerate(chosen):
                at = (x + place * (SIDE + GAP), y)
                color = STAYS if verdicts[which].reason is None else GONE
                sheet.paste(_thumbnail(regions[which], images, color), at)
                _draw_told(draw, at, told_of(regions[which], verdicts[which]), small)
    return sheet


def kept_from(rows: Sequence[SheetRow]) -> int:
    """Return how far from the left those begin that stay, in pixels."""
    return NAME_WIDTH + max((len(row.removed) for row in rows), default=1) * (SIDE + GAP) + 3 * GAP


def row_height() -> int:
    """Return how many pixels a row takes."""
    return SIDE + LINES * LINE + 2 * GAP


def told_of(region: Region, verdict: Verdict) -> tuple[str, str, str]:
    """Return what stands below a region: its label and whether it stays, why, and its picture."""
    if verdict.reason is None:
        numbers = (("unlike", verdict.distance, 3), ("alone", region.alone, 2))
        known = (f"{what} {n:.{digits}f}" for what, n, digits in numbers if not math.isnan(n))
        return f"{region.label}: kept", ", ".join(known), region.picture
    if verdict.reason is Reason.OUTLIER:
        why = f"{UNLIKE}: {verdict.distance:.3f}"
    else:
        why = f"{UNSEEN}: {region.alone:.2f}"
    return f"{region.label}: removed", why, region.picture


def _draw_legend(draw: PIL.ImageDraw.ImageDraw, font: _Font) -> None:
    """Draw, at the top, what colours and numbers mean."""
    x, y = GAP, GAP
    for color, what in ((GONE, "the object lost its label"), (STAYS, "it keeps its label")):
        draw.rectangle((x, y + 2, x + BOX[0], y + 2 + BOX[1]), outline=color, width=2)
        draw.text((x + BOX[0] + GAP, y), what, fill=color, font=font)
        x += BOX[0] + 4 * GAP + math.ceil(font.getlength(what))
    for number, line in enumerate(LEGEND, start=1):
        draw.text((GAP, y + number * LINE), line, fill="black", font=font)


def _draw_name(
    draw: PIL.ImageDraw.ImageDraw, row: SheetRow, y: int, fonts: tuple[_Font, _Font]
) -> None:
    """Draw the label and what became of it, at the left of its row."""
    large, small = fonts
    count, width = row.count, NAME_WIDTH - 2 * GAP
    draw.text((GAP, y), _fitting(count.label, large, width), fill="black", font=large)
    reasons = ((count.outliers, UNLIKE), (count.contradicted, UNSEEN))
    facts = [f"{count.removed:,} of {count.regions:,} removed:"]
    facts += [f"{n:,} {why}" for n, why in reasons if n]
    if not count.compared:
        facts.append("(too few to compare)")
    if len(row.removed) < count.removed:
        facts.append(f"{len(row.removed)} of these are shown")
    for number, line in enumerate(facts):
        at = (GAP, y + LINE * (number + 1) + GAP)
        draw.text(at, _fitting(line, small, width), fill="black", font=small)


def _draw_told(
    draw: PIL.ImageDraw.ImageDraw, corner: tuple[int, int], told: Sequence[str], font: _Font
) -> None:
    """Draw what is told of a crop below it; the first line in the colour of its box."""
    colors = (GONE if told[0].endswith("removed") else STAYS, "black", "dimgrey")
    for number, (text, color) in enumerate(zip(told, colors, strict=True)):
        at = (corner[0], corner[1] + SIDE + number * LINE + 2)
        draw.text(at, _fitting(text, font, SIDE), fill=color, font=font)


def _fitting(text: str, font: _Font, width: int) -> str:
    """Return the end of a text, if the whole of it is wider than so many pixels."""
    shown = text
    while text and font.getlength(shown) > width:
        text = text[1:]
        shown = f"...{text}"
    return shown


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
    x0, y0, x1, y1 = edges.ravel().tolist()
    draw = PIL.ImageDraw.Draw(square)
    draw.rectangle((x0 - 1, y0 - 1, x1 + 1, y1 + 1), outline="white", width=4)  # seen on red, too
    draw.rectangle((x0, y0, x1, y1), outline=color, width=2)
    return square
