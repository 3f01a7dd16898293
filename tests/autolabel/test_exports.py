from __future__ import annotations

from pathlib import Path

import pytest

from grounded_ram.autolabel.exports import MANIFEST, write_format
from grounded_ram.export.dataset import Dataset
from tests.hand_annotation import annotate


class Lines:
    """A format of one text file an image, and one with all names."""

    def __init__(self, *names: str, text: str = "", breaks: bool = False) -> None:
        self.files = {name: f"{name} {text}" for name in names}
        self.breaks = breaks

    def __call__(self, dataset, folder, *, masks="rle", pictures="link"):  # type: ignore[no-untyped-def]
        for name, text in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
            if self.breaks:
                raise OSError("disk full")
        (folder / "all").write_text(" ".join(self.files))
        (folder / "link").symlink_to(folder.parent)


EMPTY = Dataset.of([annotate()])


def texts(folder: Path) -> dict[str, str]:
    found = [p for p in folder.rglob("*") if not p.is_symlink() and p.is_file()]
    return {p.relative_to(folder).as_posix(): p.read_text() for p in found if p.name != MANIFEST}


def test_a_format_is_written_and_written_anew(tmp_path: Path) -> None:
    folder = tmp_path / "new/lines"
    first = write_format(EMPTY, Lines("a", "b/c"), folder)
    assert (first.folder, first.files, first.edited) == (folder, 4, ())
    assert texts(folder) == {"a": "a ", "b/c": "b/c ", "all": "a b/c"}

    second = write_format(EMPTY, Lines("a", "d/e", text="more"), folder)
    assert (second.folder, second.files, second.edited) == (folder, 4, ())
    assert texts(folder) == {"a": "a more", "d/e": "d/e more", "all": "a d/e"}
    assert [path.name for path in folder.parent.iterdir()] == ["lines"]


def test_a_folder_that_was_edited_stays_whole_and_the_new_one_goes_beside_it(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "lines"
    write_format(EMPTY, Lines("a", "b", "c"), folder)
    (folder / "a").write_text("mine")
    (folder / "c").write_text("mine too")
    (folder / "notes").write_text("of my own")
    before = texts(folder)
    for again in range(2):  # what lies beside it is ours to replace
        done = write_format(EMPTY, Lines("a", "b", text=f"{again}"), folder)
        assert done.edited == ("a", "c")
        assert done.folder == tmp_path / "lines-2"
        assert texts(folder) == before
        assert texts(done.folder) == {"a": f"a {again}", "b": f"b {again}", "all": "a b"}
    (tmp_path / "lines-2/b").write_text("mine as well")
    third = write_format(EMPTY, Lines("a"), folder)
    assert (third.folder, third.edited) == (tmp_path / "lines-3", ("a", "c"))


def test_overwrite_replaces_edits_and_leaves_what_we_never_wrote(tmp_path: Path) -> None:
    folder = tmp_path / "lines"
    write_format(EMPTY, Lines("a", "c"), folder)
    (folder / "a").write_text("mine")
    (folder / "c").write_text("mine too")
    (folder / "notes").write_text("of my own")
    done = write_format(EMPTY, Lines("a"), folder, overwrite=True)
    assert (done.folder, done.edited) == (folder, ())
    assert texts(folder) == {"a": "a ", "notes": "of my own", "all": "a"}
    assert write_format(EMPTY, Lines("a", text="new"), folder).edited == ()


def test_files_that_were_there_before_are_not_ours_to_replace(tmp_path: Path) -> None:
    folder = tmp_path / "lines"
    folder.mkdir()
    (folder / "a").write_text("made by another tool")
    done = write_format(EMPTY, Lines("a", "b"), folder)
    assert done.edited == ("a",)
    assert texts(folder) == {"a": "made by another tool"}
    assert texts(done.folder) == {"a": "a ", "b": "b ", "all": "a b"}


def test_an_edit_back_to_what_we_would_write_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "lines"
    write_format(EMPTY, Lines("a"), folder)
    (folder / "a").write_text("a 2")
    assert write_format(EMPTY, Lines("a", text="2"), folder).edited == ()


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "lines"
    write_format(EMPTY, Lines("a", text="old"), folder)
    with pytest.raises(OSError, match="disk full"):
        write_format(EMPTY, Lines("a", "b", text="new", breaks=True), folder)
    assert texts(folder) == {"a": "a old", "all": "a"}
    assert [path.name for path in tmp_path.iterdir()] == ["lines"]


def test_a_kill_amid_the_moving_is_no_edit_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "lines"
    write_format(EMPTY, Lines("a", "b", text="old"), folder)
    real, moved = Path.replace, []

    def replace(self: Path, target: Path) -> Path:
        if target.name in {"a", "b"}:
            if moved:
                raise KeyboardInterrupt
            moved.append(target.name)
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        write_format(EMPTY, Lines("a", "b", text="new"), folder)
    monkeypatch.undo()
    assert len(set(texts(folder).values())) == 3
    assert write_format(EMPTY, Lines("a", "b", text="newer"), folder).edited == ()
    assert texts(folder) == {"a": "a newer", "b": "b newer", "all": "a b"}
