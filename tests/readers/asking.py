"""Runs a piece of Python in another environment and hands back what it found."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

OPENING = """
import json, sys
from pathlib import Path
def answer(value, _path=sys.argv.pop(1)):
    Path(_path).write_text(json.dumps(value), "utf-8")
"""


def ask(python: Path, code: str, *arguments: str | Path) -> Any:
    """Run code that calls ``answer(value)``, with a value that JSON can hold; return that value.

    Args:
        python: the environment, as the fixture ``reader`` returns it.
        code: what it prints is set aside.
        arguments: ``sys.argv[1:]`` of the code.
    """
    with tempfile.TemporaryDirectory() as folder:
        script, answer = Path(folder) / "script.py", Path(folder) / "answer.json"
        script.write_text(OPENING + code, "utf-8")
        alone = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        done = subprocess.run(
            [python, script, answer, *arguments],
            cwd=folder,
            env={**alone, "HOME": folder, "PYTHONUTF8": "1"},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(answer.read_text("utf-8"))
