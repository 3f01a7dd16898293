from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from grounded_ram.app.page.batch_review import ELSEWHERE, Desk, _decide, _skip, _undo, changes
from grounded_ram.app.page.batch_run import OpenRun
from grounded_ram.app.page.batch_runs import Opened, Runs
from grounded_ram.autolabel.run import label_dataset
from tests.colours import colours_model, draw


@pytest.fixture
def runs() -> Runs:
    return Runs(colours_model(), threading.Lock())


def open_run(runs: Runs, tmp_path: Path, name: str, *labels: str) -> tuple[Opened, OpenRun]:
    """Label a run of one picture an object, and open it."""
    for number, label in enumerate(labels):
        draw(tmp_path / f"photos-{name}" / f"{number}.png", label, first=(number, 1, 9))
    label_dataset(colours_model(), [tmp_path / f"photos-{name}"], tmp_path / name)
    opened = runs.open(tmp_path / name)
    run = runs.of(opened)
    assert run is not None
    run.read(lambda done, total: None)
    return opened, run


def desk_of(shown: list[Any]) -> Desk:
    desk = shown[0]
    assert isinstance(desk, Desk)
    return desk


def decisions(run: OpenRun) -> list[tuple[str, str | None]]:
    path = run.run.folder / "review.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(line["picture"], line["decision"]) for line in map(json.loads, lines)]


def test_a_decision_is_about_what_is_seen_whatever_became_of_the_queue(
    runs: Runs, tmp_path: Path
) -> None:
    opened, run = open_run(runs, tmp_path, "run", "apple", "car", "tree")
    desk = desk_of(_skip(runs, opened, desk_of(changes(run, Desk()))))
    seen = run.queue[1]
    assert desk.item == seen
    run.decide(run.queue[0], "accept")
    run.fill("", lambda done, total: None)  # another visitor looks for more
    assert run.queue[0] == seen  # no longer at the same place
    desk = desk_of(_decide(runs, opened, desk, "reject"))
    assert decisions(run)[-1] == (seen.name, "reject")
    run.fill("zebra", lambda done, total: None)
    last = desk.item
    assert last is not None
    desk = desk_of(_decide(runs, opened, desk, "reject"))
    assert decisions(run)[-1] == (last.name, "reject")
    assert desk.item is None
    desk = desk_of(_undo(runs, opened, desk))
    assert decisions(run)[-1] == (last.name, None)


def test_after_another_run_was_opened_no_decision_hits_it(runs: Runs, tmp_path: Path) -> None:
    first, run = open_run(runs, tmp_path, "one", "apple", "car")
    desk = desk_of(_decide(runs, first, desk_of(changes(run, Desk())), "accept"))
    assert len(desk.done) == 1
    second, other = open_run(runs, tmp_path, "two", "apple", "car")
    for shown in (_decide(runs, second, desk, "reject"), _undo(runs, second, desk)):
        assert ELSEWHERE in shown[2].value
        assert desk_of(shown) == Desk(other.run.folder, other.queue[0])
    assert decisions(other) == []
    assert len(decisions(run)) == 1


def test_an_object_that_was_labelled_anew_is_not_decided_on(runs: Runs, tmp_path: Path) -> None:
    opened, run = open_run(runs, tmp_path, "run", "apple", "car")
    desk = desk_of(changes(run, Desk()))
    assert desk.item is not None
    gone = Desk(desk.folder, type(desk.item)(desk.item.name, 0, "zebra", "", ()))
    shown = _decide(runs, opened, gone, "accept")
    assert "labelled anew" in shown[2].value
    assert decisions(run) == []


def test_the_next_object_is_an_undecided_one_and_undo_leads_back(
    runs: Runs, tmp_path: Path
) -> None:
    opened, run = open_run(runs, tmp_path, "run", "apple", "car", "tree")
    begin = desk_of(changes(run, Desk()))
    desk = desk_of(_decide(runs, opened, begin, "accept"))
    assert desk.item == run.queue[1]
    assert desk.done == (run.queue[0],)
    assert desk_of(_undo(runs, opened, desk)) == begin


def test_a_review_ends_and_then_nothing_but_undo_changes_a_decision(
    runs: Runs, tmp_path: Path
) -> None:
    opened, run = open_run(runs, tmp_path, "run", "apple", "car")
    shown = changes(run, Desk())
    assert "0 of 2 objects of the run" in shown[1].value
    for _ in run.queue:
        shown = _decide(runs, opened, desk_of(shown), "accept")
    desk, before = desk_of(shown), decisions(run)
    assert desk.item is None
    assert "All of these are reviewed" in shown[4].value
    assert "2 of 2 objects of the run" in shown[1].value
    assert [button.interactive for button in shown[9:]] == [False] * 4
    assert [_decide(runs, opened, desk, choice)[0] for choice in ("accept", "reject")] == [desk] * 2
    assert desk_of(_skip(runs, opened, desk)) == desk
    assert decisions(run) == before
    run.fill("", lambda done, total: None)  # Look for more: the queue is empty now
    shown = changes(run, Desk(desk.folder, None, desk.done))
    assert "2 of 2 objects of the run" in shown[1].value
    assert (shown[3].visible, shown[6].interactive) == (True, True)
    shown = _undo(runs, opened, desk_of(shown))
    assert desk_of(shown).item == desk.done[-1]
    assert decisions(run) == [*before, (desk.done[-1].name, None)]
    assert [button.interactive for button in shown[9:]] == [True] * 4


def test_the_same_decision_again_adds_no_line_and_nothing_to_undo(
    runs: Runs, tmp_path: Path
) -> None:
    opened, run = open_run(runs, tmp_path, "run", "apple", "car")
    seen = desk_of(changes(run, Desk()))
    assert seen.item is not None
    run.decide(seen.item, "rename", "pear")  # another visitor
    assert desk_of(_decide(runs, opened, seen, "rename", " pear ")).done == ()
    assert len(decisions(run)) == 1
    assert desk_of(_decide(runs, opened, seen, "reject")).done == (seen.item,)
    assert len(decisions(run)) == 2
