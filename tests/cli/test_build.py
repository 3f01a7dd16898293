import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from grounded_ram.cli import build as build_module
from grounded_ram.cli.root import app
from grounded_ram.vocabulary.edits import read_edits
from grounded_ram.vocabulary.labelling import Labelling
from grounded_ram.vocabulary.table import PLACED
from tests.data_engine.word_parser import WordParser

CAPTIONS = [
    *["A dog and a car."] * 6,
    *["An automobile, running"] * 5,
    *["music x7 tree"] * 5,
    *["trees"] * 5,
    *["blorp"] * 2,
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a file of captions, read by a parser that takes words for tags."""
    (tmp_path / "captions.txt").write_text("\n".join(CAPTIONS))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(build_module, "make_parser", lambda name: WordParser)
    return tmp_path


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, ["vocabulary", "build", *arguments], input=stdin)


def report(*arguments: str, stdin: str | None = None) -> dict[str, object]:
    done = run(*arguments, "--json", stdin=stdin)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def tags(folder: str = "out") -> list[str]:
    return Path(folder, "tags.txt").read_text("utf-8").splitlines()


def rows(folder: str = "out") -> dict[str, dict[str, str]]:
    with Path(folder, "review.csv").open(encoding="utf-8-sig", newline="") as file:
        return {row["tag"]: row for row in csv.DictReader(file)}


def edit(tag: str, **cells: str) -> None:
    """Change cells of the review as a human does."""
    table = rows()
    table[tag].update(cells)
    with Path("out/review.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(table[tag]))
        writer.writeheader()
        writer.writerows(table.values())


def test_captions_become_a_folder_and_what_to_do_next(folder: Path) -> None:
    done = run("captions.txt", "-o", "out")
    assert done.exit_code == 0, done.output
    assert {path.name for path in Path("out").iterdir()} == {
        *("counts.csv", "review.csv", "tags.txt", "vocabulary.yaml"),
    }
    assert tags() == ["car", "dog", "run", "tree", "trees"]
    assert list(read_edits(Path("out/vocabulary.yaml")).classes) == ["car", "dog", "tree", "trees"]
    assert "captions: 23, left out as bad: 0, different tags: 8" in done.stdout
    assert "kept: 5 (object 4, action 1)" in done.stdout
    assert "vocabulary build --review out" in done.stdout
    found = rows()
    assert (found["car"]["captions"], found["car"]["share"]) == ("11", "47.8261%")
    assert "automobile" in found["car"]["names"]
    assert (found["music"]["keep"], found["x7"]["keep"]) == ("no", "no")
    assert (found["trees"]["keep"], found["trees"]["maybe_same_as"]) == ("yes", "tree")
    assert "blorp" not in found
    assert "\nblorp,2," in Path("out/counts.csv").read_text("utf-8")


def test_what_a_human_makes_of_the_review_is_the_list(folder: Path) -> None:
    assert run("captions.txt", "-o", "out").exit_code == 0
    edit("trees", same_as="tree")
    edit("music", keep="yes")
    edit("dog", rename="hound")
    edit("run", keep="no")
    done = run("--review", "out")
    assert done.exit_code == 0, done.output
    assert tags() == ["car", "tree", "hound", "music"]
    labelling = Labelling(PLACED, read_edits(Path("out/vocabulary.yaml")))
    assert list(labelling.edits.classes) == ["car", "tree", "hound"]
    assert [labelling.label(name) for name in ("trees", "dog")] == ["tree", "hound"]
    assert "kept: 4 (object 3, abstract 1)" in done.stdout
    assert rows()["dog"]["rename"] == "hound"


def test_edits_are_replaced_only_if_that_is_said(folder: Path) -> None:
    assert run("captions.txt", "-o", "out").exit_code == 0
    edit("dog", rename="hound")
    before = Path("out/review.csv").read_bytes()
    refused = run("captions.txt", "-o", "out")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "--review out" in refused.stderr
    assert "--overwrite" in refused.stderr
    assert Path("out/review.csv").read_bytes() == before
    assert run("captions.txt", "-o", "out", "--overwrite").exit_code == 0
    assert rows()["dog"]["rename"] == ""


def test_a_mistake_in_the_review_changes_nothing(folder: Path) -> None:
    assert run("captions.txt", "-o", "out").exit_code == 0
    before = tags()
    edit("dog", keep="perhaps")
    done = run("--review", "out")
    assert done.exit_code == 2
    assert "review.csv: a mistake\n  line 3: keep: expected yes or no" in done.stderr
    assert tags() == before


def test_several_files_and_standard_input_are_counted_together(folder: Path) -> None:
    Path("more.jsonl").write_text('{"caption": "dog"}\n{"caption": 3}\n')
    told = report("captions.txt", "more.jsonl", "-", "-o", "out", stdin="dog\ndog\n\n")
    assert (told["captions"], told["bad"], told["blank"]) == (26, 1, 1)
    assert next(row for row in told["rows"] if row["tag"] == "dog")["captions"] == 9
    done = run("captions.txt", "more.jsonl", "-o", "again")
    assert "left out: more.jsonl, line 2: expected a text, got 3" in done.stderr


def test_several_workers_write_the_same_files(folder: Path) -> None:
    assert run("captions.txt", "-o", "one").exit_code == 0
    assert run("captions.txt", "-o", "two", "--workers", "2").exit_code == 0
    for path in Path("one").iterdir():
        assert path.read_bytes() == (Path("two") / path.name).read_bytes()


def test_limits_are_those_that_were_typed(folder: Path) -> None:
    assert report("captions.txt", "-o", "a", "--top", "2")["kept"] == 2
    assert report("captions.txt", "-o", "b", "--least", "1")["kept"] == 6
    told = report("captions.txt", "-o", "c", "--top", "object=1", "--top", "action=5")
    assert told["kinds"] == {"object": 1, "action": 1}
    assert report("captions.txt", "-o", "d", "--top", "object=3", "--top", "2")["kept"] == 2


def test_where_all_tags_are_too_rare_the_highest_count_and_a_way_out_are_told(folder: Path) -> None:
    done = run("captions.txt", "-o", "out", "--least", "12", "--json")
    told = json.loads(done.stdout)
    assert (told["kept"], told["most_captions"], told["least"]) == (0, 11, 12)
    assert "each needs 12 captions or more, and the most frequent one is in 11;" in done.stderr
    assert "--least 11 or lower, with --overwrite" in done.stderr
    done = run("captions.txt", "-o", "out", "--least", "11", "--overwrite")
    assert tags() == ["car"]
    assert "no tag is kept" not in done.stderr


def test_captions_without_any_tag_say_so(folder: Path) -> None:
    Path("bare.txt").write_text("a the\n")
    done = run("bare.txt", "-o", "out")
    assert "no tag is kept: none was found in the captions" in done.stderr


def test_captions_in_another_language_are_told(folder: Path) -> None:
    Path("de.txt").write_text("Zwei Frauen sitzen auf einer Bank vor dem Haus\n" * 5)
    assert "another language" in run("de.txt", "-o", "out").stderr
    assert "another language" not in run("captions.txt", "-o", "other").stderr


def test_a_folder_is_answered_with_what_to_type(folder: Path) -> None:
    Path("my pictures").mkdir()
    for more in ([], ["--format", "csv"]):
        done = run("my pictures", "-o", "out", *more)
        assert done.exit_code == 2
        told = " ".join(done.stderr.split())
        assert "grounded-ram parse 'my pictures' -o examples.jsonl" in told


def test_tags_to_start_from_stay(folder: Path) -> None:
    Path("start.txt").write_text("zorb\nautomobile\nmusic\n")
    assert run("captions.txt", "-o", "out", "--start", "start.txt", "--top", "4").exit_code == 0
    assert tags() == ["automobile", "dog", "music", "zorb"]


def test_the_user_s_edits_count_and_come_along(folder: Path) -> None:
    Path("mine.yaml").write_text(
        "synonyms: {tree: [trees]}\nblock: [dog]\nparents: {blorp: [animal]}\n"
    )
    assert run("captions.txt", "-o", "out", "--vocabulary", "mine.yaml").exit_code == 0
    assert tags() == ["car", "tree", "run"]
    assert rows()["dog"]["why"] == "your vocabulary blocks it"
    assert read_edits(Path("out/vocabulary.yaml")).parents == {"blorp": ("animal",)}
    edit("dog", keep="yes")
    assert run("--review", "out", "--vocabulary", "mine.yaml").exit_code == 0
    assert "dog" in read_edits(Path("out/vocabulary.yaml")).classes
    Path("mine.yaml").write_text("classes: {vehicle: [car]}\n")
    done = run("captions.txt", "-o", "other", "--vocabulary", "mine.yaml")
    assert done.exit_code == 2
    assert "mine.yaml: it lists classes" in done.stderr


def test_a_damaged_file_is_code_1_and_the_others_are_counted(folder: Path) -> None:
    Path("cut.json").write_text('[{"caption": "dog"}, {"capt')
    done = run("captions.txt", "cut.json", "-o", "out", "--json")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert (told["captions"], told["damaged"]) == (24, ["cut.json"])
    assert tags()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "out"], "name files of captions"),
        (["captions.txt"], "-o FOLDER"),
        (["captions.txt", "-o", "captions.txt"], "is a file"),
        (["nix.txt", "-o", "out"], "there is no file 'nix.txt'"),
        (["captions.txt", "captions.txt", "-o", "out"], "named twice"),
        (["captions.txt", "-o", "out", "--top", "many"], "--top expects N or KIND=N"),
        (["captions.txt", "-o", "out", "--top", "=3"], "--top expects N or KIND=N"),
        (["captions.txt", "-o", "out", "--top", "objct=3"], "did you mean 'object'"),
        (["captions.txt", "-o", "out", "--start", "nix"], "expected ram or tag2text"),
        (["captions.txt", "-o", "out", "--format", "xml"], "unknown layout"),
        (["captions.txt", "-o", "out", "--vocabulary", "nix.yaml"], "nix.yaml"),
        (["--review", "nix"], "vocabulary build CAPTIONS -o nix"),
        (["captions.txt", "--review", "nix"], "--review counts nothing"),
        (["empty.txt", "-o", "out"], "there is no caption in empty.txt"),
    ],
)
def test_wrong_usage_is_code_2_and_writes_nothing(
    folder: Path, arguments: list[str], message: str
) -> None:
    Path("empty.txt").write_text("\n\n")
    before = sorted(folder.rglob("*"))
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr
    assert sorted(folder.rglob("*")) == before


def test_a_parser_that_there_is_not_is_told_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("captions.txt").write_text("dog\n")
    for workers in ("1", "2"):
        done = run("captions.txt", "-o", "out", "--parser", "nix", "--workers", workers)
        assert done.exit_code == 2
        assert "unknown caption parser 'nix'" in done.stderr
    assert not Path("out").exists()


def test_the_rules_parser_is_the_usual_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("captions.txt").write_text("Two brown dogs run on the beach.\n" * 5)
    assert run("captions.txt", "-o", "out").exit_code == 0
    assert {"dog", "beach", "run"} <= set(tags())


def test_where_nobody_watches_a_line_comes_now_and_then(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_module, "LINE_EVERY_S", 0.0)
    done = run("captions.txt", "-o", "out")
    assert "23 captions, " in done.stderr
    assert "100% of the files read" in done.stderr


def test_help_loads_nothing_large() -> None:
    code = (
        "import sys; from grounded_ram.cli.root import app; "
        "app(['vocabulary', 'build', '--help'], standalone_mode=False); "
        "print(*(m for m in sys.modules if m.split('.')[0] in "
        "('torch', 'cv2', 'supervision') or m.startswith('grounded_ram.data_engine')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""
