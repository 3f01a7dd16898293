import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from grounded_ram import downloads, transfer
from grounded_ram.disk import DiskFullError
from grounded_ram.downloads import WeightFile, download, find_whole, locate, write_digests
from grounded_ram.errors import InputError, WeightsError
from tests.file_host import CONTENT, Answer, Host, serve

REPOSITORY = Path(__file__).parents[1]
DIGEST = hashlib.sha256(CONTENT).hexdigest()
CUT = 3 * 65_536


@pytest.fixture
def host() -> Iterator[Host]:
    with serve(Host()) as host:
        yield host


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    quick = transfer.Patience(attempts=2, first_wait=0.01)
    monkeypatch.setattr(transfer, "PATIENCE", quick)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("GROUNDED_RAM_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def row(host: Host, **changes: object) -> WeightFile:
    source = f"{host.address}/ram.pth"
    file = WeightFile(name="ram.pth", source=source, sha256=DIGEST, size=len(CONTENT))
    return replace(file, **changes)  # type: ignore[arg-type]


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def process(file: WeightFile, before: str = "") -> subprocess.Popen[str]:
    """Start a process that downloads a file and prints where it lies, or the error."""
    code = (
        "from grounded_ram import downloads\n"
        "from grounded_ram.downloads import WeightFile, download\n"
        f"{before}\n"
        f"try:\n    print(download({file!r}))\n"
        "except OSError as error:\n    print(type(error).__name__, error)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_download_lands_whole_in_the_cache(host: Host, cache: Path) -> None:
    file = row(host)
    assert locate(file) is None

    path = download(file)

    assert path == cache / "ram.pth" == locate(file) == find_whole(file)
    assert path.read_bytes() == CONTENT
    assert host.asked == [("/ram.pth", None)]
    assert files_in(cache) == ["ram.pth"]


def test_what_is_here_is_used_when_the_server_is_gone() -> None:
    with serve(Host()) as host:
        file = row(host)
        download(file)
    assert find_whole(file, reread=True) == download(file)


def test_a_damaged_file_is_found_out_and_replaced(host: Host, cache: Path) -> None:
    cache.mkdir()
    (cache / "ram.pth").write_bytes(CONTENT[:-1] + b"x")
    assert locate(row(host)) is not None
    assert find_whole(row(host)) is None

    assert download(row(host)).read_bytes() == CONTENT


def test_a_partial_file_is_found_out_by_its_size_alone(host: Host, cache: Path) -> None:
    cache.mkdir()
    (cache / "ram.pth").write_bytes(CONTENT[:100])
    assert find_whole(row(host, sha256=None)) is None


@pytest.mark.parametrize("sha256", [DIGEST, None], ids=["digest", "no digest"])
@pytest.mark.parametrize("body", [b"<html>not the weights</html>", CONTENT[:5000], b""])
def test_a_file_of_another_size_is_not_kept(
    host: Host, cache: Path, body: bytes, sha256: str | None
) -> None:
    host.answers = [Answer(body=body)]
    with pytest.raises(WeightsError, match=rf"ram\.pth.*{len(body):,} bytes of it, expected"):
        download(row(host, sha256=sha256))
    assert files_in(cache) == []


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_wrong_bytes_are_not_kept_nor_asked_for_again(
    host: Host, cache: Path, size: int | None
) -> None:
    host.files["/ram.pth"] = CONTENT[::-1]
    with pytest.raises(WeightsError, match=rf"has the SHA-256 \w+, expected {DIGEST}"):
        download(row(host, size=size))
    assert files_in(cache) == []
    assert len(host.asked) == 1


def test_a_file_that_does_not_fit_its_earlier_part_comes_anew_once(host: Host, cache: Path) -> None:
    host.answers = [Answer(body=CONTENT[::-1], cut=CUT)]
    assert download(row(host)).read_bytes() == CONTENT
    assert host.ranges == [None, f"bytes={CUT}-", None]


def test_joined_parts_that_never_fit_are_given_up(host: Host, cache: Path) -> None:
    host.files["/ram.pth"] = CONTENT[::-1]
    host.answers = [Answer(cut=CUT), Answer(), Answer(cut=CUT)]
    with pytest.raises(WeightsError, match="SHA-256"):
        download(row(host))
    assert len(host.asked) == 4
    assert files_in(cache) == []


def test_a_connection_that_breaks_leaves_nothing_under_the_name(host: Host, cache: Path) -> None:
    host.answers = [Answer(cut=CUT), Answer(status=503), Answer(status=503)]
    with pytest.raises(WeightsError, match=r"ram\.pth could not be downloaded: http.*503"):
        download(row(host))
    assert files_in(cache) == ["ram.pth.part", "ram.pth.part.json"]
    assert locate(row(host)) is None

    assert download(row(host)).read_bytes() == CONTENT
    assert host.ranges[-1] == f"bytes={CUT}-"
    assert files_in(cache) == ["ram.pth"]


def test_mirrors_are_tried_in_their_order(host: Host) -> None:
    host.files["/wrong.pth"] = CONTENT[::-1]
    mirrors = tuple(f"{host.address}/{name}.pth" for name in ("wrong", "ram", "never"))
    file = row(host, source=f"{host.address}/lost.pth", mirrors=mirrors)
    assert download(file).read_bytes() == CONTENT
    assert [path for path, _ in host.asked] == ["/lost.pth", "/wrong.pth", "/ram.pth"]


def test_where_no_mirror_has_it_each_is_named(host: Host) -> None:
    lost = f"{host.address}/lost.pth"
    host.answers = [Answer(status=404), Answer(status=403)]
    with pytest.raises(WeightsError, match=r"lost\.pth: .*404.*; .*ram\.pth: .*403"):
        download(row(host, source=lost, mirrors=(f"{host.address}/ram.pth",)))


def test_progress_is_told_with_the_file(host: Host) -> None:
    told: list[tuple[WeightFile, int, int | None]] = []
    file = row(host)
    download(file, on_progress=lambda *facts: told.append(facts))
    assert told[-1] == (file, len(CONTENT), len(CONTENT))


# Several processes


def test_two_processes_do_the_work_once(host: Host) -> None:
    host.answers = [Answer(cut=CUT, stalls=True)]  # until the second process waits
    first = process(row(host))
    while not host.asked:
        assert first.poll() is None, first.communicate()
        time.sleep(0.02)
    second = process(row(host), before="downloads._TELL_EVERY = 0.2")
    assert second.stderr is not None
    told = second.stderr.readline()
    assert "waiting for another process that downloads ram.pth" in told
    assert "ram.pth.lock" in told
    host.released.set()

    paths = {done.communicate(timeout=60)[0].strip() for done in (first, second)}
    assert paths == {str(locate(row(host)))}
    assert len(host.asked) == 2  # both of the first process, whose connection broke off


def test_a_process_that_was_killed_holds_nobody_up(host: Host) -> None:
    host.answers = [Answer(cut=CUT, stalls=True)]
    killed = process(row(host))
    part = Path(os.environ["GROUNDED_RAM_HOME"]) / "ram.pth.part"
    while not (part.exists() and part.stat().st_size == CUT):
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.02)
    killed.kill()
    killed.communicate()

    assert download(row(host)).read_bytes() == CONTENT
    assert host.ranges == [None, f"bytes={CUT}-"]


# The disk


def test_a_disk_without_room_is_told_before_the_download(
    host: Host, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = shutil._ntuple_diskusage(10**9, 10**9, 10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: small)
    with pytest.raises(DiskFullError) as caught:
        download(row(host, mirrors=(f"{host.address}/ram.pth",)))
    for part in (
        "no room for ram.pth, which needs 307.2 kB more",
        f"the disk of {cache} has 1.0 MB free",
        "set GROUNDED_RAM_HOME to a folder on another disk",
    ):
        assert part in str(caught.value)
    assert files_in(cache) == []
    assert len(host.asked) == 1  # a mirror would not help


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_disk_that_fills_up_in_the_midst_keeps_what_came(host: Host, cache: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    told, _ = process(row(host), before=limit).communicate(timeout=60)
    assert told.startswith("DiskFullError no room for ram.pth, which needs 207.2 kB more: ")
    assert f"the disk of {cache} is full. " in told
    assert f"What came is kept: 100.0 kB in {cache / 'ram.pth.part'}. " in told
    assert locate(row(host)) is None

    assert download(row(host)).read_bytes() == CONTENT
    assert host.ranges == [None, "bytes=100000-"]


def test_a_cache_that_cannot_be_written_is_told(host: Host, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(WeightsError, match=r"ram\.pth cannot be written: .*cache"):
        download(row(host))


# What is remembered


def test_that_a_file_was_whole_is_remembered_until_it_changes(host: Host) -> None:
    path = download(row(host))
    stat = path.stat()

    path.write_bytes(bytes(len(CONTENT)))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert find_whole(row(host)) == path  # same size and time: not read again
    assert find_whole(row(host), reread=True) is None
    assert find_whole(row(host)) is None  # that is remembered too

    path.write_bytes(CONTENT)
    assert find_whole(row(host)) == path


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


@pytest.mark.parametrize(
    "source",
    ["ram.pth", "/tmp/ram.pth", "ftp://host/ram.pth", "", "hf://repo@main/x", "hf://a/b/x"],
)
def test_a_source_of_no_known_kind_is_refused(source: str) -> None:
    with pytest.raises(InputError, match=r"source must start with|expected hf://"):
        WeightFile(name="x", source=source)
    with pytest.raises(InputError, match=r"source must start with|expected hf://"):
        WeightFile(name="x", source="file:/tmp/x", mirrors=(source,))


@pytest.mark.parametrize("name", ["", "../x", "/tmp/x", "a/b"])
def test_a_name_that_would_leave_the_cache_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="without a folder"):
        WeightFile(name=name, source="https://host.invalid/x")
