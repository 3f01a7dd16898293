"""A run that is killed again and again ends as one that nobody disturbed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import PIL.Image
import pytest

from grounded_ram.scenes.scene import make_scene

KILLS = 20
PICTURES = 40
REPOSITORY = Path(__file__).parents[2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_twenty_kills_change_no_byte_of_the_result(tmp_path: Path) -> None:
    for seed in range(PICTURES):
        path = tmp_path / "photos" / f"{seed % 3}" / f"{seed}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(make_scene(seed, size=96).image).save(path)
    (tmp_path / "photos/damaged.jpg").write_bytes(b"\xff\xd8\xff no picture")

    undisturbed, killed = (label(tmp_path, name, kills) for name, kills in (("a", 0), ("b", KILLS)))
    assert undisturbed == {"safe": [0], "exit_code": 1}
    assert killed["exit_code"] == 1
    safe = killed["safe"]
    assert safe == sorted(safe)  # nothing that was safe is lost
    assert len(set(safe)) > 5, safe  # kills came in the midst of the work
    for name in ("coco/annotations.coco.json", "yolo/data.yaml", "summary.json", "failures.jsonl"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    labels = sorted(path.name for path in (tmp_path / "a/yolo").rglob("*.txt"))
    assert labels == sorted(path.name for path in (tmp_path / "b/yolo").rglob("*.txt"))
    assert len(labels) == PICTURES


def label(folder: Path, name: str, kills: int) -> dict[str, object]:
    script = [sys.executable, "-m", "tests.autolabel.killed_run", str(folder / "photos")]
    options = [str(folder / name), str(kills), "7", "--decoders", "0", "--format", "coco,yolo"]
    done = subprocess.run(
        [*script, *options],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found
