import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from grounded_ram.cli import parse as parse_module
from grounded_ram.cli.root import app
from grounded_ram.data_engine.example_files import read_examples
from grounded_ram.data_engine.examples import Caption
from grounded_ram.data_engine.labels.label_system import Row
from grounded_ram.data_engine.labels.review import write_review
from tests.data_engine.word_parser import WordParser


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a table of two pictures and a row whose picture there is not."""
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / name).write_bytes(b"a picture")
    (tmp_path / "captions.csv").write_text(
        "image,caption\n1.jpg,A dog and an automobile.\n1.jpg,blorp\n2.jpg,car running\n3.jpg,cat\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(parse_module, "make_parser", lambda name: WordParser)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["parse", *arguments])


def found(file: str = "examples.jsonl") -> dict[str, tuple[str, ...]]:
    return {Path(one.image).name: one.tags for one in read_examples(file)}


def test_captions_become_examples_with_the_tags_of_the_vocabulary(folder: Path) -> None:
    done = run("captions.csv")
    assert done.exit_code == 0, done.output
    assert found() == {"1.jpg": ("dog", "car", "blorp"), "2.jpg": ("car", "run")}
    first = next(iter(read_examples("examples.jsonl")))
    assert first.captions[0] == Caption("A dog and an automobile.", ("dog", "car"))
    assert "pictures: 2, captions: 3, tags: 4, pictures without tags: 0, left out: 1" in done.stdout
    assert "3.jpg" in done.stderr


def test_only_tags_of_a_list_are_kept(folder: Path) -> None:
    Path("tags.txt").write_text("automobile\nzebra\n")
    assert run("captions.csv", "--tags", "tags.txt", "-o", "mine.jsonl").exit_code == 0
    assert found("mine.jsonl") == {"1.jpg": ("automobile",), "2.jpg": ("automobile",)}


def test_a_label_system_says_what_names_mean_and_nothing_else_does(folder: Path) -> None:
    rows = [
        Row(tag="blorp", kind="object", rename="Blorp"),
        Row(tag="dog", kind="object", same_as="blorp"),
        Row(tag="automobile", kind="object"),
        Row(tag="run", kind="action", keep=False),
    ]
    write_review(rows, Path("system/review.csv"))
    done = run("captions.csv", "--tags", "system", "--json")
    assert done.exit_code == 0, done.output
    assert found() == {"1.jpg": ("Blorp", "automobile"), "2.jpg": ()}
    told = json.loads(done.stdout)
    assert (told["pictures"], told["captions"], told["without_tags"], told["bad"]) == (2, 3, 1, 1)
    assert told["tags"] == {"Blorp": 1, "automobile": 1}


def test_a_file_that_is_there_is_replaced_only_if_that_is_said(folder: Path) -> None:
    Path("examples.jsonl").write_text("mine")
    done = run("captions.csv")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--overwrite" in done.stderr
    assert Path("examples.jsonl").read_text() == "mine"
    assert run("captions.csv", "--overwrite").exit_code == 0
    assert len(found()) == 2


def test_pictures_may_lie_elsewhere(folder: Path) -> None:
    Path("pictures").mkdir()
    Path("1.jpg").rename("pictures/1.jpg")
    assert run("captions.csv", "--images", "pictures").exit_code == 0
    assert set(found()) == {"1.jpg"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nix.csv"], "there is no 'nix.csv'"),
        (["captions.csv", "-o", "."], "is a folder"),
        (["captions.csv", "--tags", "nix"], "expected ram or tag2text"),
        (["captions.csv", "--tags", "."], "no folder of `grounded-ram vocabulary build`"),
        (["captions.csv", "--images", "nix"], "none of 4 rows"),
    ],
)
def test_wrong_usage_is_code_2_and_writes_nothing(
    folder: Path, arguments: list[str], message: str
) -> None:
    before = sorted(folder.rglob("*"))
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr
    assert sorted(folder.rglob("*")) == before
