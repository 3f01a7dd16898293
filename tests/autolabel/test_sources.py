"""What the user typed, told apart; names over several sources."""

import io
import json
import sys
from pathlib import Path

import pytest

from grounded_ram.autolabel.sources import Item, Skipped, Sources, open_sources
from grounded_ram.errors import InputError


@pytest.fixture(autouse=True)
def _in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"")


def opened(*given: str, **options: object) -> Sources:
    return open_sources(given, keep_in=Path("run/pictures"), **options)  # type: ignore[arg-type]


def names(sources: Sources) -> list[str]:
    return [item.name for item in sources.items() if isinstance(item, Item)]


def skipped(sources: Sources) -> dict[str, str]:
    return {item.name: item.reason for item in sources.items() if isinstance(item, Skipped)}


def test_one_folder_names_pictures_from_itself_on(tmp_path: Path) -> None:
    touch("data/a.JPG", "data/deep/b.png")
    sources = opened("data")
    assert list(sources.items()) == [
        Item("a.JPG", str(tmp_path / "data/a.JPG")),
        Item("deep/b.png", str(tmp_path / "data/deep/b.png")),
    ]
    assert sources.count() == 2


def test_several_sources_are_named_from_the_folder_above_all(tmp_path: Path) -> None:
    touch("data/train/a.jpg", "data/val/a.jpg", "data/c.jpg")
    assert names(opened("data/train", "data/val")) == ["train/a.jpg", "val/a.jpg"]
    assert names(opened("data/c.jpg", "data/val")) == ["c.jpg", "val/a.jpg"]


def test_names_stay_when_pictures_are_added() -> None:
    touch("data/deep/a.jpg", "data/other/x.txt")
    pattern = opened("data/*/*.jpg")
    before = names(pattern)
    touch("data/other/b.jpg")
    assert before == ["deep/a.jpg"]
    assert names(pattern) == ["deep/a.jpg", "other/b.jpg"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_links_are_named_as_they_were_typed() -> None:
    touch("data/a.jpg", "data/deep/b.jpg")
    Path("link").symlink_to("data")
    Path("link.jpg").symlink_to("data/a.jpg")
    assert names(opened("link.jpg", "link", "data/../data/deep")) == [
        "link.jpg",
        "link/a.jpg",
        "link/deep/b.jpg",
        "data/deep/b.jpg",
    ]


def test_what_is_typed_twice_is_opened_once() -> None:
    touch("data/a.jpg")
    assert len(list(opened("data", "data").items())) == 1


def test_going_through_again_gives_the_same() -> None:
    touch("data/b.jpg", "data/a.jpg", "data/c.txt")
    sources = opened("data", "data/a.jpg")
    assert list(sources.items()) == list(sources.items())


def test_of_one_name_the_first_is_taken_and_the_second_is_said() -> None:
    touch("data/a.jpg")
    sources = opened("data", "data/a.jpg", "data")
    assert names(sources) == ["a.jpg"]
    assert skipped(sources) == {"a.jpg": "an earlier picture has this name"}
    assert sources.count() == 1


def test_results_are_no_pictures() -> None:
    touch("a.jpg", "run/pictures/b.jpg", "results/overlay.jpg", "resultsnot/c.jpg")
    sources = opened(".", leave_out=[Path("results")])
    assert names(sources) == ["a.jpg", "resultsnot/c.jpg"]
    assert skipped(sources) == {
        "results": "folder of this run",
        "run/pictures": "folder of this run",
    }


@pytest.mark.parametrize("given", ["run/pictures", "results/deep", "results/*.jpg"])
def test_the_folder_of_results_is_refused_as_a_source(given: str) -> None:
    touch("run/pictures/b.jpg", "results/a.jpg", "results/deep/a.jpg")
    with pytest.raises(InputError, match="where the results go"):
        opened(given, leave_out=[Path("results")])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "expected a folder"),
        (["nix"], "there is no file or folder 'nix'"),
        (["nix.tar"], "there is no file or folder 'nix.tar'"),
        (["*.bmp"], r"no file matches the pattern '\*.bmp'"),
        (["none/*.bmp"], r"no file matches the pattern 'none/\*.bmp'"),
        (["s-{0..1}.tar"], "there is no file or folder 's-0.tar'"),
        (["@nix.txt"], "there is no list 'nix.txt'"),
        (["list.txt"], r"type '@.*list.txt' if it is a list"),
        (["ftp://host/a.jpg"], "expected an address like https"),
        (["https://host/a.zip"], "download it first: .zip"),
        (["bad\udcff"], "expected a file"),
        (["nul\0"], "expected a file"),
        ([""], "expected a file"),
        (["wds:"], "expected a shard|no file or folder"),
        (["wds:a.jpg"], "expected a shard like"),
        (["wds:a.mp4"], "no file or folder 'a.mp4'"),
        (["a.jpg", "nix"], "'nix'"),
    ],
)
def test_what_cannot_be_is_said_at_once(given: list[str], message: str) -> None:
    touch("a.jpg", "list.txt")
    with pytest.raises(InputError, match=message) as caught:
        opened(*given)
    str(caught.value).encode()


