from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from grounded_ram import GroundedRAM
from grounded_ram.cli.root import Commands
from grounded_ram.cli.train import train as command
from grounded_ram.tagging.captions import CaptioningTagger
from grounded_ram.weights import load_state_dict
from tests.training.small import coloured_pictures, small_model

COUNT = 12
THINGS = {"red": "car", "green": "traffic light", "blue": "dog"}
"""What the colours of the pictures stand for, so that a parser of captions knows it."""

app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)
app.command()(command)
app.command("another")(lambda: None)  # so that the first one keeps its name


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model, and pictures told about in a folder, a table and COCO's format."""
    folder = tmp_path_factory.mktemp("user")
    small_model(folder / "start")
    (folder / "empty").mkdir()
    images, objects = [], []
    lines = ["image,tags"]
    for number, one in enumerate(coloured_pictures(folder / "photos", COUNT), 1):
        picture = Path(one.image)
        names = [THINGS[colour] for colour in one.tags] or ["sky"]
        text = " and ".join(f"a {name}" for name in names)
        picture.with_suffix(".txt").write_text(f"{text}\n")
        lines.append(f"photos/{picture.name},{'|'.join(names)}")
        images.append({"id": number, "file_name": picture.name})
        ids = [1 + list(THINGS.values()).index(name) for name in names if name != "sky"]
        objects += [{"image_id": number, "category_id": one_id} for one_id in ids]
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    (folder / "bad.csv").write_text("\n".join([*lines, "photos/gone.png,car", "photos/000.png,"]))
    for number, row in enumerate(objects, 1):
        row |= {"id": number, "bbox": [1, 1, 5, 5], "area": 25, "iscrowd": 0}
    categories = [{"id": number, "name": name} for number, name in enumerate(THINGS.values(), 1)]
    coco = {"images": images, "annotations": objects, "categories": categories}
    (folder / "coco.json").write_text(json.dumps(coco))
    return folder


