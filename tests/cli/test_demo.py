import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from pycocotools.coco import COCO
from typer.testing import CliRunner, Result

from grounded_ram.cli.root import app
from grounded_ram.scenes.scene import make_scene


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["demo", *arguments])


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_writes_pictures_overlays_coco_and_a_sheet(folder: Path) -> None:
    done = run("--scenes", "2", "--seed", "4")
    assert done.exit_code == 0, done.output
    written = folder / "grounded-ram-demo"
    assert set(bytes_of(written)) == {
        "contact-sheet.png",
        "annotations.coco.json",
        "demo.json",
        *(f"scene-{seed}{kind}.png" for seed in (4, 5) for kind in ("", ".overlay")),
    }
    with PIL.Image.open(written / "scene-5.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), make_scene(5).image)
    coco = COCO(str(written / "annotations.coco.json"))
    names = [image["file_name"] for image in coco.loadImgs(sorted(coco.getImgIds()))]
    assert names == ["scene-4.png", "scene-5.png"]
    assert "contact-sheet.png" in done.stdout
    assert done.stderr.count("picture-book") == 1


def test_json_says_how_right_it_was(folder: Path) -> None:
    done = run("--scenes", "3", "--seed", "3", "--json")  # scene 3 has no objects
    report = json.loads(done.stdout)
    assert json.loads((folder / "grounded-ram-demo/demo.json").read_bytes()) == report
    for scene in report["scenes"]:
        drawn = [thing.name for thing in make_scene(scene["seed"]).objects]
        assert sorted([*scene["right"], *scene["missed"]]) == sorted(drawn)
    totals: dict[str, Any] = report["totals"]
    for part, total in totals.items():
        assert total == sum(len(scene[part]) for scene in report["scenes"])


def test_the_same_seed_gives_the_same_files_again(folder: Path) -> None:
    assert run("--scenes", "1", "-o", "a").exit_code == 0
    first = bytes_of(folder / "a")
    assert run("--scenes", "1", "-o", "a").exit_code == 0
    assert bytes_of(folder / "a") == first


def test_an_earlier_demo_of_other_scenes_is_known_as_such(folder: Path) -> None:
    for seed in ("1", "2", "1"):
        assert run("--scenes", "1", "--seed", seed, "-o", "a").exit_code == 0


@pytest.mark.parametrize("name", ["scene-1.png", "annotations.coco.json", "demo.json"])
def test_a_stranger_s_file_is_not_overwritten(name: str, folder: Path) -> None:
    (folder / name).write_text("mine")
    done = run("--scenes", "1", "-o", ".")
    assert done.exit_code == 2
    assert name in done.stderr
    assert bytes_of(folder) == {name: b"mine"}


@pytest.mark.parametrize("arguments", [["--scenes", "0"], ["--seed", "-1"], ["--seed", "10000000"]])
def test_seeds_that_were_trained_on_are_refused(arguments: list[str], folder: Path) -> None:
    assert run(*arguments).exit_code == 2
    assert list(folder.iterdir()) == []
