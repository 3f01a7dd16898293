from __future__ import annotations

import gc
import logging
import shutil
import threading
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import PIL.Image
import pytest

from grounded_ram.app.page.desk import GONE, MOST_SESSIONS, Desk, Reply
from grounded_ram.app.page.session import Session, Settings
from grounded_ram.errors import WeightsError
from grounded_ram.pipeline import GroundedRAM


@pytest.fixture(scope="module")
def one_desk(model: GroundedRAM, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A desk with its examples drawn."""
    return Desk(model, tmp_path_factory.mktemp("desk"))


@pytest.fixture
def desk(one_desk: Desk) -> Iterator[Desk]:
    """The desk, on which no session lies."""
    yield one_desk
    shutil.rmtree(one_desk._sessions, ignore_errors=True)


def upload(desk: Desk, path: Path, now: Session | None = None, name: str = "") -> Reply:
    payload = {"path": str(path), "orig_name": name or path.name}
    return desk.upload(now, payload, Settings.of(desk.preset))


def folders(desk: Desk) -> list[Path]:
    return list(desk._sessions.glob("*"))


def test_a_picture_is_turned_upright_and_its_copy_lives_as_long_as_the_session(
    desk: Desk, tmp_path: Path, plain: Path
) -> None:
    turned = tmp_path / "turned.png"
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    with PIL.Image.open(plain) as opened:
        opened.crop((0, 0, 256, 150)).save(turned, exif=exif)
    reply = upload(desk, turned)
    turned.unlink()
    session = reply.session
    assert session is not None
    assert session.annotation.image.size_hw == (256, 150)
    again, path = desk.write(session, "YOLO")
    assert again.title == ""
    assert path is not None
    assert desk.clear(session) == Reply(None)
    assert folders(desk) == []


def test_another_picture_takes_the_place_and_the_folder_of_the_first(
    desk: Desk, plain: Path
) -> None:
    first = upload(desk, plain).session
    second = desk.pick(first, 1, Settings.of(desk.preset)).session
    assert second is not None
    assert second.name == desk.examples[1].path.name
    assert folders(desk) == [second.folder]


@pytest.mark.parametrize(
    ("data", "told"),
    [(b"", "holiday.png"), (b"\x89PNG\r\n\x1a\n nonsense", "holiday.png"), (b"GIF89a", "holiday")],
)
def test_a_broken_file_is_told_by_its_own_name_and_the_picture_before_it_stays(
    desk: Desk, plain: Path, tmp_path: Path, data: bytes, told: str
) -> None:
    now = upload(desk, plain).session
    broken = tmp_path / "0123abc.png"
    broken.write_bytes(data)
    reply = upload(desk, broken, now, name="holiday.png")
    assert reply.session is now
    assert reply.title == "This picture cannot be used"
    assert told in reply.text
    assert "save it anew" in reply.text
    assert str(tmp_path) not in reply.text
    assert len(folders(desk)) == 1


def test_a_picture_of_too_many_pixels_is_refused(plain: Path, tmp_path: Path) -> None:
    small = GroundedRAM("tiny", device="cpu", max_pixels=1000)
    reply = upload(Desk(small, tmp_path / "small"), plain)
    assert reply.session is None
    assert "1000" in reply.text or "1,000" in reply.text
    assert "make it smaller" in reply.text
    assert "save it anew" not in reply.text


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (WeightsError("absent; type this"), "Absent; type this."),
        (MemoryError(), "too little memory"),
        (RuntimeError("CUDA out of memory"), "too little memory"),
        (OSError(28, "No space left on device"), "disk is full"),
        (ZeroDivisionError("x"), "ZeroDivisionError: x"),
    ],
)
def test_every_error_becomes_words(
    desk: Desk,
    plain: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    told: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*args: object) -> None:
        raise error

    monkeypatch.setattr(desk._model, "explore", fail)
    with caplog.at_level(logging.ERROR):
        reply = upload(desk, plain)
    assert told in reply.text
    assert "Traceback" not in reply.text
    assert folders(desk) == []


def test_a_rule_that_runs_a_network_does_not_wait_for_itself(desk: Desk, plain: Path) -> None:
    rules = replace(desk.preset.rules, crop_check="flag")
    settings = replace(Settings.of(desk.preset), rules=rules)
    told: list[Reply] = []

    def use() -> None:
        reply = desk.upload(None, {"path": str(plain)}, settings)
        told.append(reply)
        told.append(desk.change(reply.session, Settings.of(desk.preset)))

    thread = threading.Thread(target=use, daemon=True)
    thread.start()
    thread.join(60)
    assert [(reply.session is not None, reply.title) for reply in told] == [(True, "")] * 2


def test_a_disk_without_room_for_a_folder_becomes_words(
    desk: Desk, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(root: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("grounded_ram.app.page.desk.own_folder", fail)
    assert "disk is full" in upload(desk, plain).text


def test_of_too_many_pictures_the_one_unused_for_longest_goes_and_its_memory_too(
    desk: Desk, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = desk._model.explore(plain)
    monkeypatch.setattr(desk._model, "explore", lambda path: seen)
    first, second = upload(desk, plain).session, upload(desk, plain).session
    assert first is not None
    assert second is not None
    for _ in range(MOST_SESSIONS - 2):
        upload(desk, plain)
    assert desk.change(first, Settings.of(desk.preset)).session is first
    upload(desk, plain)
    assert len(folders(desk)) == MOST_SESSIONS
    assert first.folder.exists()
    assert not second.folder.exists()
    assert desk.change(second, Settings.of(desk.preset)) == GONE
    held = weakref.ref(second)
    del second
    gc.collect()
    assert held() is None


def test_events_of_a_session_that_is_gone_say_so(desk: Desk) -> None:
    assert desk.toggle(None, "dog", on=True) == GONE
    assert desk.add(None, "dog") == GONE
    assert desk.write(None, "COCO") == (GONE, None)
    assert "drop it again" in GONE.text
    assert desk.clear(None) == Reply(None)
    assert desk.upload(None, None, Settings.of(desk.preset)) == Reply(None)
    assert desk.pick(None, 99, Settings.of(desk.preset)) == Reply(None)


def test_the_examples_lie_in_files_and_have_captions(desk: Desk) -> None:
    assert len(desk.examples) == 6
    assert all(one.path.is_file() and one.caption for one in desk.examples)
