from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest

from grounded_ram.cli.places import check_folder, writing_into
from grounded_ram.disk import DiskFullError
from grounded_ram.errors import GroundedRAMError, InputError


def test_a_folder_that_can_be_made_or_written_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for name in ("there", "new", "new/deep/inside"):
        check_folder(tmp_path / name)
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


def test_a_file_in_the_way_is_told_with_the_option(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"-o must name a folder, but .* is a file"):
        check_folder(tmp_path / "file")
    with pytest.raises(InputError, match=r"inside.* cannot be written.*/file.*with -o"):
        check_folder(tmp_path / "file" / "inside")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_folder_that_refuses_is_told_with_the_reason_and_the_option(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*, dir: Path) -> None:
        raise OSError(number, os.strerror(number), str(dir))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuses)
    with pytest.raises(InputError) as told:
        check_folder(tmp_path / "new" / "inside")
    assert str(told.value) == (
        f"{str(tmp_path / 'new/inside')!r} cannot be written, as {str(tmp_path)!r} refuses: "
        f"{os.strerror(number)}; choose another folder with -o"
    )


def test_what_goes_wrong_while_it_is_written_is_told_with_what_to_do(tmp_path: Path) -> None:
    for path in ("new/gone/file", ".new.seen/gone"):
        with (
            pytest.raises(GroundedRAMError, match=r"cannot be written any more.*go on.*with -o"),
            writing_into(tmp_path / "new"),
        ):
            (tmp_path / path).write_text("x")
    with pytest.raises(DiskFullError, match="make room"), writing_into(tmp_path / "new"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    for other in (Path("/elsewhere/file"), tmp_path / "data.csv", tmp_path / "newer" / "file"):
        with pytest.raises(FileNotFoundError, match=other.name), writing_into(tmp_path / "new"):
            other.read_text()
    with pytest.raises(InputError, match="mine"), writing_into(tmp_path / "new"):
        raise InputError("mine")
