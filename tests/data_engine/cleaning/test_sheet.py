from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import PIL.ImageColor
import PIL.ImageDraw
import pytest

from grounded_ram.annotation import Reason
from grounded_ram.data_engine.cleaning.regions import Region
from grounded_ram.data_engine.cleaning.sheet import (
    BOX,
    EACH,
    GAP,
    GONE,
    LEGEND,
    LINE,
    NAME_WIDTH,
    SIDE,
    STAYS,
    TOP,
    choose_rows,
    draw_sheet,
    kept_from,
    told_of,
)
from grounded_ram.data_engine.cleaning.verdicts import LabelCount, Verdict
from tests.evaluation.picture_files import on_disk

NAN = float("nan")


def region(label: str, picture: str = "a.png", alone: float = 0.8) -> Region:
    return Region(picture, label, (10, 5, 40, 35), 0.9, alone)


def color_of(name: str) -> tuple[int, ...]:
    return PIL.ImageColor.getrgb(name)


def test_it_shows_the_farthest_that_went_beside_all_sorts_that_stay() -> None:
    regions = [region("dog") for _ in range(40)] + [region("cat")]
    verdicts = [
        Verdict(Reason.OUTLIER if row < 8 else None, 2 - row / 100) for row in range(40)
    ] + [Verdict(None, NAN)]
    counts = [LabelCount("dog", 40, 8, 0, True), LabelCount("cat", 1, 0, 0, False)]
    (row,) = choose_rows(counts, regions, verdicts)
    assert row.count.label == "dog"
    assert row.removed == tuple(range(EACH))
    assert row.kept[0] == 39
    assert row.kept[-1] == 8
    assert len(row.kept) == EACH


def test_a_label_of_which_nothing_stays_and_unknown_distances_can_be_shown() -> None:
    regions = [region("dog"), region("dog")]
    verdicts = [Verdict(Reason.CONTRADICTED, NAN)] * 2
    (row,) = choose_rows([LabelCount("dog", 2, 0, 2, False)], regions, verdicts)
    assert (row.removed, row.kept) == ((0, 1), ())


def test_nothing_removed_gives_no_rows() -> None:
    assert (
        choose_rows([LabelCount("cat", 1, 0, 0, False)], [region("cat")], [Verdict(None, 1)]) == []
    )


def test_crops_stand_in_their_places_and_gone_pictures_are_grey(tmp_path: Path) -> None:
    kept = on_disk(tmp_path, "a.png")
    gone = on_disk(tmp_path, "b.png", seed=1)
    Path(str(gone.image.path)).unlink()
    regions = [region("dog", "a.png"), region("dog", "b.png")]
    verdicts = [Verdict(Reason.OUTLIER, 1.5), Verdict(None, NAN)]
    rows = choose_rows([LabelCount("dog", 2, 1, 0, True)], regions, verdicts)
    sheet = draw_sheet(rows, regions, verdicts, {"a.png": kept.image, "b.png": gone.image})
    pixels = np.asarray(sheet)
    first = pixels[TOP : TOP + SIDE, NAME_WIDTH : NAME_WIDTH + SIDE]
    assert first.std() > 30
    red = (first == color_of(GONE)).all(2)  # its crop is 48 by 40 pixels, from (1, 0)
    rows_of_box, columns_of_box = (np.flatnonzero(red.any(axis)) for axis in (1, 0))
    scale = SIDE / 48
    assert columns_of_box[[0, -1]] == pytest.approx([9 * scale, 39 * scale], abs=2)
    above = (SIDE - 40 * scale) / 2
    assert rows_of_box[[0, -1]] == pytest.approx([above + 5 * scale, above + 35 * scale], abs=2)
    x = kept_from(rows)
    assert (pixels[TOP : TOP + SIDE, x : x + SIDE] == 220).all()


Drawn = list[tuple[str, tuple[float, float], str, float]]
"""Each text that was drawn, where, in which colour, how wide."""


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    found: Drawn = []
    draw = PIL.ImageDraw.ImageDraw.text

    def text(self: PIL.ImageDraw.ImageDraw, xy: Any, what: str, *, fill: str, font: Any) -> None:
        found.append((what, xy, fill, font.getlength(what)))
        draw(self, xy, what, fill=fill, font=font)

    monkeypatch.setattr(PIL.ImageDraw.ImageDraw, "text", text)
    return found


