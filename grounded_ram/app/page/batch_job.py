"""Labelling that a page began: a thread that works, and what may be asked of it meanwhile."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias

from grounded_ram.autolabel.decoders import Read
from grounded_ram.autolabel.engines import Here
from grounded_ram.autolabel.items import Item
from grounded_ram.autolabel.labeller import Labeller
from grounded_ram.autolabel.outcomes import Failed, Outcome
from grounded_ram.autolabel.progress import rate, seconds_left
from grounded_ram.autolabel.run import configuration, label, todo
from grounded_ram.autolabel.run_folder import IMAGES, Run, Share, begin, threads_of
from grounded_ram.autolabel.sources import open_sources
from grounded_ram.autolabel.summary import Aside, write_summary
from grounded_ram.disk import is_full
from grounded_ram.errors import GroundedRAMError, InputError
from grounded_ram.export.files import replacing
from grounded_ram.pipeline import GroundedRAM

_log = logging.getLogger(__name__)

State: TypeAlias = Literal["starting", "labelling", "stopping", "stopped", "done", "failed"]

AT_WORK = ("starting", "labelling", "stopping")
"""States of a job whose thread has not ended."""


LEAVE_S = 60.0
"""Seconds that the end of Python waits for the pictures that were begun."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a job has done so far.

    Args:
        state: what it is doing, or how it ended.
        total: pictures that there are; None where nobody knows yet.
        before: pictures that were labelled when it began,
        failed_before: and those that had failed.
        done: pictures that it labelled itself,
        failed: and those that gave nothing.
        objects: found in them.
        run_objects: found in all pictures of the run; None until the summary is written.
        seconds: it has been labelling.
        message: what it waits for, or why it failed.
    """

    state: State = "starting"
    total: int | None = None
    before: int = 0
    failed_before: int = 0
    done: int = 0
    failed: int = 0
    objects: int = 0
    run_objects: int | None = None
    seconds: float = 0.0
    message: str = ""

    @property
    def at_work(self) -> bool:
        """Tell whether more is to come."""
        return self.state in AT_WORK

    @property
    def reached(self) -> int:
        """Return the pictures that are done, failed ones and earlier ones included."""
        return self.before + self.failed_before + self.done + self.failed

    @property
    def rate(self) -> float:
        """Return pictures per second; 0 before the first."""
        return rate(self.done + self.failed, self.seconds)

    @property
    def seconds_left(self) -> float | None:
        """Return how long the rest will take; None where nobody knows."""
        return seconds_left(self.reached, self.total, self.rate)

    @property
    def share(self) -> float | None:
        """Return how much of the work is done, from 0 to 1; None where nobody knows."""
        if self.total is None:
            return None
        return min(1.0, self.reached / self.total) if self.total else 1.0


@dataclass(frozen=True, eq=False)
class _Polite(Labeller):
    """Labels batches between which others may use the model.

    Args:
        gate: held for a batch.
    """

    gate: AbstractContextManager[Any] = field(default_factory=threading.Lock)

    def __call__(self, batch: Sequence[Read]) -> list[Outcome]:
        with self.gate:
            return super().__call__(batch)


class LabelJob:
    """Labels a dataset into the folder of a run, or goes on with what was begun there.

    Args:
        model: what labels it.
        sources: as ``autolabel.sources`` has them.
        folder: of the run.
        tags: words to look for instead of asking the tagger.
        retry_failed: label those again that failed.
        gate: held while a batch is labelled; others may use the model between two of them.

    Raises:
        InputError: a source or the folder cannot be used, or a run in it asked for something else.
    """

    def __init__(
        self,
        model: GroundedRAM,
        sources: Sequence[str],
        folder: Path,
        *,
        tags: Sequence[str] | None = None,
        retry_failed: bool = False,
        gate: AbstractContextManager[Any] | None = None,
    ) -> None:
        threads = threads_of(folder, os.cpu_count() or 1)
        self._model, self._asks_tagger = model, tags is None
        self._sources = open_sources(sources, keep_in=folder / IMAGES, leave_out=[folder])
        self.run: Run = begin(folder, configuration(self._sources, model, tags, threads=threads))
        words = None if tags is None else tuple(tags)
        self._labeller = _Polite(model, words, threads, gate or threading.Lock())
        self._retry_failed = retry_failed
        self._aside = Aside()
        self._stop = threading.Event()
        self._telling = threading.RLock()
        self._progress = Progress(message="reading the models")
        self._began = time.monotonic()
        # A daemon, as whatever is on the disk is whole: no end of Python hangs on it for long.
        self._thread = threading.Thread(target=self._work, name="label", daemon=True)

    def start(self) -> None:
        """Begin to work, and return at once."""
        atexit.register(self._leave)
        self._thread.start()

    def stop(self) -> None:
        """Finish the pictures that were begun, and begin no further ones."""
        with self._telling:
            self._stop.set()
            if self._progress.at_work:
                self._progress = replace(self._progress, state="stopping")

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the work has ended."""
        self._thread.join(seconds)

    @property
    def progress(self) -> Progress:
        """Return what was done so far."""
        return self._progress

    @property
    def _is_cut_short(self) -> bool:
        now = self._progress
        return self._stop.is_set() and (now.total is None or now.reached < now.total)

    def _work(self) -> None:
        """Label, and let no error go unsaid."""
        try:
            self._model.fetch_weights(tagger=self._asks_tagger)
            self._label()
            self._write_summary()
        except GroundedRAMError as error:
            self._end("failed", str(error))
        except OSError as error:
            room = "the disk is full; make room, and label again to go on: "
            self._end("failed", f"{room if is_full(error) else ''}{error}")
        except Exception as error:  # nobody else would hear of it
            _log.exception("labelling ended early")
            self._end("failed", f"{type(error).__name__}: {error}")
        else:
            self._end("stopped" if self._is_cut_short else "done", "")

    def _label(self) -> None:
        with self.run.open_part(Share()) as part, replacing(self.run.skipped_file) as skipped:
            failed_before = 0 if self._retry_failed else len(part.failed)
            had = {"before": len(part.labelled), "failed_before": failed_before}
            self._tell(**had, message="counting the pictures")
            self._tell(total=self._sources.count(), message="reading the models")
            self._began = time.monotonic()
            labelled = label(
                part,
                todo(part, self._items(skipped), retry_failed=self._retry_failed),
                labeller=self._labeller,
                engine=Here(0),
                stop=self._stop.is_set,
            )
            for outcomes in labelled:
                self._count(outcomes)

    def _items(self, skipped: IO[bytes]) -> Iterator[Item]:
        """Return the items of the sources; write down what is left out, set aside what is lost."""
        for one in self._sources.items():
            if isinstance(one, Item):
                yield one
            else:
                self._aside.take(one, skipped)

    def _count(self, outcomes: Sequence[Outcome]) -> None:
        failed = sum(isinstance(one, Failed) for one in outcomes)
        now = self._progress
        self._tell(
            done=now.done + len(outcomes) - failed,
            failed=now.failed + failed,
            objects=now.objects + sum(getattr(one, "objects", 0) for one in outcomes),
            seconds=time.monotonic() - self._began,
            message="",
        )

    def _write_summary(self) -> None:
        """Leave the same files behind as ``grounded-ram label``."""
        if self._is_cut_short:
            return
        self._tell(message="writing the summary")
        summary = write_summary(self.run, self.run.dataset(), self._aside)
        if not summary["pictures"] and not summary["failed"]:
            raise InputError("there were no pictures to label in what was named")
        self._tell(run_objects=summary["objects"])

    def _tell(self, **changes: object) -> None:
        with self._telling:
            state: State = "stopping" if self._stop.is_set() else "labelling"
            now = replace(self._progress, state=state, **changes)  # type: ignore[arg-type]
            self._progress = now

    def _leave(self) -> None:
        """Finish what was begun before Python ends."""
        self.stop()
        self.wait(LEAVE_S)

    def _end(self, state: State, message: str) -> None:
        atexit.unregister(self._leave)
        with self._telling:
            self._progress = replace(self._progress, state=state, message=message)


def sources_of(text: str) -> list[str]:
    """Return what was typed as the pictures, one a line.

    Raises:
        InputError: nothing was, or what only a terminal has.
    """
    lines = [os.path.expanduser(line) for line in map(str.strip, text.splitlines()) if line]  # noqa: PTH111
    if not lines:
        raise InputError("name a folder with pictures, as in photos, or a pattern: photos/**/*.jpg")
    if "-" in lines:
        raise InputError("'-' is the standard input, which a page has not; name a folder, or @LIST")
    return lines


def folder_of(text: str) -> Path:
    """Return the folder of a run that was typed.

    Raises:
        InputError: none was.
    """
    if not text.strip() or "\0" in text:
        raise InputError("name the folder of the run, as in grounded-ram-run")
    return Path(text.strip()).expanduser()


def words_of(text: str) -> list[str] | None:
    """Return words that were typed with commas between them, each once; None for none."""
    each: dict[str, str] = {}
    for word in filter(None, map(str.strip, text.split(","))):
        each.setdefault(word.casefold(), word)
    return list(each.values()) or None
