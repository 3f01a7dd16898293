"""Processes that another one begins: they end with it, and leave its signals to it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading


def begin_child() -> None:
    """Prepare this process, which another one began, for its work.

    Ctrl-C and a scheduler's SIGTERM reach all processes of a command: only the one that writes the
    results heeds them. If that is killed, nobody would end this one, so it watches for that.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
