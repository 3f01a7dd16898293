from __future__ import annotations

import json
from pathlib import Path

import PIL.Image
import pytest
import typer
from typer.testing import CliRunner, Result

from grounded_ram.autolabel.run import label_dataset
from grounded_ram.autolabel.run_folder import Run, begin
from grounded_ram.cli.clean import clean as command
from grounded_ram.cli.root import Commands
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.scenes.scene import make_scene

PICTURES = 8

app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)
app.command()(command)
app.command("another")(lambda: None)  # so that the first one keeps its name


def clean(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["clean", *arguments])


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a few scenes."""
    folder = tmp_path_factory.mktemp("labelled")
    (folder / "photos").mkdir()
    for seed in range(PICTURES):
        picture = PIL.Image.fromarray(make_scene(seed, size=128).image)
        picture.save(folder / "photos" / f"{seed}.png")
    label_dataset(GroundedRAM("tiny", device="cpu"), [folder / "photos"], folder / "run", threads=1)
    return folder / "run"


def test_a_run_becomes_a_cleaned_one_beside_it(labelled: Path) -> None:
    done = clean(str(labelled), "--device", "cpu", "--share", "0.5", "--least-regions", "3")
    assert done.exit_code == 0, done.output
    new = labelled.with_name("run-cleaned")
    before, after = Run(labelled).dataset(), Run(new).dataset()
    removed = (new / "removed.jsonl").read_text().splitlines()
    assert sum(after.objects.values()) == sum(before.objects.values()) - len(removed)
    assert f"removed: {len(removed)}" in done.stdout
    assert f"new run: {new}" in done.stdout
    assert len(after) == PICTURES
    assert len(removed) > 0
    assert (new / "removed.jpg").is_file()
    refused = clean(str(labelled))
    assert refused.exit_code == 2
    assert "is there; choose another folder with -o" in refused.output


def test_json_tells_every_label(labelled: Path, tmp_path: Path) -> None:
    arguments = ("-o", str(tmp_path / "new"), "--json", "--share", "0", "--no-contradictions")
    done = clean(str(labelled), *arguments, "--device", "cpu")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    objects = Run(labelled).dataset().objects
    assert told["run"] == str(tmp_path / "new")
    assert told["regions"] == sum(objects.values())
    assert told["removed"] == 0
    assert {one["label"]: one["before"] for one in told["labels"]} == objects
    assert all(one["after"] == one["before"] for one in told["labels"])
    assert Run(tmp_path / "new").config["model"]["cleaned"]["share"] == 0


def test_other_commands_read_the_new_run(labelled: Path, tmp_path: Path) -> None:
    from grounded_ram.cli.root import app as root

    new = str(tmp_path / "new")
    assert clean(str(labelled), "-o", new, "--share", "0", "--device", "cpu").exit_code == 0
    for words in (["export", new, "--format", "coco"], ["report", new]):
        done = CliRunner().invoke(root, words)
        assert done.exit_code == 0, done.output
    coco = json.loads((tmp_path / "new/coco/annotations.coco.json").read_bytes())
    assert coco["info"]["run"]["cleaned"]["run"] == "run"


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({"preset": "mine", "tagger": {"name": "shop.Tagger"}}, "its tagger was shop.Tagger"),
        ({"preset": "mine", "tagger": None}, "its tagger was none"),
    ],
)
def test_a_tagger_that_cannot_be_loaded_by_name_must_be_named(
    tmp_path: Path, model: dict[str, object], expected: str
) -> None:
    begin(tmp_path / "run", {"model": model, "tags": None})
    refused = clean(str(tmp_path / "run"))
    assert refused.exit_code == 2
    assert expected in refused.output
    assert "--tagger ram:swin-l" in refused.output
    assert clean(str(tmp_path / "run"), "--tagger", "ram:tiny").exit_code == 0


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    refused = clean(str(tmp_path))
    assert refused.exit_code == 2
    assert "expected the folder of a run" in refused.output
    assert list(tmp_path.iterdir()) == []
