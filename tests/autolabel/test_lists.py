"""Lists of paths and addresses, as editors and other tools write them."""

import io
from pathlib import Path

import pytest

from grounded_ram.autolabel.items import Item, Naming, Skipped
from grounded_ram.autolabel.lists import ListFile, PictureFile, StandardInput
from grounded_ram.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "lists"
    for name in ("lists/a.jpg", "lists/deep/b c.jpg", "other/d.jpg", "lists/x.zip", "lists/#e.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return folder


def read(folder: Path, content: bytes) -> list[Item | Skipped]:
    (folder / "list").write_bytes(content)
    source = ListFile(folder / "list")
    return list(source.items(Naming(source.base, folder / "keep", unique=False)))


def test_lines_begin_at_the_folder_of_the_list(folder: Path) -> None:
    outside = folder.parent / "other/d.jpg"
    content = f"a.jpg\ndeep/b c.jpg\n../other/d.jpg\n{folder / 'a.jpg'}\nhttps://h/f.png"
    assert read(folder, content.encode()) == [
        Item("a.jpg", str(folder / "a.jpg")),
        Item("deep/b c.jpg", str(folder / "deep/b c.jpg")),
        Item(outside.relative_to(outside.anchor).as_posix(), str(outside)),
        Skipped("a.jpg", "an earlier picture has this name"),
        Item("h/f.png", str(folder / "keep/h/f.png"), "https://h/f.png"),
    ]


def test_marks_line_ends_blank_lines_and_comments_are_no_content(folder: Path) -> None:
    content = b"\xef\xbb\xbfa.jpg\r\n\r\n  # a comment\r\n \t \r\n  ./#e.jpg  \r\n#e.jpg"
    assert [item.name for item in read(folder, content)] == ["a.jpg", "#e.jpg"]


def test_odd_lines_are_said_with_their_numbers(folder: Path) -> None:
    content = (
        b"# head\n\nnix.jpg\ndeep\nbad\xff.jpg\nnul\0.jpg\nx.zip\nftp://h/a.jpg\nhttps://h/v.mp4\n"
    )
    content += b"l" * 5000 + b"\na.jpg\n"
    *odd, last = read(folder, content)
    assert all(isinstance(item, Skipped) for item in odd)
    assert [item.name for item in odd] == [f"list, line {number}" for number in range(3, 11)]
    reasons = [item.reason for item in odd if isinstance(item, Skipped)]
    expected = ["there is no file", "a folder", "no valid text", "no", "not opened", "expected an"]
    expected += ["download it first", "no"]
    for reason, words in zip(reasons, expected, strict=True):
        assert words in reason
        assert "\n" not in reason
        assert "\0" not in reason
    assert last.name == "a.jpg"


def test_an_empty_list_is_a_list(folder: Path) -> None:
    assert read(folder, b"") == []


def test_a_list_in_another_code_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="UTF-16; save it as UTF-8"):
        read(folder, "a.jpg\n".encode("utf-16"))


def test_a_list_that_cannot_be_read_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="cannot read the list"):
        ListFile(folder)


def test_the_standard_input_is_read_once_and_as_far_as_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    stream = io.BytesIO(b"a.jpg\nnix.jpg\ndeep/b c.jpg\n")
    source = StandardInput(stream)
    begun = source.items(Naming(source.base, folder, unique=False))
    assert next(begun).name == "a.jpg"
    assert stream.tell() == len(b"a.jpg\n")
    names = ["a.jpg", "standard input, line 2", "deep/b c.jpg"]
    for _ in range(2):
        again = source.items(Naming(source.base, folder, unique=False))
        assert [item.name for item in again] == names


def test_a_picture_that_goes_is_said(folder: Path) -> None:
    source = PictureFile(folder / "a.jpg")
    (folder / "a.jpg").unlink()
    (gone,) = source.items(Naming(source.base, folder, unique=False))
    assert isinstance(gone, Skipped)
    assert gone.reason.startswith("there is no file")
