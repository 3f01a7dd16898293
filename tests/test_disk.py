import errno
import shutil
from pathlib import Path

import pytest

from grounded_ram.disk import SPARE, DiskFullError, check_room, is_full, put_in_place, size_text
from grounded_ram.errors import WeightsError


def test_room_is_looked_for_where_the_folder_will_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def usage(folder: Path) -> object:
        asked.append(folder)
        return shutil._ntuple_diskusage(10**12, 0, SPARE + 10)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    check_room(tmp_path / "not" / "yet", 10)
    with pytest.raises(DiskFullError, match=r"not.yet has 64\.0 MB free, and 0\.0 kB are to come"):
        check_room(tmp_path / "not" / "yet", 11)
    assert asked == [tmp_path, tmp_path]


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "x"), True),
        (OSError(errno.EDQUOT, "x"), True),
        (OSError(errno.EFBIG, "x"), True),
        (RuntimeError("in rust: No space left on device (os error 28)"), True),
        (OSError(errno.EACCES, "x"), False),
        (ValueError("x"), False),
    ],
)
def test_a_full_disk_is_known_beneath_other_errors(error: Exception, full: bool) -> None:
    assert is_full(error) is full
    wrapped = WeightsError("could not be had")
    wrapped.__cause__ = error
    assert is_full(wrapped) is full


def test_a_file_takes_the_place_of_another(tmp_path: Path) -> None:
    draft, path = tmp_path / "x.part", tmp_path / "x"
    path.write_bytes(b"old")
    draft.write_bytes(b"new")
    put_in_place(draft, path)
    assert path.read_bytes() == b"new"
    assert not draft.exists()


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0.0 kB"), (41_904, "41.9 kB"), (8_900_000, "8.9 MB"), (2_564_550_879, "2.6 GB")],
)
def test_sizes_are_written_for_people(size: int, text: str) -> None:
    assert size_text(size) == text
