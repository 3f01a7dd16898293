import csv
import json
from io import StringIO
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from grounded_ram.cli.root import app
from grounded_ram.vocabulary.table import official_vocabulary, read_vocabulary


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["vocabulary", *arguments])


@pytest.fixture
def edits(tmp_path: Path) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text("synonyms:\n  car: [motorcar]\nrename: {sedan: saloon}\nblock: [dog]\n")
    return str(path)


def test_show_tells_what_a_tag_is_whatever_its_case() -> None:
    done = run("show", "Automobile", "blue", "--json")
    assert done.exit_code == 0
    car, blue = json.loads(done.stdout)
    assert car == {
        "tag": "automobile",
        "kind": "object",
        "looked_for": True,
        "label": "car",
        "synonyms": ["car"],
        "is_a": ["vehicle"],
    }
    assert (blue["kind"], blue["looked_for"]) == ("attribute", False)
    table = run("show", "automobile").stdout
    assert all(word in table for word in ("automobile", "object", "yes", "car", "vehicle"))


def test_show_knows_the_user_s_own_words(edits: str) -> None:
    (row,) = json.loads(run("show", "motorcar", "--vocabulary", edits, "--json").stdout)
    assert (row["label"], row["is_a"]) == ("car", ["vehicle"])
    assert (
        "motorcar"
        in json.loads(run("show", "car", "--vocabulary", edits, "--json").stdout)[0]["synonyms"]
    )


def test_show_tells_what_the_user_s_own_edits_make_of_a_tag(edits: str) -> None:
    rows = json.loads(run("show", "sedan", "puppy", "--vocabulary", edits, "--json").stdout)
    assert [(row["label"], row["looked_for"]) for row in rows] == [
        ("saloon", True),
        ("puppy", False),
    ]


def test_a_label_is_found_by_its_own_name() -> None:
    (row,) = json.loads(run("show", "Binoculars", "--json").stdout)
    assert (row["tag"], row["label"]) == ("binocular", "binoculars")


def test_an_unknown_tag_is_told_what_is_near() -> None:
    done = run("show", "umbrela")
    assert done.exit_code == 2
    assert "did you mean 'umbrella'" in done.stderr


def test_search_finds_every_tag_with_a_text_in_it() -> None:
    found = {row["tag"] for row in json.loads(run("search", "TOWER", "--json").stdout)}
    assert found == {name for name in official_vocabulary() if "tower" in name.lower()}
    assert len(found) > 3
    nothing = run("search", "xyzzy")
    assert nothing.exit_code == 1
    assert "no tag has 'xyzzy' in it" in nothing.stderr


def test_check_passes_what_can_be_used_and_tells_mistakes(tmp_path: Path, edits: str) -> None:
    done = run("check", edits)
    assert done.exit_code == 0
    assert "mine.yaml: can be used; it sets block, synonyms, rename" in done.stdout.replace(
        "\n", ""
    )
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("allow:\n  - umbrela\n")
    done = run("check", str(wrong))
    assert done.exit_code == 2
    assert "wrong.yaml, line 2: umbrela: unknown tag 'umbrela'; did you mean" in done.stderr
    wrong.write_text("parents: {animal: [dog]}\n")
    assert "its own ancestor" in run("check", str(wrong)).stderr


def test_what_export_writes_can_be_read_back(tmp_path: Path, edits: str) -> None:
    done = run("export", "--vocabulary", edits)
    assert done.exit_code == 0
    assert len(list(csv.reader(StringIO(done.stdout)))) == len(official_vocabulary()) + 2
    path = tmp_path / "all.csv"
    path.write_text(done.stdout, encoding="utf-8")
    assert read_vocabulary(path)["motorcar"].same_as == "car"
