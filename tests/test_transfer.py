import hashlib
import json
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from grounded_ram.disk import DiskFullError, is_full
from grounded_ram.errors import WeightsError
from grounded_ram.transfer import Patience, discard, transfer
from tests.file_host import CONTENT, Answer, Host, serve

QUICK = Patience(silence=10, attempts=3, first_wait=0.01, longest_wait=0.5)
CUT = 3 * 65_536  # whole blocks: what came of another is lost with the connection


@pytest.fixture
def host() -> Iterator[Host]:
    with serve(Host()) as host:
        yield host


@pytest.fixture
def part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "ram.pth.part"


def run(host: Host, part: Path, size: int | None = len(CONTENT), **options: Any) -> bool:
    return transfer(f"{host.address}/ram.pth", part, size=size, **{"patience": QUICK, **options})


def same(part: Path) -> bool:
    return hashlib.sha256(part.read_bytes()).digest() == hashlib.sha256(CONTENT).digest()


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_file_comes_over_in_one_go(host: Host, part: Path, size: int | None) -> None:
    assert run(host, part, size) is False
    assert same(part)
    assert host.asked == [("/ram.pth", None)]


def test_an_empty_file_is_a_file(host: Host, part: Path) -> None:
    host.files["/ram.pth"] = b""
    run(host, part, 0)
    assert part.read_bytes() == b""


def test_progress_goes_from_nothing_to_all(host: Host, part: Path) -> None:
    told: list[tuple[int, int | None]] = []
    run(host, part, None, on_progress=lambda done, total: told.append((done, total)))
    assert {total for _, total in told} == {len(CONTENT)}
    done = [done for done, _ in told]
    assert len(done) > 3
    assert done == sorted(set(done))
    assert done[-1] == len(CONTENT)


# Going on where it stopped


def test_a_cut_connection_is_gone_on_with(host: Host, part: Path) -> None:
    host.answers = [Answer(cut=CUT)]
    assert run(host, part) is True
    assert same(part)
    assert host.ranges == [None, f"bytes={CUT}-"]


def test_a_stalled_server_is_noticed_and_asked_for_the_rest(host: Host, part: Path) -> None:
    host.answers = [Answer(cut=CUT, stalls=True)]
    began = time.monotonic()
    assert run(host, part, patience=replace(QUICK, silence=1)) is True
    assert time.monotonic() - began < 10
    assert same(part)
    assert host.ranges[1] is not None


def test_a_later_run_goes_on(host: Host, part: Path) -> None:
    host.answers = [Answer(cut=CUT), *[Answer(status=503)] * 2]
    with pytest.raises(WeightsError, match="503"):
        run(host, part)
    assert part.stat().st_size == CUT
    told: list[int] = []
    assert run(host, part, on_progress=lambda done, _: told.append(done)) is True
    assert same(part)
    assert host.ranges[-1] == f"bytes={CUT}-"
    assert told[0] > CUT


def test_what_is_complete_is_not_asked_for(host: Host, part: Path) -> None:
    part.write_bytes(CONTENT)
    assert run(host, part) is True
    assert host.asked == []


def test_a_file_that_changed_meanwhile_is_not_spliced(host: Host, part: Path) -> None:
    host.answers = [Answer(cut=CUT), *[Answer(status=503)] * 2]
    with pytest.raises(WeightsError):
        run(host, part)
    host.tag, host.files["/ram.pth"] = '"two"', CONTENT[::-1]
    assert run(host, part) is False
    assert part.read_bytes() == CONTENT[::-1]


def test_a_server_that_ignores_ranges_gives_all_of_it_again(host: Host, part: Path) -> None:
    host.answers = [Answer(cut=CUT), Answer(ranges=False)]
    assert run(host, part) is False
    assert same(part)


@pytest.mark.parametrize(
    ("tag", "date"), [(None, None), ('W/"weak"', None)], ids=["unnamed", "weak"]
)
def test_a_version_without_a_name_is_not_gone_on_with(
    host: Host, part: Path, tag: str | None, date: str | None
) -> None:
    host.tag, host.date = tag, date
    host.answers = [Answer(cut=CUT)]
    assert run(host, part) is False
    assert same(part)
    assert host.ranges == [None, None]


