"""A run that the page has open: its pictures by page and label, its review queue, its exports."""

from __future__ import annotations

import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from grounded_ram.annotation import Annotation
from grounded_ram.app.page.batch_queue import QueueItem, count_decisions, make_queue, suggestions
from grounded_ram.autolabel.exports import Written, write_format
from grounded_ram.autolabel.journal import Entries
from grounded_ram.autolabel.reviewing import Choice, Decision, Reviews
from grounded_ram.autolabel.run_folder import Run
from grounded_ram.errors import InputError
from grounded_ram.export.dataset import Dataset
from grounded_ram.export.exporter import MaskFormat
from grounded_ram.export.pictures import Pictures
from grounded_ram.registry import find_exporter

EVERYTHING, WITHOUT = "", "\0without"
"""What a gallery is asked for besides a label: all pictures, and those without an object."""

READINGS = 3
"""How often the annotations are read when a run is: for its labels, and twice for the queue."""

OnRead = Callable[[int, int], None]
"""Is told of how many annotations how many were read."""


@dataclass(frozen=True)
class Page:
    """A page of a gallery.

    Args:
        names: of the pictures on it.
        number: of the page, from 1.
        pages: how many there are; at least 1.
        total: pictures on all of them.
    """

    names: Sequence[str]
    number: int
    pages: int
    total: int


