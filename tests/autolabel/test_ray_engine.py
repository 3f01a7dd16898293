"""Ray actors, one of them killed on the way, give what one process gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.colours import draw_many

pytest.importorskip("ray", reason="needs the extra ray")

REPOSITORY = Path(__file__).parents[2]

LABEL = """
import json, sys
from pathlib import Path
from grounded_ram.autolabel.engines import Here
from grounded_ram.autolabel.items import Item
from grounded_ram.autolabel.labeller import Labeller
from grounded_ram.autolabel.outcomes import Labelled
from grounded_ram.autolabel.ray_engine import OnRay
from tests.autolabel.test_ray_engine import killing_model

folder, mark = Path(sys.argv[1]), Path(sys.argv[2])
items = [Item(p.name, str(p)) for p in sorted(folder.rglob("*.*"))]
batches = [items[start : start + 2] for start in range(0, len(items), 2)]
labeller = Labeller(killing_model(mark), threads=1)
found = {}
for name, engine in {"ray": OnRay(actors=2, rows=2), "here": Here(0)}.items():
    outcomes = [one for batch in engine(labeller, batches) for one in batch]
    found[name] = sorted(repr(one) for one in outcomes)
print(json.dumps(found))
"""


def killing_model(mark: Path):  # type: ignore[no-untyped-def]
    from grounded_ram.pipeline import GroundedRAM
    from tests.autolabel.test_engines import KillsItself

    stage = KillsItself(mark)
    return GroundedRAM("tiny", tagger=stage, detector=stage, segmenter=stage)


def test_two_actors_one_killed_give_what_one_process_gives(tmp_path: Path) -> None:
    draw_many(tmp_path / "photos", 24)
    done = subprocess.run(
        [sys.executable, "-c", LABEL, str(tmp_path / "photos"), str(tmp_path / "mark")],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "RAY_DEDUP_LOGS": "0"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert (tmp_path / "mark").exists()
    assert len(found["here"]) == 25
    assert found["ray"] == found["here"]