def test_a_date_names_a_version_too(host: Host, part: Path) -> None:
    host.tag, host.date = None, "Tue, 01 Oct 2024 10:00:00 GMT"
    host.answers = [Answer(cut=CUT)]
    assert run(host, part) is True
    assert same(part)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(start=100),
        Answer(headers={"Content-Range": "nonsense"}),
        Answer(status=416),
    ],
    ids=["another part", "no part", "no such part"],
)
def test_a_wrong_part_is_not_taken(host: Host, part: Path, answer: Answer) -> None:
    host.answers = [Answer(cut=CUT), answer]
    assert run(host, part) is False
    assert same(part)
    assert host.ranges == [None, f"bytes={CUT}-", None]


def test_less_than_was_asked_for_is_taken_and_gone_on_with(host: Host, part: Path) -> None:
    host.answers = [Answer(cut=CUT), Answer(end=CUT + 1000)]
    assert run(host, part) is True
    assert same(part)
    assert host.ranges == [None, f"bytes={CUT}-", f"bytes={CUT + 1000}-"]


def test_a_part_that_is_too_long_is_replaced(host: Host, part: Path) -> None:
    host.answers = [Answer(cut=CUT), *[Answer(status=503)] * 2]
    with pytest.raises(WeightsError):
        run(host, part)
    with part.open("ab") as file:
        file.write(CONTENT)
    assert run(host, part) is False
    assert same(part)


@pytest.mark.parametrize("note", [None, "{", "[]", '{"address": "http://other", "version": "1"}'])
def test_a_part_of_unknown_origin_is_replaced(host: Host, part: Path, note: str | None) -> None:
    part.write_bytes(b"x" * CUT)
    if note:
        part.with_name(f"{part.name}.json").write_text(note)
    assert run(host, part) is False
    assert same(part)
    assert host.ranges == [None]


def test_discarding_leaves_nothing(host: Host, part: Path) -> None:
    run(host, part)
    discard(part)
    discard(part)
    assert list(part.parent.iterdir()) == []


# Trying again, and when not to


def test_a_server_that_is_busy_is_asked_again(host: Host, part: Path) -> None:
    host.answers = [Answer(status=503), Answer(status=429)]
    run(host, part)
    assert same(part)
    assert len(host.asked) == 3


def in_seconds(seconds: float) -> str:
    return format_datetime(datetime.now(timezone.utc) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize("kind", [str, in_seconds], ids=["seconds", "date"])
def test_a_wait_that_the_server_asks_for_is_kept(host: Host, part: Path, kind: object) -> None:
    patience = Patience(silence=5, attempts=3, first_wait=0.01, longest_wait=5)
    host.answers = [Answer(status=503, headers={"Retry-After": kind(2)})]  # type: ignore[operator]
    began = time.monotonic()
    transfer(f"{host.address}/ram.pth", part, patience=patience)
    assert time.monotonic() - began > 0.9  # dates count whole seconds
    assert same(part)


def test_nobody_waits_for_an_hour(host: Host, part: Path) -> None:
    host.answers = [Answer(status=429, headers={"Retry-After": "3600"})]
    with pytest.raises(WeightsError, match=r"429.*again in 3600 s"):
        run(host, part)


def test_a_nonsensical_wait_is_none(host: Host, part: Path) -> None:
    host.answers = [Answer(status=503, headers={"Retry-After": "soon"})]
    run(host, part)
    assert same(part)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 204])
def test_a_plain_refusal_is_final(host: Host, part: Path, status: int) -> None:
    host.answers = [Answer(status=status)] * 9
    with pytest.raises(WeightsError, match=f"answered {status}"):
        run(host, part)
    assert len(host.asked) == 1


def test_attempts_end(host: Host, part: Path) -> None:
    host.answers = [Answer(status=500)] * 9
    with pytest.raises(WeightsError, match=r"answered 500.*tried 3 times"):
        run(host, part)
    assert len(host.asked) == 3


