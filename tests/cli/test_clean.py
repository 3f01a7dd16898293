from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import typer
from typer.testing import CliRunner, Result

from grounded_ram.autolabel.run import label_dataset
from grounded_ram.autolabel.run_folder import Run, begin
from grounded_ram.cli.clean import clean as command
from grounded_ram.cli.root import Commands
from grounded_ram.images import Image
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
    assert "is there from an earlier run; choose another folder with -o, or" in refused.output
    again = clean(str(labelled), "--device", "cpu", "--share", "0", "--overwrite")
    assert again.exit_code == 0, again.output
    assert Run(new).config["model"]["cleaned"]["share"] == 0


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


def test_typed_again_after_ctrl_c_it_goes_on_and_says_so(
    labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grounded_ram.data_engine.cleaning.embedding import TaggerEmbedder

    arguments = (str(labelled), "--device", "cpu", "--least-regions", "3", "--share", "0.5", "-o")
    whole = clean(*arguments, str(tmp_path / "whole"))
    assert whole.exit_code == 0, whole.output
    see, seen = TaggerEmbedder.see, list[int]()

    def counting(self: TaggerEmbedder, images: list[Image]) -> Any:
        seen.append(len(images))
        if len(seen) == 4:
            signal.raise_signal(signal.SIGINT)
        return see(self, images)

    monkeypatch.setattr(TaggerEmbedder, "see", counting)
    stopped = clean(*arguments, str(tmp_path / "cut"))
    assert stopped.exit_code == 130
    assert "to go on, type the same command again" in stopped.stderr
    assert not (tmp_path / "cut").exists()
    assert len(seen) == 4
    done = clean(*arguments, str(tmp_path / "cut"))
    assert done.exit_code == 0, done.output
    assert sum(seen) == sum(Run(labelled).dataset().objects.values())
    for name in (
        "removed.jsonl",
        "summary.json",
        "removed.jpg",
        "parts/1-of-1/records-00000.jsonl",
    ):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_place_that_cannot_be_written_is_told_with_the_option(
    labelled: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "new", tmp_path / "file"):
        refused = clean(str(labelled), "-o", str(place))
        assert refused.exit_code == 2
        assert "with -o" in refused.output