@pytest.fixture
def here(user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which is empty but for links to what the user has."""
    for path in user.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, steps: str = "3", start: str = "start/model") -> Result:
    usual = ["--steps", steps, "--batch-size", "4", "--workers", "0", "--device", "cpu"]
    return CliRunner().invoke(app, ["train", *arguments, *usual, "--start", start])


def told(*arguments: str, **more: str) -> dict[str, Any]:
    done = run(*arguments, "--json", **more)
    assert done.exit_code == 0, done.output
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def weights(model: str | Path) -> dict[str, Any]:
    return load_state_dict(Path(model) / "weights.safetensors")


@pytest.mark.parametrize("data", ["photos", "table.csv"])
def test_captions_and_tables_name_what_is_learnt(here: Path, data: str) -> None:
    record = told(data, "--hold-out", "0.3")
    assert set(record["tags"]) == {"car", "traffic light", "dog", "sky"}
    assert record["pictures"] + record["held_out"] == COUNT
    assert 0 < record["held_out"] < COUNT
    assert record["unreadable"] == 0
    assert 0 < record["mAP"] <= 1
    model = GroundedRAM(preset="tiny", weights={"tagger": record["model"]}, device="cpu")
    assert set(model.tagger.table.names) == set(record["tags"])


def test_objects_of_coco_are_learnt_and_pictures_without_any_count_too(here: Path) -> None:
    done = run("coco.json", "--images", "photos")
    assert done.exit_code == 0, done.output
    config = json.loads(Path("training/model/config.json").read_text())
    assert {tag["name"] for tag in config["tags"]} == set(THINGS.values())
    assert "left out" not in done.stderr
    for line in ("model: training/model", "--weights tagger=training/model"):
        assert line in done.stdout


def test_it_goes_on_where_it_stopped_when_it_is_typed_again(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grounded_ram.training.loop._SAVE_EVERY_S", 0.0)
    whole = told("table.csv", "-o", "whole", steps="4")

    from grounded_ram.training import loop

    save, done = loop._save, []

    def cut_off(*arguments: Any) -> None:
        save(*arguments)
        done.append(arguments[-1])
        if arguments[-1] == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "_save", cut_off)
    assert run("table.csv", "-o", "cut", steps="4").exit_code != 0
    assert not Path("cut/model").exists()
    again = told("table.csv", "-o", "cut", steps="4")
    assert done[:3] == [1, 2, 3]
    one, other = weights(whole["model"]), weights(again["model"])
    assert all(one[name].equal(other[name]) for name in one)
    before = Path("cut/model/weights.safetensors").read_bytes()
    assert told("table.csv", "-o", "cut", steps="4") == again
    assert Path("cut/model/weights.safetensors").read_bytes() == before


def test_another_training_in_the_same_folder_is_refused(here: Path) -> None:
    assert run("table.csv").exit_code == 0
    before = weights("training/model")
    for other in (("photos",), ("table.csv", "--seed", "1")):
        done = run(*other)
        assert done.exit_code == 2
        assert "'training' was begun otherwise" in done.stderr
        assert "choose another folder with -o" in done.stderr
        assert not done.stdout
    after = weights("training/model")
    assert all(before[name].equal(after[name]) for name in before)


def test_what_cannot_be_used_is_told_and_left_out(here: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    text = Path("bad.csv").read_text() + "\nbroken.png,dog\n"
    Path("mine.csv").write_text(text)
    done = run("mine.csv", "--hold-out", "0", "--json", steps="4")
    assert done.exit_code == 0, done.output
    assert f"left out: mine.csv:{COUNT + 2}: there is no picture: " in done.stderr
    assert f"left out: mine.csv:{COUNT + 3}: neither tags nor captions" in done.stderr
    assert "left out: 2 in all, listed in training/left-out.csv" in done.stderr
    rows = Path("training/left-out.csv").read_text("utf-8-sig").splitlines()[1:]
    assert [row.split(",")[1] for row in rows] == [str(COUNT + 2), str(COUNT + 3)]
    record = json.loads(done.stdout)
    assert (record["pictures"], record["unreadable"]) == (COUNT + 1, 1)
    assert record["mAP"] is None
    assert "broken.png" in Path("training/bad-pictures.jsonl").read_text()


def test_pictures_of_which_none_can_be_read_are_no_training(here: Path) -> None:
    for name in ("1.png", "2.png"):
        Path(name).write_bytes(b"no picture")
    Path("broken.csv").write_text("image,tags\n1.png,dog\n2.png,car\n")
    done = run("broken.csv", "--hold-out", "0", "--json")
    assert done.exit_code == 2
    assert "none of 2 pictures could be read" in done.stderr
    assert not done.stdout


def test_tags_of_a_list_are_learnt_alone(here: Path) -> None:
    Path("tags.txt").write_text("dog\ntraffic light\nzebra\n")
    assert told("table.csv", "--tags", "tags.txt")["tags"] == ["dog", "traffic light", "zebra"]
    few = told("table.csv", "--least", "3", "-o", "few")["tags"]
    assert "sky" not in few
    assert {"car", "dog"} <= set(few)


def test_an_earlier_model_is_gone_on_from_or_its_sizes_alone_are(here: Path) -> None:
    first = told("table.csv", "-o", "first", "--learning-rate", "1e-9")
    for extra, same in (((), True), (("--from-nothing",), False)):
        folder = f"next{len(extra)}"
        rate = ("--learning-rate", "1e-9", *extra)
        later = told("table.csv", "-o", folder, *rate, start=first["model"])
        pairs = [(weights(r["model"])["fc.weight"]) for r in (first, later)]
        assert pairs[0].allclose(pairs[1], atol=1e-6) == same


def test_ram_learns_to_write_captions_and_says_how_it_is_used(here: Path) -> None:
    done = run("photos", "--captions", "-o", "my training")
    assert done.exit_code == 0, done.output
    assert json.loads(Path("my training/model/config.json").read_text())["adapter"] == (
        "ram-captions"
    )
    assert "--tagger ram-captions:swin-l --weights 'tagger=my training/model'" in done.stdout
    own = {"tagger": "my training/model"}
    model = GroundedRAM("tiny", tagger="ram-captions:swin-l", weights=own, device="cpu")
    assert isinstance(model.tagger, CaptioningTagger)


@pytest.mark.parametrize(
    ("arguments", "start", "message"),
    [
        (("gone.csv",), "start/model", "there is no 'gone.csv'"),
        (("empty",), "start/model", "got no picture"),
        (("table.csv", "coco.json"), "start/model", "open other sources one by one"),
        (("table.csv", "-o", "table.csv"), "start/model", "-o must name a folder"),
        (("table.csv",), "ram", "a backend is named 'adapter:checkpoint'"),
        (("table.csv",), "sam:tiny", "Known: ram, ram-captions, ram-plus, tag2text"),
        (("table.csv",), "empty", 'expected the folder "model" of a training'),
        (("table.csv", "--tags", "gone.txt"), "start/model", "there is no file 'gone.txt'"),
        (("table.csv", "--least", "99"), "start/model", "lower --least"),
        (("table.csv", "--distil"), "start/model", "--distil needs a tagger that knows"),
        (("table.csv", "--alignment"), "start/model", "add --start tag2text:swin-b"),
        (("table.csv", "--captions"), "start/model", "no picture of these has any"),
        (("table.csv", "--captions"), "ram-plus:swin-l", "RAM++ writes none"),
        (("table.csv", "--queries", "clip"), "start/model", "knows its tags by 16 numbers"),
        (("table.csv", "--learning-rate", "0"), "start/model", "--learning-rate"),
        (("table.csv", "--epochs", "0"), "start/model", "--epochs"),
        (("table.csv", "--hold-out", "1"), "start/model", "--hold-out"),
    ],
)
def test_what_cannot_be_trained_is_refused_and_leaves_the_folder_free(
    here: Path, arguments: tuple[str, ...], start: str, message: str
) -> None:
    done = run(*arguments, start=start)
    assert done.exit_code == 2, done.output
    assert message in " ".join(done.stderr.split())
    assert not done.stdout
    assert not Path("training").exists()


def test_a_breakdown_is_told_with_what_to_do(here: Path) -> None:
    done = run("table.csv", "--learning-rate", "1e9", steps="40")
    assert done.exit_code == 1
    assert "Lower the learning rate" in done.stderr
    assert not Path("training/model").exists()


def test_a_frozen_encoder_looks_at_each_picture_once(here: Path) -> None:
    record = told("table.csv", "--look-once", "--hold-out", "0.3")
    assert 0 < record["mAP"] <= 1
    kept = sorted(path.suffix for path in Path("training/features").iterdir())
    assert kept == [".json", ".json", ".npy", ".npy"]
    config = json.loads(Path("training/train.json").read_text())
    assert (config["freeze_encoder"], config["features"]) == (True, True)
    done = run("table.csv", "--look-once", "--devices", "2", "-o", "other", "--device", "cpu")
    assert done.exit_code != 0


def test_the_first_interrupt_keeps_what_was_learnt(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grounded_ram.training import loop

    count = iter(range(100))
    whole = loop._Run.step

    def interrupted(self: loop._Run, step: int) -> dict[str, float]:
        if next(count) == 2:
            signal.raise_signal(signal.SIGTERM)
        return whole(self, step)

    monkeypatch.setattr(loop._Run, "step", interrupted)
    done = run("table.csv", steps="5")
    assert done.exit_code != 0
    assert "stopping after this step" in done.stderr
    assert "stopped; to go on, type the same command again" in done.stderr
    again = run("table.csv", steps="5")
    assert again.exit_code == 0
    assert next(count) == 5  # three steps before, two now
    log = Path("training/log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in log if ",tags," in row] == ["1", "2", "3", "4", "5"]


def test_a_damaged_plan_is_told(here: Path) -> None:
    assert run("table.csv").exit_code == 0
    Path("training/train.json").write_text("{")
    done = run("table.csv")
    assert done.exit_code != 0
    assert "train.json' is damaged" in done.stderr