def test_each_crop_says_its_label_its_fate_why_and_its_picture(
    tmp_path: Path, drawn: Drawn
) -> None:
    name = "holidays/" + "very " * 9 + "long.png"
    images = {one: on_disk(tmp_path, one).image for one in ("a.png", name)}
    regions = [region("dog"), region("dog", name), region("dog", "a.png", 0.31)]
    verdicts = [Verdict(Reason.OUTLIER, 1.25), Verdict(None, 0.75), Verdict(Reason.CONTRADICTED, 1)]
    rows = choose_rows([LabelCount("dog", 3, 1, 1, True)], regions, verdicts)
    draw_sheet(rows, regions, verdicts, images)
    told = {
        (round(x), round((y - TOP - SIDE) // LINE)): (what, color, width)
        for what, (x, y), color, width in drawn
        if x >= NAME_WIDTH and y >= TOP
    }
    places = (NAME_WIDTH, NAME_WIDTH + SIDE + GAP, kept_from(rows))
    assert [[told[x, line][0] for line in range(2)] for x in places] == [
        ["dog: removed", "unlike others: 1.250"],
        ["dog: removed", "not seen alone: 0.31"],
        ["dog: kept", "unlike 0.750, alone 0.80"],
    ]
    assert [told[x, 0][1] for x in places] == [GONE, GONE, STAYS]
    assert told[places[0], 2][0] == "a.png"
    assert told[places[2], 2][0].startswith("...")
    assert told[places[2], 2][0].endswith("very long.png")
    assert max(width for _, _, width in told.values()) <= SIDE
    assert len(told) == 9
    assert tuple(what for what, (x, y), *_ in drawn if x < NAME_WIDTH and y > TOP) == (
        "2 of 3 removed:",
        "1 unlike others",
        "1 not seen alone",
    )


def test_a_number_that_nobody_measured_is_left_out() -> None:
    assert told_of(region("dog", alone=NAN), Verdict(None, NAN))[1] == ""
    assert told_of(region("dog"), Verdict(None, NAN))[1] == "alone 0.80"


def test_a_row_says_how_many_are_not_shown_and_whether_there_were_enough_to_compare(
    tmp_path: Path, drawn: Drawn
) -> None:
    regions = [region("dog") for _ in range(9)]
    verdicts = [Verdict(Reason.CONTRADICTED, NAN)] * 9
    rows = choose_rows([LabelCount("dog", 9, 0, 9, False)], regions, verdicts)
    draw_sheet(rows, regions, verdicts, {"a.png": on_disk(tmp_path, "a.png").image})
    said = [what for what, (x, y), *_ in drawn if x < NAME_WIDTH and y > TOP]
    few = f"{EACH} of these are shown"
    assert said == ["9 of 9 removed:", "9 not seen alone", "(too few to compare)", few]


def test_a_legend_says_what_colours_words_and_options_mean(drawn: Drawn) -> None:
    from grounded_ram.cli.clean import clean

    sheet = draw_sheet([], [], [], {})
    pixels = np.asarray(sheet)[:TOP]
    boxes = {
        (what, color): (round(x) - BOX[0] - GAP, round(y) + 2)
        for what, (x, y), color, _ in drawn
        if color in (GONE, STAYS) and y < LINE
    }
    assert {color for _, color in boxes} == {GONE, STAYS}
    for (_, color), (x, y) in boxes.items():
        assert (pixels[y, x : x + BOX[0]] == color_of(color)).all()
    lines = [what for what, *_ in drawn]
    assert set(LEGEND) <= set(lines)
    assert all(x + width <= sheet.width for _, (x, _), _, width in drawn)
    words = " ".join(LEGEND)
    for why in ("unlike others", "not seen alone", "unlike:", "alone:"):
        assert why in words
    options = {f"--{name.replace('_', '-')}" for name in clean.__annotations__}
    assert set(re.findall(r"--[a-z-]+", words)) <= options
