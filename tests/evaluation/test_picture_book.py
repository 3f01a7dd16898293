"""What the tiny preset reaches on a few unseen scenes, with margins; README has the full table."""

import numpy as np
import pytest

from grounded_ram.evaluation.picture_book import FIRST_SEED, Row, evaluate_picture_book
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.training.tiny import FIRST_SEED as FIRST_TRAINED

SCENES = 40


@pytest.fixture(scope="module")
def table() -> dict[str, Row]:
    model = GroundedRAM("tiny", device="cpu")
    return {
        row.name: row
        for row in evaluate_picture_book(model, range(FIRST_SEED, FIRST_SEED + SCENES))
    }


def test_scenes_were_never_trained_on() -> None:
    assert FIRST_SEED + 100_000 < FIRST_TRAINED


def test_the_rows_are_those_of_the_readme(table: dict[str, Row]) -> None:
    assert list(table) == list(LEAST)


# A little below what 500 scenes give, for 40 scenes scatter.
LEAST = {
    "tagging mAP, objects and scenes": 0.90,
    "tagging mAP, attributes and actions": 0.92,
    "detection AP50, true names + 20 absent ones": 0.81,
    "mask mIoU from true boxes": 0.80,
    "whole pipeline, mask AP50": 0.77,
    "drawn labels that are right": 0.89,
    "objects that got a right label": 0.71,
}


@pytest.mark.parametrize("name", LEAST)
def test_the_tiny_preset_reaches(table: dict[str, Row], name: str) -> None:
    assert LEAST[name] <= table[name].value <= 1


def test_no_scenes_no_numbers() -> None:
    rows = evaluate_picture_book(GroundedRAM("tiny", device="cpu"), [])
    assert all(np.isnan(row.value) for row in rows)