def page_of(names: Sequence[str], number: int, size: int) -> Page:
    """Return a page of some pictures; a number out of range means the nearest page."""
    pages = max(1, -(-len(names) // size))
    number = min(max(1, number), pages)
    return Page(names[(number - 1) * size : number * size], number, pages, len(names))


class _Snapshot(Run):
    """A run as it was when it was opened: a journal of 100,000 lines is not read for each picture.

    Args:
        folder: where it lies.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._journals = super().journals()
        self._reviews = super().reviews()

    def journals(self) -> list[tuple[Path, Entries]]:
        """Return the parts, and what their journals said then."""
        return self._journals

    def reviews(self) -> Reviews:
        """Return what a person decided about the labels."""
        return self._reviews


class OpenRun:
    """A run that was opened; several visitors of the page may look at it at once.

    Args:
        folder: where it lies.

    Attributes:
        names: of its pictures, sorted.
        failures: name and reason of each picture that failed.
        labels: how many pictures have each label, once ``read`` has ended; the most frequent first.
        queue: what to decide on.
        objects: how many there are as the models labelled, once ``read`` has ended.

    Raises:
        InputError: no run lies there, or it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.run: Run = _Snapshot(folder)
        self.reviews = self.run.reviews()
        self.names = sorted({name for _, found in self.run.journals() for name in found.labelled})
        self.failures = self.run.failures()
        self.labels: dict[str, int] = {}
        self.queue: list[QueueItem] = []
        self.objects = 0
        self._is_read = False
        self._labels_of: dict[str, tuple[str, ...]] = {}
        self._queued: dict[str, Annotation] = {}
        self._reading = threading.Lock()  # may last for minutes
        self._deciding = threading.RLock()  # may not

    def read(self, on_read: OnRead) -> None:
        """Read all annotations, to know which labels there are and what to review first.

        Once is enough, however many visitors look at the run.
        """
        with self._reading:
            if self._is_read:
                return
            total = READINGS * len(self.names)
            labels_of, objects = {}, 0
            for done, name in enumerate(self.names, start=1):
                found = self.annotation(name, reviewed=False)
                objects += len(found.detections)
                with self._deciding:
                    labels_of[name] = _labels(self.reviews.apply(found))
                on_read(done, total)
            with self._deciding:
                self._labels_of, self.objects = labels_of, objects
                self._count()
            self._fill("", lambda done: on_read(len(self.names) + done, total))
            self._is_read = True

    def fill(self, label: str, on_read: OnRead) -> None:
        """Fill the queue with what is undecided, of one label or of all."""
        total = (READINGS - 1) * len(self.names)
        with self._reading:
            self._fill(label, lambda done: on_read(done, total))

    def _fill(self, label: str, on_read: Callable[[int], None]) -> None:
        done = 0

        def read() -> Iterator[Annotation]:
            nonlocal done
            for name in self.names:
                yield self.annotation(name, reviewed=False)
                done += 1
                on_read(done)

        queue = make_queue(
            read,
            lambda annotation, row: self.reviews.decision_of(annotation, row) is not None,
            label=label,
            facts=self.run.config["model"],
        )
        names = {item.name for item in queue}
        queued = {name: self.annotation(name, reviewed=False) for name in names}
        with self._deciding:
            self.queue, self._queued = queue, queued

    def chosen(self, what: str) -> Sequence[str]:
        """Return the names of the pictures with a label, or of all, or of those without any."""
        if what == EVERYTHING:
            return self.names
        with self._deciding:
            if what == WITHOUT:
                return [name for name in self.names if self._labels_of.get(name) == ()]
            return [name for name in self.names if what in self._labels_of.get(name, ())]

    @property
    def without(self) -> int:
        """Return how many pictures have no object, as far as they were read."""
        return sum(not labels for labels in self._labels_of.values())

    def annotation(self, name: str, *, reviewed: bool = True) -> Annotation:
        """Return what is known of a picture.

        Raises:
            InputError: the run has none of that name.
        """
        found = self.run.annotation(name, reviewed=False)
        with self._deciding:
            return self.reviews.apply(found) if reviewed else found

    def labelled(self, item: QueueItem) -> Annotation:
        """Return what was known of an item's picture before anybody decided on it."""
        return self._queued.get(item.name) or self.annotation(item.name, reviewed=False)

    def decision(self, item: QueueItem) -> Decision | None:
        """Return what was decided on an object."""
        return self.reviews.decision_of(self.labelled(item), item.row)

    @property
    def decided(self) -> int:
        """Return how many objects of the run were decided on, in whatever queue."""
        return min(len(self.reviews), self.objects)

    def requeue(self, item: QueueItem) -> None:
        """Put an object in front of the queue if it is not in it."""
        with self._deciding:
            if item not in self.queue:
                found = self.annotation(item.name, reviewed=False)
                self.queue, self._queued[item.name] = [item, *self.queue], found

    def decide(self, item: QueueItem, choice: Choice | None, to: str = "") -> bool:
        """Write a decision down, or take it back; it is on the disk when this returns.

        Returns whether anything was written: what was decided already is not decided again.

        Args:
            item: the object.
            choice: what is said of its label; None takes back what was said before.
            to: what it is called instead, if the choice is "rename".

        Raises:
            InputError: the new name is none, or the object is not there any more.
            OSError: the disk is full, say.
        """
        if choice == "rename" and not to.strip():
            raise InputError(f"type what the {item.label!r} should be called, or choose a name")
        found = self.labelled(item)
        if list(found.detections.data["class_name"][item.row : item.row + 1]) != [item.label]:
            raise InputError(f"{item.name!r} was labelled anew since; press Look for more")
        with self._deciding:
            self.reviews.refresh()  # other processes decide, too
            if self.reviews.decision_of(found, item.row) == _decision(item, choice, to):
                return False
            if choice is None:
                self.reviews.undo(found, item.row)
            else:
                self.reviews.decide(found, item.row, choice, to)
            if self._labels_of:
                self._labels_of[item.name] = _labels(self.reviews.apply(found))
                self._count()
            return True

    def counts(self) -> Counter[str]:
        """Count the decisions on the queue by kind; those that are left as "left"."""
        decisions = map(self.decision, self.queue)
        return count_decisions(None if one is None else one.choice for one in decisions)

    def suggestions(self, item: QueueItem) -> list[str]:
        """Return names that an object might have instead, the likeliest first."""
        return suggestions(self.labelled(item), item.row, self.labels)

    def _count(self) -> None:
        counts = Counter(label for labels in self._labels_of.values() for label in labels)
        self.labels = dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))

    def export(
        self, formats: Sequence[str], *, masks: MaskFormat, pictures: Pictures
    ) -> dict[str, Written]:
        """Write the run, with all decisions, in formats, each into a folder of its name.

        Raises:
            InputError: none is named.
            UnknownNameError: no format has that name.
            MissingDependencyError: a library for one of the formats is not installed.
        """
        if not formats:
            raise InputError("choose a format at least, such as coco")
        exporters = {name: find_exporter(name) for name in formats}
        with tempfile.TemporaryDirectory() as folder:  # what a format lacks is told at once
            for name, exporter in exporters.items():
                exporter(Dataset.of([]), Path(folder) / name)
        dataset = Run(self.run.folder).dataset()  # what was labelled since it was opened too
        return {
            name: write_format(
                dataset, exporter, self.run.folder / name, masks=masks, pictures=pictures
            )
            for name, exporter in exporters.items()
        }


def _decision(item: QueueItem, choice: Choice | None, to: str) -> Decision | None:
    """Return what a choice comes to: an object that keeps its name by a renaming is accepted."""
    if choice != "rename":
        return None if choice is None else Decision(choice)
    to = to.strip()
    return Decision("accept") if to == item.label else Decision("rename", to)


def _labels(annotation: Annotation) -> tuple[str, ...]:
    """Return the labels in a picture, each once, sorted; the strings shared by all pictures."""
    names = {str(name) for name in annotation.detections.data["class_name"]}
    return tuple(map(sys.intern, sorted(names)))
