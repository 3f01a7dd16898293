from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from grounded_ram.annotation import Reason
from grounded_ram.data_engine.cleaning.regions import Region, Regions
from grounded_ram.data_engine.cleaning.verdicts import Cleaning, LabelCount, count_labels, judge
from grounded_ram.errors import InputError

Row = tuple[str, float, float, tuple[float, ...]]


@pytest.fixture
def regions() -> Iterator[Regions]:
    with tempfile.TemporaryFile() as file:
        yield Regions(file)


def fill(regions: Regions, rows: list[Row]) -> Regions:
    """Add regions of (label, score in the picture, score alone, embedding)."""
    known = [Region("a", label, (0, 0, 1, 1), whole, alone) for label, whole, alone, _ in rows]
    regions.add(known, np.array([vector for *_, vector in rows]))
    return regions


def looks(label: str, count: int, axis: int, *, alone: float = 0.9, seed: int = 0) -> list[Row]:
    """Regions that look alike, of one axis of four."""
    noise = np.random.default_rng((seed, axis)).normal(0, 0.1, (count, 4))
    noise[:, axis] += 1
    return [(label, 0.9, alone, tuple(row)) for row in noise.tolist()]


def test_what_carries_the_label_of_other_things_goes(regions: Regions) -> None:
    cats, dogs = looks("cat", 28, 0), looks("dog", 28, 1)
    wrong = [*looks("cat", 2, 1, seed=1), *looks("dog", 2, 0, seed=2)]
    fill(regions, [*cats, *dogs, *wrong])
    verdicts = judge(regions, Cleaning(share=0.07))
    gone = [row for row, verdict in enumerate(verdicts) if verdict.reason is Reason.OUTLIER]
    assert gone == [56, 57, 58, 59]
    assert min(verdicts[row].distance for row in gone) > 1.5
    assert [one for one in verdicts if one.reason is not None] == [verdicts[row] for row in gone]


def test_what_differs_most_and_says_nothing_of_the_label_does_not_count(regions: Regions) -> None:
    """Light, say, which all have much of, and which varies."""
    cats, dogs = looks("cat", 28, 0), looks("dog", 28, 1)
    rows = [*cats, *dogs, *looks("cat", 2, 1, seed=1), *looks("dog", 2, 0, seed=2)]
    light = np.random.default_rng(5).normal(2, 1, len(rows))
    lit = [(*row[:3], (*row[3], shine)) for row, shine in zip(rows, light.tolist(), strict=True)]
    verdicts = judge(fill(regions, lit), Cleaning(share=0.07))
    gone = [row for row, verdict in enumerate(verdicts) if verdict.reason is Reason.OUTLIER]
    assert gone == [56, 57, 58, 59]


def test_labels_that_the_tagger_does_not_see_alone_go(regions: Regions) -> None:
    nan = float("nan")
    rows: list[Row] = [
        ("cat", 0.9, 0.1, (1.0, 0.0)),
        ("cat", 0.9, 0.6, (1.0, 0.1)),
        ("cat", nan, 0.1, (1.0, 0.2)),
        ("cat", 0.9, nan, (1.0, 0.3)),
    ]
    fill(regions, rows)
    reasons = [one.reason for one in judge(regions, Cleaning())]
    assert reasons == [Reason.CONTRADICTED, None, None, None]
    assert [one.reason for one in judge(regions, Cleaning(contradictions=False))] == [None] * 4


def test_a_tagger_that_denies_much_of_a_label_is_not_believed(regions: Regions) -> None:
    denied = looks("cat", 4, 0, alone=0.1)
    fill(regions, [*denied, *looks("cat", 6, 0, seed=1), *denied, *looks("dog", 10, 1)])
    regions.known[10:14] = [one._replace(label="dog") for one in regions.known[10:14]]
    settings = Cleaning(share=0.0, most_contradicted=0.3)
    counts = {one.label: one for one in count_labels(regions, judge(regions, settings))}
    assert counts["cat"].contradicted == 0
    assert counts["dog"].contradicted == 4


def test_the_order_of_the_regions_has_no_effect(regions: Regions) -> None:
    rng = np.random.default_rng(0)
    rows: list[Row] = [
        (f"label {n % 3}", 0.9, float(rng.random()), tuple(rng.normal(size=6).tolist()))
        for n in range(90)
    ]
    expected = judge(fill(regions, rows), Cleaning(share=0.2, clusters=2))
    shuffled = rng.permutation(90).tolist()
    with tempfile.TemporaryFile() as file:
        other = fill(Regions(file), [rows[row] for row in shuffled])
        found = judge(other, Cleaning(share=0.2, clusters=2))
    assert found == [expected[row] for row in shuffled]
    assert len({one.reason for one in found}) == 3


def test_of_no_regions_there_are_no_verdicts(regions: Regions) -> None:
    assert judge(regions, Cleaning()) == []
    assert count_labels(regions, []) == []


def test_labels_of_few_regions_are_not_compared_and_told_so(regions: Regions) -> None:
    fill(regions, [*looks("cat", 10, 0), *looks("dog", 9, 1), *looks("dog", 0, 0)])
    counts = count_labels(regions, judge(regions, Cleaning(share=0.1)))
    assert counts == [
        LabelCount("cat", 10, outliers=1, contradicted=0, compared=True),
        LabelCount("dog", 9, outliers=0, contradicted=0, compared=False),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"share": 1.5},
        {"least_alone": -0.1},
        {"most_contradicted": 2},
        {"clusters": 0},
        {"least_regions": 0},
        {"least_distance": -1},
        {"margin": float("nan")},
    ],
)
def test_settings_out_of_range_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Cleaning(**wrong)
