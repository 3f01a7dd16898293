from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import PIL.Image
import pytest
from typer.testing import CliRunner, Result

from grounded_ram.autolabel.engines import Here
from grounded_ram.autolabel.journal import read_journal
from grounded_ram.cli.label_job import Job
from grounded_ram.cli.root import app
from grounded_ram.scenes.scene import make_scene

REPOSITORY = Path(__file__).parents[2]
PICTURES = 6


def draw(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(make_scene(seed, size=96).image).save(path)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with scenes in sub-folders of ``photos``."""
    for seed in range(PICTURES):
        draw(tmp_path / "photos" / f"{seed % 2}" / f"{seed}.PNG", seed)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def label(*arguments: str, answer: str | None = None) -> Result:
    command = ["label", *arguments, "--preset", "tiny", "--decoders", "0", "--threads", "1"]
    return CliRunner().invoke(app, command, input=answer)


def read(path: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(Path(path).read_bytes())
    return found


def events(done: Result) -> Iterator[dict[str, object]]:
    yield from map(json.loads, done.stdout.splitlines())


def test_a_folder_becomes_a_run_and_formats(folder: Path) -> None:
    (folder / "photos/damaged.jpg").write_bytes(b"\xff\xd8\xff")
    (folder / "photos/notes.txt").touch()
    draw(folder / "photos/again.png", 0)
    done = label("photos", "-o", "run", "--format", "coco,yolo,overlays")
    assert done.exit_code == 1, done.output
    assert "pictures: 7, objects:" in done.stdout
    assert "failed: 1" in done.stdout
    assert "failed: 1, such as damaged.jpg: " in done.stderr
    assert "skipped: 1: no picture ending" in done.stderr
    assert "0/0.PNG = again.png" in done.stderr
    coco = read("run/coco/annotations.coco.json")
    names = [image["file_name"] for image in coco["images"]]  # type: ignore[index,attr-defined]
    assert names == ["0/0.PNG", "0/2.PNG", "0/4.PNG", "1/1.PNG", "1/3.PNG", "1/5.PNG", "again.png"]
    assert coco["info"]["run"]["preset"] == "tiny"  # type: ignore[index]
    assert len(list(Path("run/yolo/labels").rglob("*.txt"))) == 7
    assert len(list(Path("run/overlays").rglob("*.jpg"))) == 7
    failure = json.loads(Path("run/failures.jsonl").read_text())
    assert failure["name"] == "damaged.jpg"
    skipped = json.loads(Path("run/skipped.jsonl").read_text())
    assert skipped == {"name": "notes.txt", "reason": "no picture ending: .txt"}
    summary = read("run/summary.json")
    assert summary["duplicates"]["pictures"] == 2  # type: ignore[index]


def test_the_same_again_labels_only_what_is_new(folder: Path) -> None:
    assert label("photos", "-o", "run").exit_code == 0
    before = Path("run/coco/annotations.coco.json").read_bytes()
    done = label("photos", "-o", "run", "--json")
    assert done.exit_code == 0, done.output
    assert [one["event"] for one in events(done)] == ["done"]
    assert Path("run/coco/annotations.coco.json").read_bytes() == before

    draw(folder / "photos/new.png", 77)
    done = label("photos", "-o", "run", "--json")
    found = list(events(done))
    assert [one["event"] for one in found] == ["labelled", "progress", "done"]
    assert found[0]["name"] == "new.png"
    assert (found[1]["done"], found[1]["of"]) == (7, 7)
    assert len(read("run/coco/annotations.coco.json")["images"]) == 7  # type: ignore[arg-type]


def test_a_failed_picture_is_tried_again_when_asked(folder: Path) -> None:
    (folder / "photos/late.png").write_bytes(b"not yet")
    assert label("photos", "-o", "run").exit_code == 1
    draw(folder / "photos/late.png", 50)
    assert label("photos", "-o", "run").exit_code == 1
    assert label("photos", "-o", "run", "--retry-failed").exit_code == 0
    assert Path("run/failures.jsonl").read_bytes() == b""


def test_labels_of_other_tools_are_left_alone(folder: Path) -> None:
    labelme = {"shapes": [], "imagePath": "1.PNG", "version": "5"}
    (folder / "photos/1/1.json").write_text(json.dumps(labelme))
    done = label("photos", "-o", "run", "--only-new")
    assert done.exit_code == 0, done.output
    assert "pictures: 5," in done.stdout
    assert "has labels of LabelMe already" in done.stderr


def test_another_configuration_is_refused_with_the_difference(folder: Path) -> None:
    assert label("photos", "-o", "run").exit_code == 0
    done = label("photos", "-o", "run", "--box-threshold", "0.6", "--rule", "support=0.7")
    assert done.exit_code == 2
    assert "model.box_threshold: 0.45 then, 0.6 now" in done.stderr
    assert "model.rules.support: 0.5 then, 0.7 now" in done.stderr
    done = label("photos/1", "-o", "run")
    assert done.exit_code == 2
    assert "sources" in done.stderr


def test_restart_deletes_only_after_asking(folder: Path) -> None:
    assert label("photos", "-o", "run").exit_code == 0
    again = ("photos", "-o", "run", "--box-threshold", "0.6", "--restart")
    done = label(*again)
    assert done.exit_code == 2
    assert "deletes the labels of 6 pictures in 'run'; say --yes too" in done.stderr
    assert read("run/run.json")["model"]["box_threshold"] == 0.45  # type: ignore[index]
    assert label(*again, "--yes").exit_code == 0
    assert read("run/run.json")["model"]["box_threshold"] == 0.6  # type: ignore[index]
    assert len(read_journal(Path("run/parts/1-of-1")).labelled) == 6


def test_shares_of_several_jobs_make_one_run(folder: Path) -> None:
    assert label("photos", "-o", "whole").exit_code == 0
    for share in ("2/3", "1/3", "3/3"):
        done = label("photos", "-o", "run", "--shard", share)
        assert done.exit_code == 0, done.output
        assert "grounded-ram export run" in done.stderr
    assert not Path("run/coco").exists()
    assert CliRunner().invoke(app, ["export", "run", "--format", "coco,csv"]).exit_code == 0
    for name in ("coco/annotations.coco.json",):
        assert (folder / "run" / name).read_bytes() == (folder / "whole" / name).read_bytes()
    assert len(list(Path("run/parts").iterdir())) == 3


def test_a_split_keeps_copies_of_a_picture_together(folder: Path) -> None:
    for name in ("x.png", "y.png"):
        draw(folder / "photos" / name, 0)
    done = label("photos", "-o", "run", "--split", "50,25,25", "--seed", "3")
    assert done.exit_code == 0, done.output
    found = {}
    for path in Path("run/coco").glob("*.coco.json"):
        for image in read(str(path))["images"]:  # type: ignore[attr-defined]
            found[image["file_name"]] = path.name
    assert len(found) == 8
    assert found["0/0.PNG"] == found["x.png"] == found["y.png"]
    assert len(set(found.values())) > 1


def test_hand_edits_stay_and_are_told(folder: Path) -> None:
    assert label("photos", "-o", "run", "--format", "coco,csv").exit_code == 0
    path = Path("run/coco/annotations.coco.json")
    path.write_text("mine")
    done = label("photos", "-o", "run")
    assert path.read_text() == "mine"
    assert "note: coco was edited by hand (annotations.coco.json)" in done.stderr
    assert len(read("run/coco-2/annotations.coco.json")["images"]) == 6  # type: ignore[arg-type]
    assert "note: csv were written before" in done.stderr
    done = CliRunner().invoke(app, ["export", "run", "--overwrite"])
    assert done.exit_code == 0
    assert len(read(str(path))["images"]) == 6  # type: ignore[arg-type]


def test_pictures_that_are_added_change_no_others_split(folder: Path) -> None:
    def dealt() -> dict[str, str]:
        assert label("photos", "-o", "run", "--split", "50,25,25").exit_code == 0
        return {
            image["file_name"]: path.name
            for path in Path("run/coco").glob("*.coco.json")
            for image in read(str(path))["images"]  # type: ignore[attr-defined]
        }

    before = dealt()
    for seed in range(20, 30):
        draw(folder / "photos" / f"{seed}.png", seed)
    after = dealt()
    assert len(after) == 16
    assert {name: after[name] for name in before} == before


def test_sources_that_are_damaged_have_failed(folder: Path) -> None:
    (folder / "list.txt").write_text("photos/0/0.PNG\nphotos/nowhere.png\n")
    (folder / "photos/broken.png").symlink_to("nowhere")
    done = label("@list.txt", "photos", "-o", "run")
    assert done.exit_code == 1
    lines = map(json.loads, Path("run/failures.jsonl").read_text().splitlines())
    assert sorted(one["reason"].partition(":")[0] for one in lines) == [
        "broken link",
        "there is no file",
    ]
    assert label("@list.txt", "photos", "-o", "run").exit_code == 1


def test_a_folder_without_pictures_is_told(folder: Path) -> None:
    (folder / "texts").mkdir()
    (folder / "texts/a.txt").touch()
    done = label("texts", "-o", "run")
    assert done.exit_code == 2
    assert "there were no pictures to label; in folders those are taken that end in" in done.stderr


def test_a_damaged_run_can_begin_anew(folder: Path) -> None:
    assert label("photos", "-o", "run").exit_code == 0
    Path("run/run.json").write_text("{")
    assert label("photos", "-o", "run").exit_code == 2
    done = label("photos", "-o", "run", "--restart")
    assert "deletes the labels of an unknown number of pictures" in done.stderr
    assert label("photos", "-o", "run", "--restart", "--yes").exit_code == 0


def test_a_run_that_is_taken_away_is_no_success(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def move(job: Job) -> None:
        real(job)
        Path("run").rename("gone")

    real = Job.do
    monkeypatch.setattr(Job, "do", move)
    done = label("photos", "-o", "run")
    assert done.exit_code == 1
    assert "run was moved or deleted while pictures were labelled" in done.stderr
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "there is no"),
        (["photos", "--shard", "3"], "--shard expects I/N"),
        (["photos", "--format", "cocoa"], "did you mean 'coco'"),
        (["photos", "--split", "80,80"], "80,80"),
        (["photos", "-o", "photos"], "is where the results go"),
        (["photos/0", "-o", "photos/1"], "holds no run, but '1.PNG' is in it"),
        (["photos", "--frames", "2x"], "frames: expected a number"),
        (["photos", "--address", "auto"], "say --engine ray too"),
        (["photos", "--devices", "0", "--workers", "2"], "leave --workers out"),
        (["photos", "--split", "80,20", "--group", "x"], "--group expects folder, or prefix:MARK"),
        (["photos", "-o", "photos/0/0.PNG"], "is a file"),
        (["photos", "--tags", ","], "--tags must name things"),
    ],
)
def test_wrong_usage_is_code_2_and_leaves_nothing(
    folder: Path, arguments: list[str], message: str
) -> None:
    done = label(*arguments)
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert {path.name for path in folder.iterdir()} <= {"photos"}
    assert {path.name for path in (folder / "photos").iterdir()} == {"0", "1"}


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_go_on_and_goes_on(
    folder: Path, number: signal.Signals
) -> None:
    for seed in range(PICTURES, 40):
        draw(folder / "photos" / f"{seed}.png", seed)
    command = [sys.executable, "-m", "grounded_ram", "label", "photos", "-o", "run"]
    process = subprocess.Popen(
        [*command, "--preset", "tiny", "--decoders", "1", "--threads", "1"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stderr=subprocess.PIPE,
        text=True,
    )
    part = folder / "run/parts/1-of-1"
    while process.poll() is None and not read_journal(part).labelled:
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate()
    assert process.returncode == 130, said
    assert "To go on, type the same command again" in said
    safe = len(read_journal(part).labelled)
    assert 0 < safe < 40
    assert not (folder / "run/coco").exists()

    done = label("photos", "-o", "run", "--json")
    assert done.exit_code == 0, done.output
    assert sum(one["event"] == "labelled" for one in events(done)) == 40 - safe


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_a_second_ctrl_c_stops_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt_twice(*_: object) -> Iterator[list[object]]:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        yield []

    monkeypatch.setattr(Here, "__call__", interrupt_twice)
    done = label("photos", "-o", "run")
    assert done.exit_code == 130
    assert "finishing the pictures that were begun" in done.stderr
    assert "stopped at once; what was labelled is kept" in done.stderr
