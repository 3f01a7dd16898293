"""Pictures in folders and by pattern, with all that lies about on real disks."""

import os
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grounded_ram.autolabel.folders import Folder, Pattern, walk
from grounded_ram.autolabel.items import Item, Naming, Skipped
from grounded_ram.errors import InputError

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names or links")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def naming(root: Path, *leave_out: Path) -> Naming:
    return Naming(str(root), root / "keep", tuple(map(str, leave_out)), unique=True)


def look(folder: Path, *leave_out: Path) -> tuple[list[str], dict[str, str]]:
    """Return the names of the items, and what was skipped and why."""
    found = list(Folder(folder).items(naming(folder, *leave_out)))
    items = [item for item in found if isinstance(item, Item)]
    assert all(item.path == str(folder / item.name) for item in items)
    skips = {item.name: item.reason for item in found if isinstance(item, Skipped)}
    return [item.name for item in items], skips


def match(folder: Path, pattern: str) -> list[str]:
    found = Pattern(str(folder / pattern)).items(naming(folder))
    return [item.name for item in found if isinstance(item, Item)]


def test_pictures_come_by_name_and_the_rest_is_said(tmp_path: Path) -> None:
    touch(tmp_path, "b.JPG", "a.png", "n.txt", "deep/down/c.WebP", "deep.jpg", "none", "x.tar.gz")
    names, skips = look(tmp_path)
    assert names == ["a.png", "b.JPG", "deep/down/c.WebP", "deep.jpg"]
    assert skips == {
        "n.txt": "no picture ending: .txt",
        "none": "no picture ending: none",
        "x.tar.gz": "not opened, since only those named by themselves are: .tar.gz",
    }


def test_what_is_hidden_is_left_out_and_hidden_folders_are_not_entered(tmp_path: Path) -> None:
    touch(tmp_path, ".a.jpg", ".git/b.jpg", "c.jpg")
    assert look(tmp_path) == (["c.jpg"], {".a.jpg": "hidden", ".git": "hidden"})


def test_a_hidden_folder_that_was_typed_is_read(tmp_path: Path) -> None:
    touch(tmp_path, ".thumbs/a.jpg")
    assert look(tmp_path / ".thumbs") == (["a.jpg"], {})


@posix
def test_odd_names_are_names(tmp_path: Path) -> None:
    odd = ["#1.jpg", "a b.jpg", 'it\'s "so".jpg', "line\nbreak.jpg", "*.jpg", "ü☃.jpg"]
    odd += ["back\\slash.jpg", "x" * 251 + ".jpg", "-.jpg", "~.jpg"]
    touch(tmp_path, *odd)
    assert look(tmp_path) == (sorted(odd), {})


@posix
def test_names_that_are_no_text_are_said_in_text(tmp_path: Path) -> None:
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.jpg")).write_bytes(b"")
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/dir\xfe")).mkdir()
    except OSError:
        pytest.skip("this disk takes no such names")
    names, skips = look(tmp_path)
    assert names == []
    assert list(skips) == ["bad\\xff.jpg", "dir\\xfe"]
    assert all("no valid text" in reason for reason in skips.values())


@posix
def test_links_to_files_are_followed_and_broken_ones_are_said(tmp_path: Path) -> None:
    data = tmp_path / "data"
    touch(tmp_path, "data/a.jpg", "elsewhere.jpg", "elsewhere.txt")
    (data / "inside.jpg").symlink_to(data / "a.jpg")
    (data / "outside.jpg").symlink_to("../elsewhere.jpg")
    (data / "notes.txt").symlink_to("../elsewhere.txt")
    (data / "broken.jpg").symlink_to("nowhere.jpg")
    (data / "round.jpg").symlink_to("round.jpg")
    names, skips = look(data)
    assert names == ["a.jpg", "inside.jpg", "outside.jpg"]
    assert skips == {
        "broken.jpg": "broken link",
        "notes.txt": "no picture ending: .txt",
        "round.jpg": "broken link",
    }


@posix
def test_links_to_folders_are_followed_once_and_never_in_circles(tmp_path: Path) -> None:
    data = tmp_path / "data"
    touch(tmp_path, "data/real/a.jpg", "other/b.jpg", "other/deep/c.jpg")
    again = "folder that is here under another name"
    (data / "first").symlink_to(tmp_path / "other")
    (data / "second").symlink_to(tmp_path / "other")
    (data / "alias").symlink_to(data / "real")
    (data / "real" / "self").symlink_to(data)
    (tmp_path / "other" / "back").symlink_to(tmp_path / "other")
    (tmp_path / "other" / "home").symlink_to(data)
    names, skips = look(data)
    assert names == ["first/b.jpg", "first/deep/c.jpg", "real/a.jpg"]
    assert skips == {
        "alias": again,
        "first/back": again,
        "first/home": again,
        "real/self": again,
        "second": again,
    }