def test_a_file_called_like_a_list_is_refused_with_both_spellings() -> None:
    touch("@a.jpg", "a.jpg")
    with pytest.raises(InputError, match=r"type './@a.jpg' for it, or '@./a.jpg'"):
        opened("@a.jpg")
    assert names(opened("./@a.jpg")) == ["@a.jpg"]
    Path("a.jpg").unlink()
    assert names(opened("@a.jpg")) == ["@a.jpg"]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file() -> None:
    touch("x[1].png", "x1.png", "a{1..2}.png", "a1.png")
    assert names(opened("x[1].png")) == ["x[1].png"]
    assert names(opened("a{1..2}.png")) == ["a{1..2}.png"]


def test_braces_are_spread_where_no_shell_did() -> None:
    touch("a/x.jpg", "b/y.jpg", "c/z.jpg")
    assert names(opened("{a,c}")) == ["a/x.jpg", "c/z.jpg"]
    assert names(opened("{a,b}/*.jpg")) == ["a/x.jpg", "b/y.jpg"]


def test_a_single_file_is_taken_whatever_its_ending() -> None:
    touch("scan.dat", "noending")
    assert names(opened("scan.dat", "noending")) == ["scan.dat", "noending"]


def test_the_standard_input_is_a_list() -> None:
    touch("a.jpg")
    sources = opened("-", stdin=io.BytesIO(b"a.jpg\n"))
    assert sources.count() is None
    assert names(sources) == ["a.jpg"]
    assert names(sources) == ["a.jpg"]


def test_the_record_is_plain_and_says_what_was_asked_for(tmp_path: Path) -> None:
    touch("data/a.jpg", "data/clip.mp4")
    given = ("data", "data/*.jpg", "https://host/a.jpg", "data/a.jpg", "data/clip.mp4")
    record = opened(*given).record()
    assert json.loads(json.dumps(record)) == record
    assert record[0] == {"kind": "folder", "path": str(tmp_path / "data")}
    assert record[1] == {"kind": "pattern", "path": str(tmp_path / "data"), "pattern": "*.jpg"}
    assert record == opened("data/../data", *given[1:]).record()
    assert record != opened(*given, frames="2s").record()
    assert record != opened(*given[1:]).record()


def test_labels_of_other_tools_are_seen() -> None:
    touch("data/a.jpg", "data/a.txt", "data/b.jpg")
    sources = opened("data")
    said = {x.name: sources.is_labelled(x) for x in sources.items() if isinstance(x, Item)}
    assert said == {"a.jpg": f"YOLO: {Path('data/a.txt').absolute()}", "b.jpg": None}


def test_zero_pictures_are_an_ordinary_stream() -> None:
    Path("empty").mkdir()
    assert list(opened("empty").items()) == []
    assert opened("empty").count() == 0
