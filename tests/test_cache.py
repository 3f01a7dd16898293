import hashlib
import sys
from pathlib import Path

import pytest

from grounded_ram.cache import cache_folder, is_offline, known_sha256, note_sha256, sha256_of


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GROUNDED_RAM_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("name", ["GROUNDED_RAM_OFFLINE", "HF_HUB_OFFLINE"])
@pytest.mark.parametrize(("value", "expected"), [("1", True), ("True", True), ("0", False)])
def test_two_variables_forbid_downloads(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: bool
) -> None:
    monkeypatch.delenv("GROUNDED_RAM_OFFLINE")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    assert not is_offline()
    monkeypatch.setenv(name, value)
    assert is_offline() is expected


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("linux", "/home/me/.cache/grounded-ram"),
        ("darwin", "/home/me/Library/Caches/grounded-ram"),
        ("win32", "/home/me/AppData/Local/grounded-ram"),
    ],
)
def test_the_cache_is_where_the_platform_has_its_caches(
    monkeypatch: pytest.MonkeyPatch, platform: str, expected: str
) -> None:
    for name in ("GROUNDED_RAM_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder() == Path(expected)


def test_the_user_chooses_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("GROUNDED_RAM_HOME", "~/models")
    assert cache_folder() == Path("/home/me/models")


def test_sha256_of_a_file_longer_than_a_block(tmp_path: Path) -> None:
    content = b"abc" * (1 << 20)
    (tmp_path / "x").write_bytes(content)
    assert sha256_of(tmp_path / "x") == hashlib.sha256(content).hexdigest()


def test_what_is_noted_is_believed_of_the_same_file_only(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"1")
    other.write_bytes(b"2")
    note_sha256(one, "noted")
    assert known_sha256(one) == "noted"
    assert known_sha256(one, reread=True) == hashlib.sha256(b"1").hexdigest() == known_sha256(one)
    assert known_sha256(other) == hashlib.sha256(b"2").hexdigest()
    one.write_bytes(b"longer")
    assert known_sha256(one) == hashlib.sha256(b"longer").hexdigest()


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path: Path, cache: Path) -> None:
    cache.mkdir()
    (cache / "digests").write_text("a file where the folder of notes should be")
    (tmp_path / "x").write_bytes(b"abc")
    assert known_sha256(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.parametrize("note", ["", "[1]", "{}", '{"sha256": 1}'])
def test_a_damaged_note_is_no_note(tmp_path: Path, cache: Path, note: str) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    expected = known_sha256(tmp_path / "x")
    (file,) = (cache / "digests").iterdir()
    file.write_text(note)
    assert known_sha256(tmp_path / "x") == expected
