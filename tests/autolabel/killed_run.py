"""Labels a folder, killed at random moments and typed again until it is done.

    python -m tests.autolabel.killed_run PHOTOS RUN KILLS SEED [OPTION...]

Each attempt is a fork of this process, which has loaded the libraries already. It is sent SIGKILL
at a random moment: every second one soon after it began, the others soon after it has labelled a
batch. Writes, as JSON, how many pictures were safe after each kill, and the exit code of the last
attempt, which nobody kills.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

import grounded_ram.autolabel.engines
import grounded_ram.autolabel.exports
import grounded_ram.autolabel.summary
import grounded_ram.detection.grounding_dino
import grounded_ram.pipeline
import grounded_ram.segmentation.sam
import grounded_ram.tagging.ram  # noqa: F401
from grounded_ram.autolabel.journal import read_journal
from grounded_ram.cli import main

SOON_S = 0.5


def attempt(command: list[str]) -> int:
    """Begin the command in a process of its own, and return its number."""
    child = os.fork()
    if child:
        return child
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    sys.argv = ["grounded-ram", *command]
    try:
        code = main()
    except SystemExit as left:
        code = left.code
    os._exit(code if isinstance(code, int) else 0)


def run(photos: str, folder: str, kills: int, seed: int, options: list[str]) -> None:
    torch.set_num_threads(1)
    chance = random.Random(seed)
    command = ["label", photos, "-o", folder, "--preset", "tiny", "--threads", "1", *options]
    part = Path(folder) / "parts/1-of-1"
    safe = [0]
    while len(safe) <= kills:
        child = attempt(command)
        while len(safe) % 2 and len(read_journal(part).labelled) == safe[-1]:
            if os.waitpid(child, os.WNOHANG)[0]:
                child = attempt(command)  # it had nothing left to label
                break
            time.sleep(0.01)
        time.sleep(chance.uniform(0, SOON_S))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        safe.append(len(read_journal(part).labelled))
    _, status = os.waitpid(attempt(command), 0)
    found = {"safe": safe, "exit_code": os.waitstatus_to_exitcode(status)}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:])