@posix
def test_a_link_to_the_folder_above_ends(tmp_path: Path) -> None:
    touch(tmp_path, "data/a.jpg", "b.jpg")
    (tmp_path / "data" / "up").symlink_to("..")
    names, skips = look(tmp_path / "data")
    assert names == ["a.jpg", "up/b.jpg"]
    assert skips == {"up/data": "folder that is here under another name"}


@posix
def test_a_link_into_the_results_is_not_entered(tmp_path: Path) -> None:
    touch(tmp_path, "data/a.jpg", "run/deep/b.jpg")
    (tmp_path / "data" / "link").symlink_to(tmp_path / "run" / "deep")
    assert look(tmp_path / "data", tmp_path / "run") == (["a.jpg"], {"link": "folder of this run"})


@posix
def test_a_folder_that_is_itself_a_link_is_read(tmp_path: Path) -> None:
    touch(tmp_path, "data/a.jpg")
    (tmp_path / "link").symlink_to("data")
    assert look(tmp_path / "link") == (["a.jpg"], {})


@posix
def test_what_is_no_file_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zlink.jpg").symlink_to("pipe.jpg")
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.jpg")
        _, skips = look(tmp_path)
    assert skips == dict.fromkeys(["pipe.jpg", "socket.jpg", "zlink.jpg"], "no ordinary file")


@posix
def test_folders_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "closed/b.jpg", "z.jpg")
    (tmp_path / "closed").chmod(0)
    try:
        if os.access(tmp_path / "closed", os.R_OK):
            pytest.skip("this user may read everything")
        names, skips = look(tmp_path)
        assert names == ["a.jpg", "z.jpg"]
        assert skips == {"closed": "folder cannot be read: Permission denied"}
        with pytest.raises(InputError, match="Permission denied"):
            Folder(tmp_path / "closed")
    finally:
        (tmp_path / "closed").chmod(stat.S_IRWXU)


def test_a_folder_that_goes_while_it_is_read_is_said(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "gone/b.jpg")
    found = walk(str(tmp_path))
    next(found)
    (tmp_path / "gone" / "b.jpg").unlink()
    (tmp_path / "gone").rmdir()
    assert list(found) == [Skipped("gone", "folder cannot be read: No such file or directory")]


def test_folders_are_read_as_they_are_reached(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    found = walk(str(tmp_path))
    assert next(found).name == "a/1.jpg"
    touch(tmp_path, "b/3.jpg")
    assert [file.name for file in found] == ["b/2.jpg", "b/3.jpg"]


def test_deep_trees_are_no_deep_calls(tmp_path: Path) -> None:
    deep = "/".join(["d"] * 300)
    touch(tmp_path, f"{deep}/a.jpg")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(250)
    try:
        assert [file.name for file in walk(str(tmp_path))] == [f"{deep}/a.jpg"]
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.jpg", ["a.jpg"]),
        ("*", ["a.jpg", "one/b.jpg", "one/two/c.jpg"]),
        ("*/*.jpg", ["one/b.jpg"]),
        ("**/*.jpg", ["a.jpg", "one/b.jpg", "one/two/c.jpg"]),
        ("**", ["a.jpg", "one/b.jpg", "one/two/c.jpg"]),
        ("**/two", ["one/two/c.jpg"]),
        ("one/**/c.*", ["two/c.jpg"]),
        ("o[nx]e/?.jpg", ["one/b.jpg"]),
    ],
)
def test_patterns_match_files_and_take_folders_whole(
    tmp_path: Path, pattern: str, expected: list[str]
) -> None:
    touch(tmp_path, "a.jpg", "one/b.jpg", "one/two/c.jpg", "one/n.txt")
    source = Pattern(str(tmp_path / pattern))
    found = source.items(naming(Path(source.base)))
    assert [item.name for item in found if isinstance(item, Item)] == expected


def test_a_pattern_enters_only_folders_that_it_may_match_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "one/a.jpg", "one/two/b.jpg", "three/c.jpg", ".d.jpg")
    read = []

    def spy(folder: str, scandir: Callable[[str], Any] = os.scandir) -> Any:
        read.append(folder)
        return scandir(folder)

    monkeypatch.setattr("os.scandir", spy)
    found = list(Pattern(str(tmp_path / "o*" / "*.jpg")).items(naming(tmp_path)))
    assert found == [Item("one/a.jpg", str(tmp_path / "one/a.jpg"))]
    assert set(read) == {str(tmp_path), str(tmp_path / "one")}


def test_a_pattern_says_what_is_hidden_where_it_matches(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "one/.b.jpg", "n.txt", ".c.jpg")
    found = list(Pattern(str(tmp_path / "*.jpg")).items(naming(tmp_path)))
    assert found == [Skipped(".c.jpg", "hidden"), Item("a.jpg", str(tmp_path / "a.jpg"))]


@posix
def test_a_pattern_goes_round_in_no_circle(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "one/b.jpg")
    for name in ("x", "y", "one/z"):
        (tmp_path / name).symlink_to(tmp_path)
    assert match(tmp_path, "**/*.jpg") == ["a.jpg", "one/b.jpg"]
