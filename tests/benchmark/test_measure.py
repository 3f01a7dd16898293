from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from grounded_ram.benchmark.machine import Machine
from grounded_ram.benchmark.measure import compare, measure, versions
from grounded_ram.benchmark.report import Report
from grounded_ram.benchmark.timing import Spread
from grounded_ram.errors import InputError, UnknownNameError
from grounded_ram.presets import PRESETS
from tests.benchmark.quick import SMALL, forbid_downloads, lose_weights, small_rates

SUMS = ("annotate", "all")


def of(report: Report) -> dict[str, Any]:
    return {row.name: row for row in report.stages}


@pytest.fixture(scope="module")
def compared() -> Report:
    """A measurement of everything."""
    with pytest.MonkeyPatch.context() as patch:
        small_rates(patch)
        return measure(replace(SMALL, batch=2, pictures=4, boxes=3, baseline=True, threads=1))


def test_every_step_is_timed(compared: Report) -> None:
    names = [row.name for row in compared.stages]
    assert names == [
        "decode",
        "tag",
        "detect",
        "segment",
        "merge",
        "annotate",
        "encode",
        "overlay",
        "export",
        "all",
    ]
    for row in compared.stages:
        assert 0 < row.ms.least <= row.ms.median <= row.ms.most


def test_steps_add_up(compared: Report) -> None:
    rows = of(compared)
    inside = [rows[name].ms.least for name in ("tag", "detect", "segment", "merge")]
    assert sum(inside) <= rows["annotate"].ms.most
    whole = sum(row.ms.least for name, row in rows.items() if name not in SUMS)
    assert whole <= rows["all"].ms.most
    assert rows["annotate"].ms.least < rows["all"].ms.least


def test_stages_that_run_networks_have_a_floor(compared: Report) -> None:
    rate = compared.machine.gemm_gflops["float32"]
    for name, row in of(compared).items():
        runs = name in ("tag", "detect", "segment", *SUMS)
        assert (row.share_of_floor is not None) == runs
        if runs:
            assert row.floor_ms == pytest.approx(1000 * row.gflop / rate)
            assert row.share_of_floor == pytest.approx(row.floor_ms / row.ms.median)
            assert row.share_of_floor > 0
    rows = of(compared)
    passes = sum(rows[name].gflop for name in ("tag", "detect", "segment"))
    assert rows["annotate"].gflop == rows["all"].gflop == pytest.approx(passes)


def test_what_was_measured_is_told(compared: Report) -> None:
    assert (compared.preset, compared.device, compared.dtype) == ("tiny", "cpu", "float32")
    assert (compared.batch, compared.pictures, compared.repeat) == (2, 4, 1)
    assert compared.size_wh == (96, 64)
    assert compared.tags == 4
    assert compared.text is not None
    assert compared.text.tokens >= 4 * 2 + 2
    assert compared.boxes == 3.0
    assert compared.usual_masks == 3.0
    assert compared.random_stages == ()
    assert of(compared)["detect"].backend == "grounding-dino:tiny"
    assert of(compared)["decode"].backend is None
    assert compared.machine.threads == 1
    assert compared.memory.host is None or compared.memory.host > 10**8
    assert compared.versions == versions()
    assert {"grounded_ram", "torch", "python"} <= set(compared.versions)


def test_the_usual_way_is_compared_stage_by_stage(compared: Report) -> None:
    assert [row.name for row in compared.against_usual] == ["tag", "detect", "segment", "all"]
    for row in compared.against_usual:
        assert row.usual_ms.least > 0
        assert 0 < row.ratio.least <= row.ratio.median <= row.ratio.most
    assert compared.against_usual[0].ours_ms == of(compared)["tag"].ms
    assert compared.against_usual[-1].ours_ms == of(compared)["annotate"].ms


def test_with_random_weights_as_many_boxes_are_cut_and_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lose_weights(monkeypatch)
    forbid_downloads(monkeypatch)
    absent = {
        "tagger": "ram:absent",
        "detector": "grounding-dino:absent",
        "segmenter": "sam:absent",
    }
    report = measure(replace(SMALL, preset=replace(PRESETS["tiny"], **absent)))
    assert report.random_stages == ("tag", "detect", "segment")
    assert (report.boxes, report.objects) == (10.0, 10.0)
    assert report.text is not None
    assert all(row.ms.median > 0 for row in report.stages)


