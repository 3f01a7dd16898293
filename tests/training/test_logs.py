import csv
import sys
from pathlib import Path

import pytest

from grounded_ram.errors import MissingDependencyError
from grounded_ram.training.logs import open_logs


def rows(folder: Path) -> list[list[str]]:
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.reader(file))


def test_each_number_is_a_line_and_later_runs_go_on(tmp_path: Path) -> None:
    with open_logs(tmp_path) as log:
        log(1, {"tags": 0.5, "mAP": 0.25})
    with open_logs(tmp_path) as log:
        log(2, {"tags": 1 / 3})
        log(3, {})
    assert rows(tmp_path) == [
        ["step", "name", "value"],
        ["1", "tags", "0.5"],
        ["1", "mAP", "0.25"],
        ["2", "tags", "0.333333"],
    ]


def test_steps_that_are_taken_again_are_told_once(tmp_path: Path) -> None:
    with open_logs(tmp_path) as log:
        for step in (1, 2, 3):
            log(step, {"tags": 1.0})
    with (tmp_path / "log.csv").open("a") as file:
        file.write("4,ta")  # the power went off
    with open_logs(tmp_path) as log:
        log(3, {"tags": 0.5})
    assert rows(tmp_path)[1:] == [["1", "tags", "1"], ["2", "tags", "1"], ["3", "tags", "0.5"]]


def test_a_run_that_has_nothing_left_to_do_keeps_its_log(tmp_path: Path) -> None:
    with open_logs(tmp_path) as log:
        log(1, {"tags": 0.5})
    with open_logs(tmp_path):
        pass
    assert rows(tmp_path)[1:] == [["1", "tags", "0.5"]]


def test_a_silent_process_writes_nothing(tmp_path: Path) -> None:
    with open_logs(tmp_path, tensorboard=True, silent=True) as log:
        log(1, {"tags": 0.5})
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with open_logs(tmp_path, tensorboard=True) as log:
        log(1, {"tags": 0.5})
        log(2, {"tags": 0.25})
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in events.Scalars("tags")] == [(1, 0.5), (2, 0.25)]


def test_without_tensorboard_it_is_said_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingDependencyError, match=r"grounded-ram\[train\]"):
        open_logs(tmp_path, tensorboard=True).__enter__()
