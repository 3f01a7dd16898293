from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from grounded_ram.autolabel import journal
from grounded_ram.autolabel.journal import JOURNAL, Part, Records, read_journal
from grounded_ram.autolabel.outcomes import Failed, Labelled, Outcome
from grounded_ram.errors import InputError


def labelled(name: str, size: int = 20) -> Labelled:
    record = json.dumps({"name": name, "filler": "x" * size}).encode() + b"\n"
    return Labelled(name, f"{abs(hash(name)):064x}"[:64], 1, record)


BATCHES: list[list[Outcome]] = [
    [labelled("a"), labelled("b/ü\n.png", 50)],
    [Failed("c", "it 'was' damaged"), labelled("d")],
    [labelled("e")],
]


def write(folder: Path, batches: list[list[Outcome]]) -> None:
    part = Part(folder)
    for batch in batches:
        part.commit(batch)
    part.close()


def records(folder: Path) -> dict[str, bytes]:
    """Return every record that the journal names, each checked to be whole."""
    reader = Records(folder)
    found = {n: reader.read(place) for n, (_, place) in read_journal(folder).labelled.items()}
    reader.close()
    assert all(json.loads(line)["name"] == name for name, line in found.items())
    return found


def test_what_was_committed_is_read_back(tmp_path: Path) -> None:
    write(tmp_path, BATCHES)
    expected = {o.name: o.record for batch in BATCHES for o in batch if isinstance(o, Labelled)}
    assert records(tmp_path) == expected
    assert dict(read_journal(tmp_path).failed) == {"c": "it 'was' damaged"}
    part = Part(tmp_path)
    assert part.labelled == set(expected)
    assert part.failed == {"c": "it 'was' damaged"}
    part.close()


def test_nothing_was_done_yet(tmp_path: Path) -> None:
    found = read_journal(tmp_path)
    assert (dict(found.labelled), dict(found.failed), found.size) == ({}, {}, 0)


def test_a_journal_torn_at_any_byte_is_gone_on_with(tmp_path: Path) -> None:
    """Whatever a kill left: after the rest is committed, all is there once, and nothing else."""
    whole = tmp_path / "whole"
    write(whole, BATCHES)
    text = (whole / JOURNAL).read_bytes()
    shard = (whole / "records-00000.jsonl").read_bytes()
    everything = records(whole)
    for cut in range(len(text) + 1):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / JOURNAL).write_bytes(text[:cut])
        (folder / "records-00000.jsonl").write_bytes(shard + b'{"torn')
        (folder / "records-00001.jsonl").write_bytes(b'{"torn')
        part = Part(folder)
        rest = [
            [o for o in batch if o.name not in part.labelled and o.name not in part.failed]
            for batch in BATCHES
        ]
        for batch in filter(None, rest):
            part.commit(batch)
        part.close()
        assert records(folder) == everything
        assert (folder / "records-00000.jsonl").stat().st_size == len(shard)
        assert not (folder / "records-00001.jsonl").exists()
        assert (folder / JOURNAL).read_bytes().count(b"\n") == 5


def test_a_line_that_somebody_damaged_is_told(tmp_path: Path) -> None:
    write(tmp_path, BATCHES)
    lines = (tmp_path / JOURNAL).read_bytes().splitlines(keepends=True)
    (tmp_path / JOURNAL).write_bytes(lines[0] + b"what\n" + lines[2])
    with pytest.raises(InputError, match=r"journal.jsonl, line 2: damaged.*--restart"):
        Part(tmp_path)


def test_a_last_line_that_cannot_be_read_is_done_again(tmp_path: Path) -> None:
    write(tmp_path, BATCHES)
    lines = (tmp_path / JOURNAL).read_bytes().splitlines(keepends=True)
    (tmp_path / JOURNAL).write_bytes(b"".join(lines[:-1]) + lines[-1][:-9] + b"\n")
    part = Part(tmp_path)
    assert part.labelled == {"a", "b/ü\n.png", "d"}
    part.commit(BATCHES[-1])
    part.close()
    assert set(records(tmp_path)) == {"a", "b/ü\n.png", "d", "e"}


@pytest.mark.parametrize("left", [0, 100, None])
def test_records_that_are_gone_are_made_again(
    tmp_path: Path, left: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, BATCHES)
    everything = records(tmp_path)
    shard = tmp_path / "records-00000.jsonl"
    if left is None:
        shard.unlink()
    else:
        shard.write_bytes(shard.read_bytes()[:left])
    part = Part(tmp_path)
    assert part.labelled == ({"a"} if left == 100 else set())
    assert "records of" in caplog.text
    for batch in BATCHES:
        part.commit([one for one in batch if one.name not in part.labelled])
    part.close()
    assert records(tmp_path) == everything


def test_a_failed_picture_that_was_labelled_later_has_not_failed(tmp_path: Path) -> None:
    write(tmp_path, [*BATCHES, [labelled("c")]])
    assert dict(read_journal(tmp_path).failed) == {}
    assert set(records(tmp_path)) == {"a", "b/ü\n.png", "c", "d", "e"}


def test_shards_end_when_they_are_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SHARD_BYTES", 100)
    write(tmp_path, BATCHES)
    names = sorted(path.name for path in tmp_path.glob("records-*"))
    assert names == ["records-00000.jsonl", "records-00001.jsonl"]
    write(tmp_path, [[labelled("f"), labelled("g")]])
    assert set(records(tmp_path)) == {"a", "b/ü\n.png", "d", "e", "f", "g"}


def test_a_record_is_on_the_disk_before_the_line_that_points_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(number: int) -> None:
        synced.append(Path(f"/proc/self/fd/{number}").readlink().name)
        real(number)

    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc, to see which file is meant")
    part = Part(tmp_path)
    monkeypatch.setattr(os, "fsync", fsync)
    part.commit([labelled("a")])
    part.close()
    assert synced == ["records-00000.jsonl", JOURNAL]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 200 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)]
    if os.name != "posix" or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill(part: Part) -> int:
    """Commit batches until the disk is full, and return how many were."""
    for done in range(1000):
        try:
            part.commit([labelled(f"{done}-{k}", 3000) for k in range(3)])
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return done
    raise AssertionError("the disk never was full")


def test_a_full_disk_loses_nothing_that_was_committed(small_disk: Path) -> None:
    part = Part(small_disk)
    done = fill(part)
    part.close()
    assert done > 5
    assert set(records(small_disk)) == {f"{n}-{k}" for n in range(done) for k in range(3)}

    subprocess.run(["mount", "-o", "remount,size=2m", str(small_disk)], check=True)
    write(small_disk, [[labelled(f"{done}-{k}", 3000) for k in range(3)]])
    assert len(records(small_disk)) == 3 * done + 3
