from __future__ import annotations

import io
import json
import time

import pytest
from rich.console import Console

from grounded_ram.autolabel.outcomes import Failed, Labelled
from grounded_ram.cli import terminal, watching
from grounded_ram.cli.watching import Tally

BATCH = [Labelled("a", "0" * 64, 3, b"{}"), Failed("b", "damaged"), Labelled("c", "1" * 64, 0, b"")]


NOW = 1000.0


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: NOW)


def tally(*, total: int | None = 1000, seconds: float = 10.0) -> Tally:
    found = Tally(total, before=7, began=NOW - seconds)
    found.add(BATCH)
    return found


def test_what_was_done_is_counted_and_what_is_left_is_guessed() -> None:
    record = tally().record()
    assert (record["done"], record["of"], record["objects"], record["failed"]) == (10, 1000, 3, 1)
    assert record["images_per_second"] == 0.3
    assert record["seconds_left"] == 3300
    assert record["memory_mb"] > 20
    assert tally(total=None).record()["seconds_left"] is None
    assert tally(total=5).record()["seconds_left"] == 0


def test_a_line_says_it_in_words() -> None:
    line = tally(total=2000).line()
    assert line.startswith("10 of 2,000 pictures, 0.30/s, 3 objects, 1 failed, 1 h 51 min left, ")
    assert " left, memory " in line
    assert line.endswith(" MB")
    assert tally(total=None).line().startswith("10 pictures, 0.30/s, 3 objects, 1 failed, memory ")
    assert "40 s left" in tally(total=22).line()
    assert " 3 min left" in tally(total=70).line()


def test_programs_get_events() -> None:
    out = io.StringIO()
    with watching.watching(out) as watcher:
        watcher.told(tally(), BATCH)
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    assert events[:3] == [
        {"event": "labelled", "name": "a", "objects": 3},
        {"event": "failed", "name": "b", "reason": "damaged"},
        {"event": "labelled", "name": "c", "objects": 0},
    ]
    assert events[3]["event"] == "progress"
    assert events[3]["done"] == 10


def test_people_get_a_bar_at_a_terminal_and_else_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for is_terminal in (True, False):
        out = io.StringIO()
        console = Console(file=out, force_terminal=is_terminal, width=120)
        monkeypatch.setattr(terminal, "_err", console)
        with watching.watching(None) as watcher:
            watcher.told(tally(), BATCH)
            assert is_terminal or not out.getvalue()
            monkeypatch.setattr(watching, "LINE_EVERY_S", 0)
            watcher.told(tally(), BATCH)
        assert "10 of 1,000 pictures, 0.30/s" in out.getvalue()
        monkeypatch.setattr(watching, "LINE_EVERY_S", 10)
