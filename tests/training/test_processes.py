"""Several processes on this machine's CPU, begun as a user begins them."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from grounded_ram.training.processes import ONE, begin_processes
from grounded_ram.weights import load_state_dict
from tests.training.small import coloured_pictures, small_model


def write_table(folder: Path, count: int) -> Path:
    path = folder / "tags.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "tags"])
        for example in coloured_pictures(folder / "pictures", count):
            rows.writerow([example.image, "|".join(example.tags)])
    return path


def train(table: Path, start: Path, output: Path, *more: str) -> dict[str, object]:
    command = [sys.executable, "-m", "grounded_ram", "train", str(table), "--start", str(start)]
    command += ["-o", str(output), "--steps", "4", "--learning-rate", "0.01", "--device", "cpu"]
    command += ["--hold-out", "0.2", "--workers", "0", "--dtype", "float32", "--json", *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    pytest.importorskip("lightning_fabric")
    table, start = write_table(tmp_path, 12), small_model(tmp_path, dropout=False)
    one = train(table, start, tmp_path / "one", "--batch-size", "6")
    two = train(table, start, tmp_path / "two", "--batch-size", "3", "--devices", "2")
    assert two["pictures"] == one["pictures"]
    alone, together = (
        load_state_dict(tmp_path / name / "model" / "weights.safetensors")
        for name in ("one", "two")
    )
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value, rtol=1e-3, atol=1e-4, msg=name)
    steps = [
        row for row in (tmp_path / "two" / "log.csv").read_text().splitlines() if "tags" in row
    ]
    assert len(steps) == 4  # one of the two writes


def test_one_process_needs_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    cpu = torch.device("cpu")
    assert begin_processes(cpu) == (ONE, cpu)
    rows = torch.ones(2, 3)
    assert ONE.gather(rows) == (rows, 0)
    assert ONE.all_of(True)