def test_with_real_weights_the_threshold_counts_unless_boxes_are_asked_for() -> None:
    strict = replace(PRESETS["tiny"], box_threshold=1.0)
    nothing = measure(replace(SMALL, preset=strict))
    assert (nothing.boxes, nothing.objects) == (0.0, 0.0)
    rows = of(nothing)
    assert rows["segment"].ms.median == 0
    assert rows["segment"].share_of_floor is None
    assert measure(replace(SMALL, preset=strict, boxes=2)).boxes == 2.0


def test_given_tags_leave_the_tagger_out(monkeypatch: pytest.MonkeyPatch) -> None:
    lose_weights(monkeypatch)
    preset = replace(PRESETS["tiny"], tagger="ram:absent")  # it would be random
    report = measure(replace(SMALL, preset=preset, asks_tagger=False, baseline=True, boxes=1))
    assert "tag" not in of(report)
    assert report.random_stages == ()
    assert report.tags == 4
    assert [row.name for row in report.against_usual] == ["detect", "segment", "all"]
    assert of(report)["all"].share_of_floor > 0


def test_both_ways_draw_if_asked() -> None:
    report = measure(replace(SMALL, boxes=1, baseline=True, draws=True))
    drawn = {row.name: row for row in report.against_usual}
    assert drawn["draw"].ratio.least > 1  # by 100 and more
    ours = drawn["all"].ours_ms.median
    assert ours == pytest.approx(of(report)["annotate"].ms.median + drawn["draw"].ours_ms.median)


def test_the_crop_check_is_measured_with_the_tagger_of_the_bench() -> None:
    rules = replace(PRESETS["tiny"].rules, crop_check="flag")
    preset = replace(PRESETS["tiny"], rules=rules)
    report = measure(replace(SMALL, preset=preset, asks_tagger=False, boxes=2))
    assert of(report)["tag"].ms.median > 0


def test_turns_are_watched() -> None:
    watched: list[int] = []

    def watch(turns: Iterable[int], count: int) -> Iterable[int]:
        for turn in turns:
            watched.append(count)
            yield turn

    measure(replace(SMALL, pictures=2, repeat=2, asks_tagger=False), watch)
    assert watched == [4, 4, 4, 4]


def test_wrong_names_are_told_before_anything_takes_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Machine:
        raise AssertionError("it takes time")

    monkeypatch.setattr("grounded_ram.benchmark.measure.measure_machine", refuse)
    with pytest.raises(UnknownNameError, match="sam:nobody"):
        measure(replace(SMALL, preset=replace(PRESETS["tiny"], segmenter="sam:nobody")))
    with pytest.raises(InputError, match="dtype"):
        measure(replace(SMALL, dtype="float16"))
    with pytest.raises(InputError, match="device"):
        measure(replace(SMALL, device="abacus"))


def test_ratios_are_taken_pair_by_pair() -> None:
    pairs = [
        ({"tag": 2.0, "annotate": 10.0}, {"tag": 4.0, "all": 20.0}),
        ({"tag": 1.0, "annotate": 5.0}, {"tag": 5.0, "all": 20.0}),
        ({"tag": 4.0, "annotate": 4.0}, {"tag": 4.0, "all": 20.0}),
    ]
    tag, whole = compare(pairs)
    assert (tag.name, whole.name) == ("tag", "all")
    assert tag.ratio == Spread(median=2.0, least=1.0, most=5.0)
    assert whole.ratio == Spread(median=4.0, least=2.0, most=5.0)
    assert whole.ours_ms == Spread(median=5.0, least=4.0, most=10.0)
    assert tag.usual_ms == Spread(median=4.0, least=4.0, most=5.0)


def test_drawing_belongs_to_the_whole() -> None:
    ours = {"annotate": 10.0, "draw": 2.0}
    draw, whole = compare([(ours, {"draw": 8.0, "all": 24.0})])
    assert (draw.ratio.median, whole.ratio.median) == (4.0, 2.0)


def test_what_one_of_the_two_did_not_do_is_not_compared() -> None:
    assert list(compare([({"annotate": 1.0, "segment": 0.0}, {})])) == []
    (whole,) = compare([({"annotate": 1.0, "segment": 0.0}, {"segment": 3.0, "all": 4.0})])
    assert whole.name == "all"
