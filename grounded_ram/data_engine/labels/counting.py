"""How many captions have each tag: exact, of any number of captions, in bounded memory.

captions ─► counts of each chunk, perhaps in other processes ─► TagCounter ─► rows

A corpus has millions of tags that come once. When the table in memory is full, it goes to a sorted
file, and a new one begins; at the end the files are read side by side. So nothing is estimated or
dropped: memory is bounded, disk is not, at some 100 bytes for each tag of each file.
"""

from __future__ import annotations

import heapq
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import groupby, islice
from multiprocessing import get_context
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, NamedTuple, TypeAlias

from grounded_ram.autolabel.children import begin_child
from grounded_ram.data_engine.parsing.parser import PARSED_KINDS, CaptionParser
from grounded_ram.errors import GroundedRAMError

EXAMPLES = 3
"""Captions that a tag is shown with."""

EXAMPLE_LENGTH = 160
"""Characters of such a caption; of a longer one the beginning is kept."""

CHUNK = 2000
"""Captions that are parsed at once."""

CAPACITY = 300_000
"""Tags that are held in memory, some 150 MB."""

_MOST_FILES = 64
"""Sorted files that are kept apart: as many are open at once in the end."""

_AHEAD = 2  # chunks that wait for each worker

_CAPTIONS, _KINDS, _NAMES, _EXAMPLES = 0, 1, -2, -1
_KIND_PLACES = {kind: place for place, kind in enumerate(PARSED_KINDS, _KINDS)}

_Entry: TypeAlias = list[Any]
"""How many captions have a tag, as each kind, by each other name, and examples of them."""

Counts: TypeAlias = dict[str, _Entry]
MakeParser: TypeAlias = Callable[[], CaptionParser]


class TagCount(NamedTuple):
    """How often one tag came.

    Args:
        tag: what all its names were folded to.
        captions: how many have it, by whatever name and as whatever kind.
        kinds: how many have it as each kind of ``PARSED_KINDS``; a caption may count for two.
        names: how many have it by each of its other names, the most frequent first.
        examples: the first ``EXAMPLES`` captions that have it and differ, cut where they are long.
    """

    tag: str
    captions: int
    kinds: tuple[int, ...]
    names: Mapping[str, int]
    examples: tuple[str, ...]

    @property
    def kind(self) -> str:
        """Return the kind that it has most often."""
        return PARSED_KINDS[self.kinds.index(max(self.kinds))]


def count_chunk(captions: Sequence[str], parser: CaptionParser, fold: Mapping[str, str]) -> Counts:
    """Count the tags of some captions.

    Args:
        captions: the order matters for examples alone.
        parser: reads them.
        fold: name -> the tag that it counts as; other names count as themselves.
    """
    found: Counts = {}
    for caption, parsed in zip(captions, parser.parse(captions), strict=True):
        example = caption[:EXAMPLE_LENGTH]
        pairs = {(fold.get(name, name), kind) for name, kind in parsed}
        for tag in {tag for tag, _ in pairs}:
            entry = found.get(tag)
            if entry is None:
                entry = found[tag] = _nothing()
            entry[_CAPTIONS] += 1
            if len(entry[_EXAMPLES]) < EXAMPLES and example not in entry[_EXAMPLES]:
                entry[_EXAMPLES] += (example,)
        for tag, kind in pairs:
            found[tag][_KIND_PLACES[kind]] += 1
        for name in {name for name, _ in parsed if name in fold}:
            entry = found[fold[name]]
            entry[_NAMES] = _added(entry[_NAMES], {name: 1})
    return found


def counted(
    captions: Iterable[str], make_parser: MakeParser, fold: Mapping[str, str], *, workers: int = 1
) -> Iterator[tuple[int, Counts]]:
    """Count captions chunk by chunk, in their order, whatever the number of processes.

    Args:
        captions: are read as they are needed.
        make_parser: makes the parser; with several workers, in each of them, so that it must be
            something that can be pickled, such as a ``functools.partial``.
        fold: see ``count_chunk``.
        workers: processes that parse; 1 means this one.

    Yields:
        How many captions a chunk had, and its counts.

    Raises:
        GroundedRAMError: a worker died.
    """
    stream = iter(captions)
    chunks = iter(lambda: list(islice(stream, CHUNK)), [])
    if workers == 1:
        parser = make_parser()
        for chunk in chunks:
            yield len(chunk), count_chunk(chunk, parser, fold)
        return
    pool = ProcessPoolExecutor(
        workers, get_context("spawn"), _begin_worker, (make_parser, dict(fold))
    )
    try:
        yield from _in_order(pool, chunks, workers * _AHEAD)
    except BrokenProcessPool as error:
        raise GroundedRAMError(
            "a process that parses captions ended before its time, perhaps for lack of memory; "
            "try again with fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _in_order(
    pool: ProcessPoolExecutor, chunks: Iterable[list[str]], ahead: int
) -> Iterator[tuple[int, Counts]]:
    waiting: deque[tuple[int, Future[Counts]]] = deque()
    for chunk in chunks:
        waiting.append((len(chunk), pool.submit(_count_in_worker, chunk)))
        if len(waiting) >= ahead:
            size, future = waiting.popleft()
            yield size, future.result()
    for size, future in waiting:
        yield size, future.result()


