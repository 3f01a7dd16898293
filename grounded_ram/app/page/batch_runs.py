"""What the page knows of runs: those that visitors opened, and the one that is being labelled."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import NamedTuple

from grounded_ram.app.page.batch_job import LabelJob, folder_of, sources_of, words_of
from grounded_ram.app.page.batch_run import OpenRun
from grounded_ram.autolabel.run_folder import CONFIG
from grounded_ram.errors import InputError
from grounded_ram.pipeline import GroundedRAM

MOST_OPEN = 4
"""Runs whose labels are kept in memory; the one that was opened first goes first."""


class Opened(NamedTuple):
    """Which run a visitor looks at, and the how manieth opening of one it was."""

    folder: Path
    number: int


class Runs:
    """The runs of one page.

    Args:
        model: what labels pictures.
        gate: held while it labels a batch; others may use the model between two of them.

    Attributes:
        job: what is being labelled, or was at last; None before the first.
    """

    def __init__(self, model: GroundedRAM, gate: threading.Lock) -> None:
        self.job: LabelJob | None = None
        self._model = model
        self._gate = gate
        self._open: dict[Path, OpenRun] = {}
        self._ended: tuple[LabelJob, Opened] | None = None
        self._number = 0
        self._lock = threading.Lock()
        self._ending = threading.Lock()

    def begin(
        self, pictures: str, folder: str, words: str = "", *, retry_failed: bool = False
    ) -> LabelJob:
        """Begin to label pictures, or go on where it stopped.

        Args:
            pictures: what was typed: folders, patterns, one a line.
            folder: of the run.
            words: to look for instead of asking the tagger, with commas between them.
            retry_failed: label those again that failed.

        Raises:
            InputError: they cannot be labelled, or others are being labelled.
        """
        with self._lock:
            if self.job is not None and self.job.progress.at_work:
                raise InputError(
                    f"{str(self.job.run.folder)!r} is being labelled; wait for it, or press Stop"
                )
            self.job = LabelJob(
                self._model,
                sources_of(pictures),
                folder_of(folder),
                tags=words_of(words),
                retry_failed=retry_failed,
                gate=self._gate,
            )
            self.job.start()
            return self.job

    def open(self, folder: Path) -> Opened:
        """Open a run, or open it again to see what is new.

        Raises:
            InputError: no run lies there, or it is damaged.
        """
        if not (folder / CONFIG).exists():
            raise InputError(
                f"there is no run in {str(folder)!r}; name a folder with pictures and press Label"
            )
        run = OpenRun(folder)
        with self._lock:
            self._number += 1
            self._open.pop(folder, None)
            self._open[folder] = run
            while len(self._open) > MOST_OPEN:
                del self._open[next(iter(self._open))]
            return Opened(folder, self._number)

    def open_ended(self, job: LabelJob) -> Opened:
        """Open the run of a job that has ended; once, however many visitors saw it end.

        Raises:
            InputError: the run was taken away, or is damaged.
        """
        with self._ending:
            known = self._ended
            if known is None or known[0] is not job or known[1].folder not in self._open:
                known = self._ended = (job, self.open(job.run.folder))
            return known[1]

    def of(self, opened: Opened | None) -> OpenRun | None:
        """Return the run that a visitor looks at; None if there is none.

        Raises:
            InputError: too many others were opened since.
        """
        if opened is None:
            return None
        run = self._open.get(opened.folder)
        if run is None:
            raise InputError(f"open {str(opened.folder)!r} again: other runs were opened since")
        return run
