from collections.abc import Sequence
from pathlib import Path

import pytest

from grounded_ram.cli.inputs import Inputs, collect

NOWHERE = Path("/nowhere/results")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with pictures by name only, and the current one."""
    for name in ("b.JPG", "a.png", "notes.txt", "deep/down/c.WebP", ".hidden.png", ".git/d.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def look(*given: str, leave_out: Path = NOWHERE) -> Inputs:
    return collect(given, leave_out=leave_out)


def sources(found: Inputs) -> list[str]:
    return list(found.names)


def errors(found: Inputs) -> Sequence[tuple[str, str]]:
    return [(failure.input, failure.error) for failure in found.failures]


def test_a_folder_gives_its_pictures_and_those_below(folder: Path) -> None:
    found = look(str(folder))
    assert list(found.names.values()) == ["a.png", "b.JPG", "deep/down/c.WebP"]
    assert sources(found) == [str(folder / name) for name in found.names.values()]
    assert found.root == folder
    assert found.failures == ()


def test_paths_stay_as_they_are_typed(folder: Path) -> None:
    found = look("b.JPG", "./a.png")
    assert found.names == {"b.JPG": "b.JPG", "a.png": "a.png"}


def test_each_picture_comes_once(folder: Path) -> None:
    assert sources(look("a.png", "a.png", "*.png")) == ["a.png"]


def test_a_file_named_singly_is_taken_whatever_its_ending(folder: Path) -> None:
    assert sources(look("notes.txt")) == ["notes.txt"]


def test_results_of_an_earlier_run_are_no_inputs(folder: Path) -> None:
    found = look(".", leave_out=Path("deep"))
    assert list(found.names.values()) == ["a.png", "b.JPG"]


def test_patterns_are_spread_here_where_no_shell_did(folder: Path) -> None:
    assert sources(look("?.*")) == ["a.png", "b.JPG"]
    assert sources(look("**/c.*")) == [str(Path("deep/down/c.WebP"))]
    assert errors(look("*.bmp")) == [("*.bmp", "no file matches the pattern '*.bmp'")]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(folder: Path) -> None:
    (folder / "x[1].png").write_bytes(b"")
    assert sources(look("x[1].png")) == ["x[1].png"]


def test_what_is_not_there_is_a_failure_and_the_rest_goes_on(folder: Path) -> None:
    found = look("nix.png", "a.png")
    assert errors(found) == [("nix.png", "there is no file or folder 'nix.png'")]
    assert sources(found) == ["a.png"]


def test_a_folder_without_pictures_is_a_failure(folder: Path) -> None:
    (folder / "empty").mkdir()
    ((given, error),) = errors(look("empty"))
    assert given == "empty"
    assert "no pictures in the folder 'empty' or below; looked for .avif" in error


def test_the_way_up_is_walked_before_names_are_made(folder: Path) -> None:
    found = look(str(folder / "deep" / ".." / "a.png"), "deep/down/c.WebP")
    assert list(found.names.values()) == ["a.png", "deep/down/c.WebP"]


def test_urls_pass_and_are_named_after_their_file(folder: Path) -> None:
    url = "https://host/pictures/my%20cat.jpg?size=1"
    found = look(url)
    assert found.names == {url: "my cat.jpg"}
    assert found.root is None


def test_of_two_inputs_of_one_name_the_second_is_a_failure(folder: Path) -> None:
    found = look("a.png", "https://host/a.png")
    assert sources(found) == ["a.png"]
    ((given, error),) = errors(found)
    assert given == "https://host/a.png"
    assert "'a.png'" in error


def test_a_name_that_is_no_text_is_a_failure() -> None:
    ((_, error),) = errors(look("bad\udcff.png"))
    assert "no valid text" in error
    error.encode()