_work: dict[str, Any] = {}
"""What a worker counts with, in its own process."""


def _begin_worker(make_parser: MakeParser, fold: Mapping[str, str]) -> None:
    begin_child()
    _work.update(make_parser=make_parser, fold=fold)


def _count_in_worker(captions: list[str]) -> Counts:
    if "parser" not in _work:  # not made before: what goes wrong here is told to who waits
        _work["parser"] = _work["make_parser"]()
    return count_chunk(captions, _work["parser"], _work["fold"])


class TagCounter:
    """Adds counts up; a context that removes its files at the end.

    Args:
        capacity: tags to hold in memory.
        folder: where files go meanwhile; None means where the system has its temporary files.

    Attributes:
        captions: how many were counted.
        tags: how many different tags they have; known once ``rows`` has given the last one.
    """

    def __init__(self, *, capacity: int = CAPACITY, folder: Path | None = None) -> None:
        self.captions = self.tags = 0
        self._capacity = capacity
        self._counts: Counts = {}
        self._folder = TemporaryDirectory(prefix="grounded-ram-counts-", dir=folder)
        self._files: list[Path] = []
        self._written = 0

    def __enter__(self) -> TagCounter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    def add(self, captions: int, counts: Counts) -> None:
        """Add the counts of the captions that follow those before."""
        self.captions += captions
        ours = self._counts
        for tag, entry in counts.items():
            known = ours.get(tag)
            if known is None:
                ours[tag] = entry
            else:
                _join(known, entry)
        if len(ours) > self._capacity:
            self._spill()

    def rows(self) -> Iterator[TagCount]:
        """Give every tag, in the order of the letters."""
        number = 0
        runs = [*map(_read, self._files), _sorted(self._counts)]
        for tag, entry in _merged(runs):
            number += 1
            kinds = tuple(entry[_KINDS:_NAMES])
            names = sorted((entry[_NAMES] or {}).items(), key=lambda one: (-one[1], one[0]))
            yield TagCount(tag, entry[_CAPTIONS], kinds, dict(names), entry[_EXAMPLES])
        self.tags = number

    def _spill(self) -> None:
        """Write what is in memory to a file, and forget it."""
        self._write(_sorted(self._counts))
        self._counts = {}
        if len(self._files) >= _MOST_FILES:
            old, self._files = self._files, []
            self._write(_merged(map(_read, old)))
            for path in old:
                path.unlink()

    def _write(self, entries: Iterable[tuple[str, _Entry]]) -> None:
        self._written += 1
        path = Path(self._folder.name) / f"{self._written}.jsonl"
        with path.open("w", encoding="ascii") as file:
            for tag, entry in entries:
                file.write(json.dumps([tag, *entry]) + "\n")
        self._files.append(path)


def _sorted(counts: Counts) -> Iterator[tuple[str, _Entry]]:
    yield from sorted(counts.items(), key=itemgetter(0))


def _read(path: Path) -> Iterator[tuple[str, _Entry]]:
    with path.open(encoding="ascii") as file:
        for line in file:
            tag, *entry = json.loads(line)
            entry[_EXAMPLES] = tuple(entry[_EXAMPLES])
            yield tag, entry


def _merged(runs: Iterable[Iterator[tuple[str, _Entry]]]) -> Iterator[tuple[str, _Entry]]:
    """Join sorted runs into one; of one tag, those of earlier runs come first."""
    for tag, group in groupby(heapq.merge(*runs, key=itemgetter(0)), key=itemgetter(0)):
        total = _nothing()
        for _, entry in group:
            _join(total, entry)
        yield tag, total


def _nothing() -> _Entry:
    return [0, *(0 for _ in PARSED_KINDS), None, ()]


def _join(ours: _Entry, theirs: _Entry) -> None:
    """Add counts of later captions to ours."""
    for place in range(_CAPTIONS, _KINDS + len(PARSED_KINDS)):
        ours[place] += theirs[place]
    if theirs[_NAMES]:
        ours[_NAMES] = _added(ours[_NAMES], theirs[_NAMES])
    for example in theirs[_EXAMPLES] if len(ours[_EXAMPLES]) < EXAMPLES else ():
        if len(ours[_EXAMPLES]) < EXAMPLES and example not in ours[_EXAMPLES]:
            ours[_EXAMPLES] += (example,)


def _added(ours: Mapping[str, int] | None, theirs: Mapping[str, int]) -> dict[str, int]:
    total = dict(ours or {})
    for name, count in theirs.items():
        total[name] = total.get(name, 0) + count
    return total
