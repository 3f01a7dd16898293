import pytest

from grounded_ram.benchmark.ours import WITH_STAND_IN, milliseconds

SPENT = {
    "decode": 0.1,
    "annotate": 10.0,
    "tag": 1.0,
    f"tag{WITH_STAND_IN}": 1.5,
    "detect": 2.0,
    f"detect{WITH_STAND_IN}": 2.25,
    "segment": 3.0,
    f"segment{WITH_STAND_IN}": 4.0,
    "encode": 0.2,
    "overlay": 0.3,
    "export": 0.4,
}


def test_what_is_between_the_stages_is_merging_and_stand_ins_are_nobody_s_time() -> None:
    ms = milliseconds(SPENT, 2, ("tag", "detect", "segment"))
    assert ms["merge"] == pytest.approx(500 * (10 - 1.5 - 2.25 - 4))
    assert ms["annotate"] == pytest.approx(500 * (1 + 2 + 3 + 2.25))
    assert ms["all"] == pytest.approx(ms["annotate"] + 500 * (0.1 + 0.2 + 0.3 + 0.4))
    assert (ms["tag"], ms["decode"]) == (500, 50)
    assert "draw" not in ms


def test_a_stage_that_was_not_needed_took_no_time() -> None:
    spent = {name: s for name, s in SPENT.items() if not name.startswith(("segment", "tag"))}
    ms = milliseconds(spent, 1, ("detect", "segment"))
    assert ms["segment"] == 0
    assert "tag" not in ms
    assert ms["merge"] == pytest.approx(1000 * (10 - 2.25))


def test_to_draw_is_to_make_the_overlay_and_write_it() -> None:
    ms = milliseconds({**SPENT, "write": 0.7}, 1, ("tag", "detect", "segment"))
    assert ms["draw"] == pytest.approx(1000)
    without = milliseconds(SPENT, 1, ("tag", "detect", "segment"))
    assert ms["all"] == without["all"]  # only the usual way's drawing is compared with it
