"""What becomes of the processes that decode and label when the one that began them is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

REPOSITORY = Path(__file__).parents[2]

BEGIN = {
    "decoders": """
from grounded_ram.autolabel.decoders import Decoders
from grounded_ram.autolabel.items import Item
with Decoders(1) as decoders:
    decoders.start([Item("a", "nowhere.png")]).pictures()
    print("begun", flush=True)
    time.sleep(60)
""",
    "workers": """
from grounded_ram.autolabel.engines import Processes
from grounded_ram.autolabel.items import Item
from grounded_ram.autolabel.labeller import Labeller
from tests.colours import colours_model
items = iter([[Item(str(number), "nowhere.png")] for number in range(4)])
results = Processes(["cpu"], decoders=1)(Labeller(colours_model()), items)
next(results)
print("begun", flush=True)
time.sleep(60)
""",
}


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize("kind", BEGIN)
def test_no_process_outlives_the_one_that_is_killed(kind: str, tmp_path: Path) -> None:
    script = tmp_path / "begin.py"
    body = BEGIN[kind].strip().replace("\n", "\n    ")
    script.write_text(f"import time\nif __name__ == '__main__':\n    {body}\n")
    with subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "begun\n"
        children = psutil.Process(parent.pid).children(recursive=True)
        assert len(children) >= (1 if kind == "decoders" else 2)
        for child in children:
            child.send_signal(signal.SIGTERM)  # as a scheduler does; they leave that to the parent
        time.sleep(0.2)
        assert parent.poll() is None
        parent.kill()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []
