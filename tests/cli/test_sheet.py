import numpy as np
import pytest

from grounded_ram.cli.sheet import GAP, HEADER, SIDE, Pair, draw_sheet
from tests.hand_annotation import annotate, rectangle


def pair(size_hw: tuple[int, int] = (40, 40)) -> Pair:
    mask = rectangle(size_hw, 5, 5, 35, 35)
    return Pair(annotate([("car", mask)]), "truth", annotate(size_hw=size_hw), "result")


@pytest.mark.parametrize(("pairs", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (3, 2, 2)])
def test_the_sheet_grows_with_its_pairs(pairs: int, columns: int, rows: int) -> None:
    sheet = draw_sheet([pair()] * pairs)
    assert sheet.size == (
        columns * (2 * SIDE + 2 * GAP) + GAP,
        rows * (HEADER + SIDE + GAP) + GAP,
    )


def test_truth_and_result_stand_side_by_side() -> None:
    one = pair()
    sheet = np.asarray(draw_sheet([one]))
    top = GAP + HEADER
    left, right = GAP, GAP + SIDE + GAP // 2
    for x, annotation, opacity in ((left, one.truth, 0.0), (right, one.result, 0.45)):
        overlay = np.asarray(annotation.overlay(scale=SIDE / 40, opacity=opacity))
        np.testing.assert_array_equal(sheet[top : top + SIDE, x : x + SIDE], overlay)