def test_silence_is_told_in_plain_words(host: Host, part: Path) -> None:
    host.answers = [Answer(cut=0, stalls=True)] * 9
    with pytest.raises(WeightsError, match=r"silent for 0.3 s; tried 3 times"):
        run(host, part, patience=replace(QUICK, silence=0.3))


def test_attempts_that_bring_something_are_not_counted(host: Host, part: Path) -> None:
    megabyte = 1 << 20
    host.files["/ram.pth"] = whole = bytes(range(256)) * 4096 * 6
    host.answers = [Answer(cut=megabyte)] * 5
    run(host, part, len(whole))
    assert part.read_bytes() == whole
    assert len(host.asked) == 6


def test_nobody_listening_is_told(part: Path) -> None:
    with pytest.raises(WeightsError, match=r"refused|Connection.*tried 3 times"):
        transfer("http://127.0.0.1:9/x", part, patience=QUICK)


def test_an_address_that_is_none_is_told_at_once(part: Path) -> None:
    with pytest.raises(WeightsError, match="http:"):
        transfer("http://", part, patience=QUICK)


def test_redirects_are_followed(host: Host, part: Path) -> None:
    host.answers = [Answer(status=302, headers={"Location": f"{host.address}/ram.pth"})]
    run(host, part)
    assert same(part)


def test_the_proxy_of_the_environment_is_used(
    host: Host, part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", host.address)
    monkeypatch.setenv("http_proxy", host.address)
    transfer("http://weights.invalid/ram.pth", part, patience=QUICK)
    assert same(part)
    assert host.asked == [("http://weights.invalid/ram.pth", None)]


# Lies


@pytest.mark.parametrize("length", [len(CONTENT) + 5, 10])
def test_a_length_that_is_not_the_expected_one_is_refused_unread(
    host: Host, part: Path, length: int
) -> None:
    host.answers = [Answer(length=length)]
    with pytest.raises(WeightsError, match=f"{length:,} bytes of it, expected 307,200"):
        run(host, part)
    assert not part.exists()


def test_a_length_that_never_comes_is_given_up(host: Host, part: Path) -> None:
    host.answers = [Answer(ranges=False, length=len(CONTENT), body=CONTENT[:CUT])] * 9
    with pytest.raises(WeightsError, match=f"(broke off|ended) after {CUT:,} .*3 times"):
        run(host, part)
    assert len(host.asked) == 3


def test_more_than_expected_is_not_kept(host: Host, part: Path) -> None:
    # Without a length that is believed, the body ends where the connection does.
    host.answers = [Answer(body=CONTENT * 2, headers={"Content-Encoding": "identity"})]
    with pytest.raises(WeightsError, match="more than 307,200 bytes"):
        run(host, part)
    assert not part.exists()


# The disk


def test_a_disk_without_room_is_told_before_anything_is_written(
    host: Host, part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = shutil._ntuple_diskusage(10**9, 10**9, 64_000_000 + len(CONTENT) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: small)
    with pytest.raises(DiskFullError, match=r"64\.3 MB free, and 307\.2 kB are to come"):
        run(host, part, None)
    assert not part.exists()


def test_what_is_here_needs_no_room_again(
    host: Host, part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.answers = [Answer(cut=CUT), *[Answer(status=503)] * 2]
    with pytest.raises(WeightsError):
        run(host, part)
    enough = shutil._ntuple_diskusage(10**9, 10**9, 64_000_000 + len(CONTENT) - CUT)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: enough)
    run(host, part)
    assert same(part)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_a_disk_that_fills_up_in_the_midst_is_an_error_of_the_system(
    host: Host, part: Path
) -> None:
    part.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        run(host, part)
    assert is_full(caught.value)
    assert not isinstance(caught.value, WeightsError)
    assert len(host.asked) == 1


def test_the_note_says_what_the_part_is_of(host: Host, part: Path) -> None:
    run(host, part)
    note = json.loads(part.with_name(f"{part.name}.json").read_text())
    assert note == {"address": f"{host.address}/ram.pth", "version": '"one"'}
