"""Programs of others that read what we write, each in an environment of its own.

Their requirements would break ours: several bring an OpenCV that overwrites the one we run on.
"""

from __future__ import annotations

import hashlib
import json
import os
import site
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest
from filelock import FileLock

Reader: TypeAlias = Callable[..., Path]

HOME = Path(tempfile.gettempdir()) / "grounded-ram-readers"


@pytest.fixture(scope="session")
def reader() -> Reader:
    """Make environments: ``reader(name, requirements, *, outer=False)`` returns one's Python.

    ``name`` is what a message calls it. ``requirements`` are what pip installs and nothing else:
    their own requirements are not followed, so that all that is really imported must be listed.
    With ``outer`` it sees the packages of this environment too, after its own.

    An environment is made once and found again by all workers and by later runs. Where pip cannot
    install, the test is skipped, with what pip said.
    """
    return make


def make(name: str, requirements: Sequence[str], *, outer: bool = False) -> Path:
    folder = HOME / f"{name}-{digest(requirements, outer)}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = folder / "done"
    HOME.mkdir(exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not done.exists():
            venv.create(folder, clear=True, with_pip=True)
            if outer:
                show_outer_packages(python)
            install(name, requirements, python)
            done.touch()
    return python


def digest(requirements: Sequence[str], outer: bool) -> str:
    told = json.dumps([sys.version, sys.prefix, sorted(requirements), outer])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def show_outer_packages(python: Path) -> None:
    """Let an environment import what this one has; its own packages come first."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    inner = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    path = Path(inner.stdout.strip()) / "outer.pth"
    path.write_text("\n".join(site.getsitepackages()))


def install(name: str, requirements: Sequence[str], python: Path) -> None:
    done = subprocess.run(
        [
            *(python, "-m", "pip", "install", "--no-deps", "--only-binary", ":all:"),
            *("--quiet", "--disable-pip-version-check", "--retries", "1", "--timeout", "15"),
            *requirements,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["nothing"]
        pytest.skip(f"pip cannot install {name} as a reader; it says: {said[-1]}")
