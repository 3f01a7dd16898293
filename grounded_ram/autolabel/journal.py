"""The journal of a run: what came of each picture, safe against a kill at any moment.

A part of a run is a folder with the journal and shards of records:

    journal.jsonl           one line a picture: where its record lies, or why it failed
    records-00000.jsonl     one line a picture, as ``export.records`` writes it

Records reach the disk before the lines of the journal that point to them. So whatever the journal
names is whole, and what a kill left behind it, a torn line or records without a line, is cut off
when the part is opened again.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

from grounded_ram.autolabel.outcomes import Failed, Labelled, Outcome
from grounded_ram.disk import sync_folder
from grounded_ram.errors import InputError

_log = logging.getLogger(__name__)

JOURNAL = "journal.jsonl"

SHARD_BYTES = 64 * 2**20
"""A shard that has grown to this size gets no further records."""


class Place(NamedTuple):
    """Where a record lies."""

    shard: str
    offset: int
    length: int


@dataclass(frozen=True)
class Entries:
    """What a journal says.

    Args:
        labelled: the SHA-256 and the record's place of each picture that was labelled, by name.
        failed: the reason of each that failed, and was not labelled later.
        size: bytes of the journal that are whole lines.
    """

    labelled: Mapping[str, tuple[str, Place]]
    failed: Mapping[str, str]
    size: int


def read_journal(folder: Path) -> Entries:
    """Read the journal of a part; what a kill tore off at its end is passed over.

    Pictures whose records are gone, since a copy of the run was cut short, say, count as not done.

    Raises:
        InputError: a line before the last one is damaged: somebody changed the file.
    """
    path = folder / JOURNAL
    labelled: dict[str, tuple[str, Place]] = {}
    failed: dict[str, str] = {}
    size = 0
    torn: tuple[int, bytes] | None = None
    with path.open("rb") if path.exists() else open(os.devnull, "rb") as file:  # noqa: PTH123
        for number, line in enumerate(file, start=1):
            if torn is not None:
                raise InputError(
                    f"{path}, line {torn[0]}: damaged; it was {torn[1][:80]!r}. Begin anew with "
                    "--restart, or put back the file as it was"
                )
            try:
                _read_line(line, labelled, failed)
                size += len(line)
            except (ValueError, KeyError, TypeError):
                torn = number, line
    _drop_lost(folder, labelled)
    return Entries(labelled, failed, size)


def _read_line(line: bytes, labelled: dict[str, tuple[str, Place]], failed: dict[str, str]) -> None:
    entry = json.loads(line)
    name = entry["name"]
    if not line.endswith(b"\n"):
        raise ValueError("torn off by a kill")
    if "failed" in entry:
        failed[name] = entry["failed"]
    else:
        labelled[name] = entry["sha256"], Place(*entry["record"])
        failed.pop(name, None)


def _drop_lost(folder: Path, labelled: dict[str, tuple[str, Place]]) -> None:
    """Forget the pictures whose records are no longer there, and say so."""
    sizes = {path.name: path.stat().st_size for path in folder.glob("records-*.jsonl")}
    lost = [
        name
        for name, (_, place) in labelled.items()
        if place.offset + place.length > sizes.get(place.shard, 0)
    ]
    for name in lost:
        del labelled[name]
    if lost:
        _log.warning("%s: the records of %d pictures are gone; label again", folder, len(lost))


class Records:
    """Reads the records of a part; it keeps one shard open.

    Args:
        folder: the part's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._shard = ""

    def read(self, place: Place) -> bytes:
        """Return the record at a place."""
        if self._file is None or self._shard != place.shard:
            self.close()
            self._file, self._shard = (self._folder / place.shard).open("rb"), place.shard
        self._file.seek(place.offset)
        return self._file.read(place.length)

    def close(self) -> None:
        """Close the shard that is open."""
        if self._file is not None:
            self._file.close()


class Part:
    """A part of a run, open to add to; nobody else may have it open.

    Args:
        folder: made if absent.

    Attributes:
        labelled: names of the pictures that were labelled.
        failed: reasons by name.

    Raises:
        InputError: the journal is damaged.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        entries = read_journal(folder)
        self.labelled = set(entries.labelled)
        self.failed = dict(entries.failed)
        places = [place for _, place in entries.labelled.values()]
        self._number, self._offset = _cut_shards(folder, places)
        self._journal = _open_at(folder / JOURNAL, entries.size)
        self._shard = _open_at(folder / _shard_name(self._number), self._offset)
        sync_folder(folder)

    def commit(self, outcomes: Sequence[Outcome]) -> None:
        """Write down what came of some pictures; when this returns, no kill undoes it.

        Raises:
            OSError: the disk is full, say; the part must be opened anew before anything is added.
        """
        lines = []
        for outcome in outcomes:
            if isinstance(outcome, Failed):
                lines.append({"name": outcome.name, "failed": outcome.reason})
            else:
                lines.append(self._keep(outcome))
        _sync(self._shard)
        self._journal.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        _sync(self._journal)
        for outcome in outcomes:
            if isinstance(outcome, Failed):
                self.failed[outcome.name] = outcome.reason
            else:
                self.labelled.add(outcome.name)
                self.failed.pop(outcome.name, None)

    def close(self) -> None:
        """Close the files; all that was committed is on the disk already."""
        # What a full disk refused would be written once more on closing, and fail again.
        for file in (self._shard, self._journal):
            try:
                file.close()
            except OSError:
                continue

    def _keep(self, outcome: Labelled) -> dict[str, Any]:
        """Add a record to the shard, or to a new one, and return its line of the journal."""
        if self._offset >= SHARD_BYTES:
            _sync(self._shard)
            self._shard.close()
            self._number, self._offset = self._number + 1, 0
            self._shard = _open_at(self.folder / _shard_name(self._number), 0)
            sync_folder(self.folder)
        place = Place(_shard_name(self._number), self._offset, len(outcome.record))
        self._shard.write(outcome.record)
        self._offset += place.length
        return {"name": outcome.name, "sha256": outcome.sha256, "record": list(place)}


def _cut_shards(folder: Path, places: Sequence[Place]) -> tuple[int, int]:
    """Remove shards that no place points to; return the last one's number and its size in use."""
    ends: dict[str, int] = {}
    for place in places:
        ends[place.shard] = max(ends.get(place.shard, 0), place.offset + place.length)
    for path in folder.glob("records-*.jsonl"):
        if path.name not in ends:
            path.unlink()
    if not ends:
        return 0, 0
    last = max(ends)
    return int(last[len("records-") : -len(".jsonl")]), ends[last]


def _shard_name(number: int) -> str:
    return f"records-{number:05d}.jsonl"


def _open_at(path: Path, size: int) -> IO[bytes]:
    """Open a file to add to, cut to a size."""
    file = path.open("ab")
    file.truncate(size)
    return file


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
