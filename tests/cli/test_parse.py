import csv
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


def test_every_row_left_out_is_listed_beside_the_examples_and_counted(folder: Path) -> None:
    with Path("captions.csv").open("a") as file:
        file.writelines(f"gone {n}.jpg,A cat.\n" for n in range(9))
    done = run("captions.csv", "-o", "out/mine.jsonl", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["left_out"], told["left_out_file"]) == (10, "out/mine.left-out.csv")
    assert told["left_out_reasons"] == {"there is no picture": 10}
    assert done.stderr.count("left out: captions.csv:") == 3
    assert "left out: and 7 more, all of them in out/mine.left-out.csv" in done.stderr
    with Path("out/mine.left-out.csv").open(encoding="utf-8-sig", newline="") as listed:
        rows = list(csv.DictReader(listed))
    assert [(row["file"], row["row"]) for row in rows] == [
        ("captions.csv", str(line)) for line in range(5, 15)
    ]


def test_where_no_row_is_left_out_no_file_is_written(folder: Path) -> None:
    Path("good.csv").write_text("image,caption\n1.jpg,dog\n")
    told = json.loads(run("good.csv", "--json").stdout)
    assert (told["left_out"], told["left_out_file"]) == (0, None)
    assert list(folder.glob("*left-out*")) == []


def test_tags_in_a_cell_are_parted_by_what_is_typed(folder: Path) -> None:
    Path("t.csv").write_text("image,tags\n1.jpg,salt;pepper/dog\n2.jpg,cat\n")
    assert run("t.csv", "--separator", "/").exit_code == 0
    assert found() == {"1.jpg": ("salt;pepper", "dog"), "2.jpg": ("cat",)}
    Path("t.csv").write_text('image,tags\n1.jpg,dog|cat\n2.jpg,"jar, large"\n')
    done = run("t.csv", "--overwrite")
    assert done.exit_code == 2
    assert "by '|' in t.csv:2 ('dog|cat'), by ',' in t.csv:3 ('jar, large')" in done.stderr
    assert run("t.csv", "--separator", "|", "--overwrite").exit_code == 0
    assert found() == {"1.jpg": ("dog", "cat"), "2.jpg": ("jar, large",)}


def test_tags_that_differ_by_capitals_stay_apart_and_are_told(folder: Path) -> None:
    Path("t.csv").write_text("image,tags\n1.jpg,Blorp\n2.jpg,blorp\n")
    done = run("t.csv")
    assert found() == {"1.jpg": ("Blorp",), "2.jpg": ("blorp",)}
    assert done.stderr.count("'Blorp' (1) and 'blorp' (1)") == 1
    Path("tags.txt").write_text("blorp\n")
    done = run("t.csv", "--tags", "tags.txt", "--overwrite")
    assert found() == {"1.jpg": ("blorp",), "2.jpg": ("blorp",)}
    assert "capitals" not in done.stderr


def test_captions_in_another_language_are_told_once(folder: Path) -> None:
    german = "Zwei Frauen sitzen auf einer Bank vor dem Haus"
    rows = [f"1.jpg,{german} {number}.\n" for number in range(5)]
    Path("de.csv").write_text("".join(["image,caption\n", *rows]))
    done = run("de.csv")
    assert done.exit_code == 0
    assert done.stderr.count("seem to be in another language") == 1
    done = run("de.csv", "--overwrite", "--parser", "spacy:de_core_news_sm")
    assert "another language" not in done.stderr
    assert "another language" not in run("captions.csv", "--overwrite").stderr


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
        (["captions.csv", "-o", "new/x.jsonl", "--separator", ""], "--separator"),
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
