from __future__ import annotations

import pytest

from grounded_ram.autolabel.progress import duration, rate, seconds_left


def test_a_rate_divides_by_no_time_at_all() -> None:
    assert (rate(8, 4.0), rate(8, 0.0)) == (2.0, 0.0)


@pytest.mark.parametrize(
    ("reached", "total", "per_second", "left"),
    [(50, 100, 2.0, 25.0), (100, 50, 2.0, 0.0), (1, None, 2.0, None), (0, 100, 0.0, None)],
)
def test_what_is_left_is_known_once_there_are_a_total_and_a_rate(
    reached: int, total: int | None, per_second: float, left: float | None
) -> None:
    assert seconds_left(reached, total, per_second) == left


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59, "59 s"), (61, "1 min"), (7500, "2 h 05 min")]
)
def test_times_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
