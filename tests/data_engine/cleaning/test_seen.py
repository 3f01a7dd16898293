from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from grounded_ram.autolabel.journal import JOURNAL
from grounded_ram.data_engine.cleaning.regions import Region
from grounded_ram.data_engine.cleaning.seen import Seen, SeenFolder, digest_of, seen_in
from grounded_ram.disk import DiskFullError
from grounded_ram.errors import InputError

BOX = (0.1, 1 / 3, 7.000001, 1e-9)


def seen(name: str, count: int = 2) -> Seen:
    regions = [
        Region(name, f"dog \ud800{row}", BOX, float("nan"), 0.1 + row) for row in range(count)
    ]
    return Seen.of(regions, np.random.default_rng(0).normal(size=(count, 5)), ["red", "dog"])


def same(one: Seen | None, other: Seen) -> bool:
    assert one is not None
    assert repr(one.regions) == repr(other.regions)  # NaN is not NaN
    assert (one.embeddings is None) == (other.embeddings is None)
    if one.embeddings is not None and other.embeddings is not None:
        np.testing.assert_array_equal(one.embeddings, other.embeddings)
        assert one.embeddings.dtype == np.float16
    return one.names == other.names


def test_what_was_seen_comes_back_to_the_last_digit(tmp_path: Path) -> None:
    with seen_in(tmp_path / "seen") as folder:
        folder.keep({"a": ("1", seen("a")), "b": ("2", seen("b", 0))})
        folder.keep({"c": ("3", Seen.of(names=["x"]))})
        assert folder.known == 0
    with seen_in(tmp_path / "seen") as folder:
        assert folder.known == 3
        assert same(folder.get("a", "1"), seen("a"))
        assert same(folder.get("b", "2"), Seen.of(names=["red", "dog"]))
        assert same(folder.get("c", "3"), Seen.of(names=["x"]))
        assert folder.get("d", "") is None


def test_what_was_seen_of_something_else_does_not_count_until_it_is_seen_anew(
    tmp_path: Path,
) -> None:
    with seen_in(tmp_path) as folder:
        folder.keep({"a": (digest_of("dog"), seen("a"))})
    with seen_in(tmp_path) as folder:
        assert folder.get("a", digest_of("cat")) is None
        folder.keep({"a": (digest_of("cat"), seen("a", 1))})
    with seen_in(tmp_path) as folder:
        assert same(folder.get("a", digest_of("cat")), seen("a", 1))
        assert folder.get("a", digest_of("dog")) is None


@pytest.mark.parametrize("cut", [1, 20, 10_000])
@pytest.mark.parametrize("name", [JOURNAL, "records-00000.jsonl"])
def test_what_a_kill_tears_off_is_looked_for_anew_and_all_before_it_is_known(
    tmp_path: Path, name: str, cut: int
) -> None:
    with seen_in(tmp_path) as folder:
        folder.keep({"a": ("1", seen("a"))})
    whole = (tmp_path / name).stat().st_size
    with seen_in(tmp_path) as folder:
        folder.keep({"b": ("2", seen("b"))})
    size = (tmp_path / name).stat().st_size
    os.truncate(tmp_path / name, max(whole, size - cut))
    with seen_in(tmp_path) as folder:
        assert same(folder.get("a", "1"), seen("a"))
        assert folder.get("b", "2") is None
        folder.keep({"b": ("2", seen("b"))})
    with seen_in(tmp_path) as folder:
        assert same(folder.get("a", "1"), seen("a"))
        assert same(folder.get("b", "2"), seen("b"))


def test_a_record_that_somebody_changed_is_looked_for_anew(tmp_path: Path) -> None:
    with seen_in(tmp_path) as folder:
        folder.keep({"a": ("1", seen("a"))})
    file = tmp_path / "records-00000.jsonl"
    file.write_bytes(b"x" * file.stat().st_size)
    with seen_in(tmp_path) as folder:
        assert folder.get("a", "1") is None


def test_a_journal_that_is_damaged_is_told_with_what_to_do(tmp_path: Path) -> None:
    with seen_in(tmp_path) as folder:
        folder.keep({"a": ("1", seen("a")), "b": ("1", seen("b"))})
    lines = (tmp_path / JOURNAL).read_bytes().splitlines(keepends=True)
    (tmp_path / JOURNAL).write_bytes(b"?\n" + lines[1])
    with pytest.raises(InputError, match="delete the folder") as told, seen_in(tmp_path):
        pass
    assert "--restart" not in str(told.value)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with (
        seen_in(tmp_path),
        pytest.raises(InputError, match="another process"),
        seen_in(tmp_path),
    ):
        pass
    with seen_in(tmp_path):
        pass


def test_without_a_folder_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with seen_in(None) as folder:
        folder.keep({"a": ("1", seen("a"))})
        assert folder.get("a", "1") is None
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = SeenFolder(tmp_path)
    monkeypatch.setattr("grounded_ram.autolabel.journal.os.fsync", full)
    with pytest.raises(DiskFullError, match="type the same command again to go on"):
        folder.keep({"a": ("1", seen("a"))})
    folder.close()
