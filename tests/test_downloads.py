import hashlib
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from grounded_ram import downloads
from grounded_ram.downloads import (
    WeightFile,
    cache_folder,
    download,
    find_whole,
    is_offline,
    locate,
    sha256_of,
    write_digests,
)
from grounded_ram.errors import InputError, WeightsError

CONTENT = bytes(range(256)) * 40
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Host:
    """A file host on this machine: what it answers to every request, and what it was asked."""

    address: str = ""
    answer: bytes = CONTENT
    promised: int | None = None  # Content-Length, where it is not the answer's
    status: int = 200
    asked: list[str] = field(default_factory=list)

    def file(self, **changes: object) -> WeightFile:
        source = f"{self.address}/ram.pth"
        row = WeightFile(name="ram.pth", source=source, sha256=DIGEST, size=len(CONTENT))
        return replace(row, **changes)  # type: ignore[arg-type]


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host.asked.append(self.path)
            self.send_response(host.status)
            length = len(host.answer) if host.promised is None else host.promised
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(host.answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        host.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield host
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("GROUNDED_RAM_CACHE", str(folder))
    return folder


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_a_download_lands_whole_in_the_cache(host: Host, cache: Path) -> None:
    file = host.file()
    assert locate(file) is None

    path = download(file)

    assert path == cache / "ram.pth" == locate(file) == find_whole(file)
    assert path.read_bytes() == CONTENT
    assert host.asked == ["/ram.pth"]


def test_a_damaged_file_is_found_out_and_replaced(host: Host, cache: Path) -> None:
    cache.mkdir()
    (cache / "ram.pth").write_bytes(CONTENT[:-1] + b"x")
    assert locate(host.file()) is not None
    assert find_whole(host.file()) is None

    assert download(host.file()).read_bytes() == CONTENT


def test_a_partial_file_is_found_out_by_its_size_alone(host: Host, cache: Path) -> None:
    cache.mkdir()
    (cache / "ram.pth").write_bytes(CONTENT[:100])
    assert find_whole(host.file(sha256=None)) is None


@pytest.mark.parametrize("answer", [b"<html>not the weights</html>", CONTENT[:5000], b""])
def test_what_is_not_the_expected_file_is_not_kept(host: Host, cache: Path, answer: bytes) -> None:
    host.answer = answer
    with pytest.raises(WeightsError, match=r"ram\.pth.*could not be downloaded"):
        download(host.file())
    assert files_in(cache) == []


def test_a_connection_that_breaks_leaves_nothing_behind(host: Host, cache: Path) -> None:
    host.answer, host.promised = CONTENT[:5000], len(CONTENT)
    with pytest.raises(WeightsError, match="could not be downloaded"):
        download(host.file())
    assert files_in(cache) == []


def test_a_wrong_size_is_an_error_where_no_digest_is_known(host: Host) -> None:
    host.answer = CONTENT[:5000]
    with pytest.raises(WeightsError, match="expected size"):
        download(host.file(sha256=None))
    assert find_whole(host.file(sha256=None)) is None


@pytest.mark.parametrize("status", [404, 500])
def test_a_refusal_is_told(host: Host, status: int) -> None:
    host.status = status
    with pytest.raises(WeightsError, match=str(status)):
        download(host.file())


def test_nobody_listening_is_told() -> None:
    file = WeightFile(name="x", source="http://127.0.0.1:9/x")
    with pytest.raises(WeightsError, match=r"x \(http://127\.0\.0\.1:9/x\) could not be"):
        download(file)


def test_that_a_file_was_whole_is_remembered_until_it_changes(host: Host) -> None:
    path = download(host.file())
    stat = path.stat()

    path.write_bytes(bytes(len(CONTENT)))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert find_whole(host.file()) == path  # same size and time: not read again

    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert find_whole(host.file()) is None


def test_a_note_about_another_file_does_not_count(host: Host, cache: Path) -> None:
    download(host.file())
    (cache / "other.pth").write_bytes(bytes(len(CONTENT)))
    assert find_whole(host.file(name="other.pth")) is None


def test_a_cache_that_cannot_be_written_costs_only_time(host: Host, cache: Path) -> None:
    cache.mkdir()
    (cache / "ram.pth").write_bytes(CONTENT)
    (cache / "whole").write_text("a file where the folder of notes should be")
    assert find_whole(host.file()) == cache / "ram.pth"


def test_packaged_files_are_checked_against_the_digests_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "ASSETS", tmp_path)
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "ram.json").write_text("{}")
    file = WeightFile(name="ram.json", source="package:small/ram.json")
    assert find_whole(file) == folder / "ram.json"  # no digests yet

    write_digests(folder)
    assert json.loads((folder / "sha256.json").read_text()) == {
        "ram.json": hashlib.sha256(b"{}").hexdigest()
    }
    assert find_whole(file) == folder / "ram.json"

    (folder / "ram.json").write_text("[]")
    assert find_whole(file) is None
    write_digests(folder)
    assert find_whole(file) is not None


def test_a_file_of_the_users_own_is_taken_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    file = WeightFile(name="mine", source=f"file:{path}")
    assert file.is_local
    assert locate(file) is None
    path.write_text("{}")
    assert find_whole(file) == path


def test_a_hub_file_is_looked_for_in_the_hubs_own_layout(cache: Path) -> None:
    repo = cache / "hub" / "models--owner--repo"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("abc")
    snapshot = repo / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "vocab.txt").write_bytes(CONTENT)
    file = WeightFile(name="vocab", source="hf://owner/repo@main/vocab.txt", sha256=DIGEST)

    assert find_whole(file) == snapshot / "vocab.txt"
    assert find_whole(replace(file, sha256="0" * 64)) is None
    assert locate(replace(file, source="hf://owner/repo@main/other.txt")) is None


def test_a_hub_that_cannot_be_reached_is_told() -> None:
    file = WeightFile(name="vocab", source="hf://owner/repo@main/vocab.txt")
    with pytest.raises(WeightsError, match=r"vocab.*could not be downloaded"):
        download(file)  # the tests forbid the hub the network


@pytest.mark.parametrize("source", ["ram.pth", "/tmp/ram.pth", "ftp://host/ram.pth", ""])
def test_a_source_of_no_known_kind_is_refused(source: str) -> None:
    with pytest.raises(InputError, match="source must start with"):
        WeightFile(name="x", source=source)


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
    for name in ("GROUNDED_RAM_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setattr(downloads.sys, "platform", platform)
    assert cache_folder() == Path(expected)


def test_sha256_of_a_file_longer_than_a_block(tmp_path: Path) -> None:
    content = b"abc" * (1 << 20)
    (tmp_path / "x").write_bytes(content)
    assert sha256_of(tmp_path / "x") == hashlib.sha256(content).hexdigest()
