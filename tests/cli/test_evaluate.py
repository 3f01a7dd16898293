import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from typer.testing import CliRunner, Result

from grounded_ram.annotation import ImageFacts
from grounded_ram.cli.root import app
from grounded_ram.evaluation.scoring import truth_of
from grounded_ram.export.coco import to_coco
from grounded_ram.scenes.scene import make_scene
from tests.hand_annotation import annotate, rectangle

SIZE = (40, 60)
LEFT, RIGHT = rectangle(SIZE, 5, 5, 25, 25), rectangle(SIZE, 10, 40, 30, 55)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def coco(path: Path, *objects: tuple[str, np.ndarray[Any, Any]], name: str = "a/1.jpg") -> Path:
    one = annotate(list(objects), size_hw=SIZE)
    one = replace(one, image=replace(one.image, file_name=name))
    path.write_text(json.dumps(to_coco([one])))
    return path


def test_a_run_is_compared_with_a_truth(tmp_path: Path) -> None:
    truth = coco(tmp_path / "true.json", ("automobile", LEFT), ("dog", RIGHT), name="1.jpg")
    found = coco(tmp_path / "run.json", ("car", LEFT), ("cat", RIGHT))
    done = run(found, "--truth", truth, "--json")
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["matched_by"] == "masks"
    whole = report["all"]
    assert (whole["true"], whole["found"], whole["right"]) == (2, 1, 1)
    assert (whole["precision"], whole["recall"]) == (1, 0.5)
    assert whole["mask"]["mean"] == pytest.approx(0.5)
    assert {row["name"]: row["precision"] for row in report["classes"]} == {
        "automobile": 1,
        "dog": None,
    }
    assert {"true": "dog", "called": "cat", "times": 1} in report["confusion"]
    assert report["coverage"]["unmatched"] == {"cat": 1}
    assert report["tagging"]["class_recall"] == 0.5
    assert "note: names of pictures were compared without their folders" in done.stderr
    assert "cat (1)" in done.stderr


def test_the_tables_say_the_same(tmp_path: Path) -> None:
    truth = coco(tmp_path / "true.json", ("car", LEFT), ("dog", RIGHT))
    done = run(coco(tmp_path / "run.json", ("car", LEFT)), "--truth", truth)
    assert done.exit_code == 0, done.stderr
    rows = [" ".join(line.replace("│", " ").split()) for line in done.stdout.splitlines()]
    assert "masks 0.500 0.500 0.500" in rows
    assert "all 2 1 1.000 0.500 0.667 0.500 0.500" in rows
    assert "dog 1 0 - 0.000 0.000 0.000 0.000" in rows
    assert "dog (not found) 1" in rows
    assert "car car 1" not in rows  # that is no mistake
    assert rows[-1] == (
        "tags of 1 pictures: mAP 1.000; by class, precision 0.500, recall 0.500; "
        "overall, precision 1.000, recall 0.500"
    )


def test_a_truth_of_boxes_says_so(tmp_path: Path) -> None:
    truth = coco(tmp_path / "true.json", ("car", LEFT))
    value = json.loads(truth.read_text())
    del value["annotations"][0]["segmentation"]
    truth.write_text(json.dumps(value))
    done = run(coco(tmp_path / "run.json", ("car", LEFT)), "--truth", truth)
    assert "note: not every true object has a mask: boxes were compared" in done.stderr
    assert "masks" not in done.stdout


def test_lists_of_tags_are_a_truth_too(tmp_path: Path) -> None:
    found = coco(tmp_path / "run.json", ("car", LEFT), ("dog", RIGHT))
    truth, tags = tmp_path / "x_ram_annots.txt", tmp_path / "tags.txt"
    truth.write_text("a/1,automobile,cat\na/2\n")
    tags.write_text("automobile\ncat\ndog\n")
    done = run(found, "--truth", truth, "--tag-list", tags, "--json")
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["tagging"]["class_recall"] == 0.5
    assert report["tagging"]["overall_precision"] == 1
    assert report["coverage"]["only_true"] == 1
    table = run(found, "--truth", truth, "--tag-list", tags).stdout
    assert "automobile │ 1    │ 1    │ 1.000" in table


@pytest.mark.parametrize("only", ["run", "truth"])
def test_a_run_and_its_truth_go_together(tmp_path: Path, only: str) -> None:
    file = coco(tmp_path / "x.json", ("car", LEFT))
    done = run(file) if only == "run" else run("--truth", file)
    assert done.exit_code == 2
    assert "grounded-ram evaluate RUN --truth true.json" in done.stderr


def test_mistakes_are_told_in_plain_words(tmp_path: Path) -> None:
    found = coco(tmp_path / "run.json", ("car", LEFT))
    other = coco(tmp_path / "true.json", ("car", LEFT), name="b.jpg")
    done = run(found, "--truth", other)
    assert done.exit_code == 2
    assert "none of the 1 pictures of the run, such as 'a/1.jpg'" in done.stderr
    assert run(found, "--truth", tmp_path / "gone.json").exit_code == 2
    assert run(tmp_path / "gone", "--truth", other).exit_code == 2


def test_without_a_run_a_preset_is_measured_on_drawn_scenes() -> None:
    done = run("--scenes", 1, "--json")
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["preset"], report["scenes"], len(report["rows"])) == ("tiny", 1, 7)


def test_the_folder_of_a_run_is_compared(tmp_path: Path) -> None:
    pictures, truths = tmp_path / "pictures", []
    pictures.mkdir()
    for seed in (2_000_000, 2_000_002):
        scene = make_scene(seed)
        PIL.Image.fromarray(scene.image).save(pictures / f"{seed}.png")
        facts = ImageFacts(None, scene.image.shape[:2], "0" * 64, file_name=f"{seed}.png")
        truths.append(truth_of(scene, facts))
    truth = tmp_path / "true.json"
    truth.write_text(json.dumps(to_coco(truths)))
    labelled = [str(pictures), "-o", str(tmp_path / "run"), "--preset", "tiny"]
    assert CliRunner().invoke(app, ["label", *labelled]).exit_code == 0
    done = run(tmp_path / "run", "--truth", truth, "--json")
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["coverage"]["pictures"] == 2
    assert report["all"]["right"] >= 5
    assert report["all"]["mask"]["at_50"] > 0.4
    assert report["tagging"]["overall_precision"] > 0.7
