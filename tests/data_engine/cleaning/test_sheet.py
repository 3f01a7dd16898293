from __future__ import annotations

from pathlib import Path

import numpy as np

from grounded_ram.annotation import Reason
from grounded_ram.data_engine.cleaning.regions import Region
from grounded_ram.data_engine.cleaning.sheet import (
    EACH,
    GAP,
    LINE,
    NAME_WIDTH,
    SIDE,
    choose_rows,
    draw_sheet,
)
from grounded_ram.data_engine.cleaning.verdicts import LabelCount, Verdict
from tests.evaluation.picture_files import on_disk

NAN = float("nan")


def region(label: str, picture: str = "a.png") -> Region:
    return Region(picture, label, (10, 5, 40, 35), 0.9, 0.8)


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
    first = pixels[2 * LINE : 2 * LINE + SIDE, NAME_WIDTH : NAME_WIDTH + SIDE]
    assert first.std() > 30
    box = (first == (178, 34, 34)).all(2)  # what went has a red box, within the margin around it
    rows_of_box, columns_of_box = (np.flatnonzero(box.any(axis)) for axis in (1, 0))
    assert SIDE * 0.1 <= rows_of_box[0] <= SIDE * 0.15
    assert SIDE * 0.1 <= columns_of_box[0] <= SIDE * 0.15
    assert SIDE * 0.85 <= columns_of_box[-1] <= SIDE * 0.9
    names = pixels[2 * LINE + SIDE + LINE : 2 * LINE + SIDE + 2 * LINE]
    assert (names[:, NAME_WIDTH : NAME_WIDTH + SIDE] < 128).any()
    x = NAME_WIDTH + EACH * (SIDE + GAP) + 4 * GAP
    assert (pixels[2 * LINE : 2 * LINE + SIDE, x : x + SIDE] == 220).all()
