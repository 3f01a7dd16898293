from __future__ import annotations

import json
import shlex
from hashlib import sha256
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from grounded_ram.cli.data_engine import data_engine as command
from grounded_ram.cli.root import Commands
from grounded_ram.data_engine.example_files import read_examples, write_examples
from grounded_ram.data_engine.examples import Caption, Example
from tests.training.small import coloured_pictures, small_model

app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)
app.command()(command)
app.command("another")(lambda: None)  # so that the first one keeps its name

THINGS = {"red": "car", "green": "tree", "blue": "dog"}
STEPS = ("1-first", "2-generated.jsonl", "3-cleaned.jsonl", "4-again", "5-fine")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["data-engine", *arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model, pictures with captions, one of them broken, and pictures with tags."""
    folder = tmp_path_factory.mktemp("user")
    small_model(folder / "start")
    lines, better = ["image,caption"], []
    for one in coloured_pictures(folder, 16):
        names = [THINGS[name] for name in one.tags]
        lines.append(f"{Path(one.image).name},{' and '.join(f'a {n}' for n in names) or 'sky'}")
        better.append(Example(one.image, tuple(names)))
    (folder / "broken.png").write_bytes(b"no picture")
    lines += ["broken.png,a car", "gone.png,a tree"]
    (folder / "captions.csv").write_text("\n".join(lines) + "\n")
    write_examples(better[:3], folder / "better.jsonl")
    write_examples(better[3:8], folder / "truth.jsonl")
    return folder


def usual(folder: Path) -> list[str]:
    return [
        *(str(folder / "captions.csv"), "--start", str(folder / "start/model"), "--steps", "3"),
        *("--batch-size", "4", "--workers", "0", "--device", "cpu", "--preset", "tiny"),
    ]


def test_captions_become_a_model_and_what_happened_is_told(folder: Path, tmp_path: Path) -> None:
    fine = ("--fine", str(folder / "better.jsonl"))
    done = run(*usual(folder), "-o", str(tmp_path / "loop"), *fine, "--seed", "1")
    assert done.exit_code == 0, done.output
    for step in STEPS:
        assert (tmp_path / "loop" / step).exists()
        assert f"{step}: " in done.stderr
    assert f"model: {tmp_path / 'loop/5-fine/model'}" in done.stdout
    assert "gone.png" in done.stderr
    assert f"not looked at, its tags stay: {folder / 'broken.png'}" in done.stderr
    for name in ("given", "generated", "cleaned", "first", "again", "fine-tuned"):
        assert f"│ {name} " in done.stdout
    assert "--truth DATA" in done.stdout


def test_json_tells_tags_models_and_reasons(folder: Path, tmp_path: Path) -> None:
    truth = ("--truth", str(folder / "truth.jsonl"), "--unfound", "remove", "--told", "0.5")
    arguments = (*usual(folder), "-o", str(tmp_path / "loop"), *truth, "--json")
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    counts = [
        sum(len(one.tags) for one in read_examples(tmp_path / "loop" / name))
        for name in ("2-generated.jsonl", "3-cleaned.jsonl")
    ]
    assert [told["tags"]["generated"], told["tags"]["cleaned"]] == counts
    assert sum(told["removed"].values()) == counts[0] - counts[1]
    assert told["removed"]["no box was found"] > 0
    assert told["not_judged"]["its picture cannot be read"] > 0
    assert told["unreadable"] == 1
    assert told["pictures"] == 12  # 17 but for the five of --truth
    assert told["truth_is_whole"] is True
    assert [(row["name"], row["held_out"]) for row in told["models"]] == [
        ("first", 5),
        ("again", 5),
    ]
    assert all(row["mAP"] is not None for row in told["models"])
    assert told["model"] == str(tmp_path / "loop/4-again/model")
    again = run(*arguments)
    assert json.loads(again.stdout) == told
    assert "2-generated" not in again.stderr
    other = run(*arguments, "--share", "0.3")
    assert other.exit_code == 2
    assert "cleaning.share: 0.1 then, 0.3 now" in other.output


def test_better_examples_get_the_names_that_are_learnt_and_none_is_measured_with(
    folder: Path, tmp_path: Path
) -> None:
    pictures = sorted(folder.glob("0*.png"))[:2]
    rows = [
        Example(str(pictures[0]), ("automobile", "violin")),
        Example(str(pictures[1]), ("dog",)),
    ]
    write_examples(rows, tmp_path / "fine.jsonl")
    write_examples(rows[1:], tmp_path / "truth.jsonl")
    fine = ("--fine", str(tmp_path / "fine.jsonl"), "--truth", str(tmp_path / "truth.jsonl"))
    done = run(*usual(folder), "-o", str(tmp_path / "loop"), *fine, "--json")
    assert done.exit_code == 0, done.output
    plan = json.loads((tmp_path / "loop/5-fine/train.json").read_text())
    learnt = Example(str(pictures[0]), ("car",))
    digest = sha256(repr(learnt).encode()).hexdigest()
    assert plan["examples"] == {"count": 1, "digest": digest}
    assert plan["steps"] == 1


def test_captions_are_written_on_request(folder: Path, tmp_path: Path) -> None:
    done = run(*usual(folder), "-o", str(tmp_path / "loop"), "--captions", "--json")
    assert done.exit_code == 0, done.output
    generated = list(read_examples(tmp_path / "loop/2-generated.jsonl"))
    assert max(len(one.captions) for one in generated) == 2
    assert all(isinstance(one.captions[0], Caption) for one in generated)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weights", "tagger=mine.pth"], "the tagger is what is trained"),
        (["--detector", "owl:tiny"], "unknown detector adapter 'owl'"),
        (["--preset", "huge"], "unknown preset 'huge'"),
        (["--fine", "nowhere.jsonl"], "there is no 'nowhere.jsonl'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_learnt(
    folder: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = run(*usual(folder), "-o", str(tmp_path / "loop"), *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr
    assert [path.name for path in (tmp_path / "loop").iterdir()] == ["left-out.csv"]


def test_what_is_printed_to_use_the_model_works_when_pasted(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grounded_ram.cli.root import app as root

    monkeypatch.chdir(tmp_path)
    done = run(*usual(folder), "-o", "my loop", "--box-threshold", "0.2")
    assert done.exit_code == 0, done.output
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("Use it"))
    words = shlex.split(line[line.index("grounded-ram") :])
    assert words[0] == "grounded-ram"
    for _ in range(2):  # typed again, it goes on
        used = CliRunner().invoke(root, words[1:])
        assert used.exit_code == 0, used.output
    model = json.loads((tmp_path / "my loop/labelled/run.json").read_bytes())["model"]
    assert model["preset"] == "tiny"
    assert model["box_threshold"] == 0.2
    weights = (tmp_path / "my loop/4-again/model/weights.safetensors").read_bytes()
    assert sha256(weights).hexdigest() in json.dumps(model["tagger"])


@pytest.mark.parametrize(
    ("tags", "note"),
    [
        ([], "no picture that can be read is held out"),
        ([["sky"], ["sky"]], "none of the held-out pictures (2) has one of the tags"),
        ([["car"], ["dog"]], "are rough, as they come of few held-out pictures (2)"),
    ],
)
def test_what_cannot_be_measured_or_hardly_is_told_with_what_to_do_before_and_after(
    folder: Path, tmp_path: Path, tags: list[list[str]], note: str
) -> None:
    pictures = sorted(folder.glob("0*.png"))
    rows = [Example(str(one), tuple(t)) for one, t in zip(pictures, tags, strict=False)]
    write_examples(rows, tmp_path / "truth.jsonl")
    how = ("--truth", str(tmp_path / "truth.jsonl")) if tags else ("--hold-out", "0")
    more = ("--tags", str(tmp_path / "tags.txt"), "--evaluate-every", "1")
    (tmp_path / "tags.txt").write_text("car\ntree\ndog\n")
    done = run(*usual(folder), "-o", str(tmp_path / "loop"), *how, *more)
    assert done.exit_code == 0, done.output
    assert note in done.stdout
    assert note in done.stderr.split("1-first: ")[0]
    assert "--hold-out" in done.stdout
    assert "--truth DATA" in done.stdout
    assert "nan" not in done.output.lower()


@pytest.mark.parametrize("place", ["file", "file/inside"])
def test_a_folder_that_cannot_be_is_told_with_the_option_before_anything_is_read(
    folder: Path, tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").touch()
    done = run("nowhere.csv", "-o", str(tmp_path / place))
    assert (done.exit_code, done.stdout) == (2, "")
    assert "-o" in done.stderr
    assert "nowhere" not in done.stderr
