import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from pycocotools.coco import COCO
from typer.testing import CliRunner, Result

from grounded_ram.annotation import Annotation
from grounded_ram.cli.annotate import Run
from grounded_ram.cli.output import OutputFolder
from grounded_ram.cli.root import app
from grounded_ram.downloads import ASSETS
from grounded_ram.errors import InputError, WeightsError
from grounded_ram.presets import PRESETS
from grounded_ram.scenes.scene import make_scene
from tests.hand_annotation import annotate as annotate_by_hand

REPOSITORY = Path(__file__).parents[2]
CAUTION = PRESETS["tiny"].caution


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with two scenes in a folder of their own."""
    for seed in (5, 8):
        path = tmp_path / "photos" / f"scene-{seed}.png"
        path.parent.mkdir(exist_ok=True)
        PIL.Image.fromarray(make_scene(seed).image).save(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["annotate", *arguments, "--preset", "tiny"])


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def test_a_folder_becomes_a_table_overlays_and_one_coco_file(folder: Path) -> None:
    done = run("photos", "-o", "out")
    assert done.exit_code == 0, done.output
    assert "scene-5.png" in done.stdout
    assert "scene-8.png" in done.stdout
    written = {p.relative_to(folder / "out").as_posix() for p in (folder / "out").rglob("*.*")}
    assert written == {
        "annotations.coco.json",
        "results.json",
        "overlays/scene-5.jpg",
        "overlays/scene-8.jpg",
    }
    coco = COCO(str(folder / "out" / "annotations.coco.json"))
    names = [image["file_name"] for image in coco.loadImgs(sorted(coco.getImgIds()))]
    assert names == ["scene-5.png", "scene-8.png"]
    with PIL.Image.open(folder / "out/overlays/scene-5.jpg") as overlay:
        assert overlay.size == (256, 256)


EXPORT_NAMES = """
def export_names(dataset, folder, *, masks="rle", pictures="link"):
    names = [annotation.image.name for annotation in dataset]
    (folder / "names.txt").write_text(" ".join([masks, *names]))
"""


def test_a_plug_in_writes_its_format_beside_or_instead_of_coco(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = folder / "site" / "names_format-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: names-format\nVersion: 1.0\n")
    points = "[grounded_ram.exporters]\nnames = names_format:export_names\n"
    (metadata / "entry_points.txt").write_text(points)
    (folder / "site" / "names_format.py").write_text(EXPORT_NAMES)
    monkeypatch.syspath_prepend(folder / "site")

    both = ["--format", "coco", "--format", "names", "--masks", "polygon"]
    assert run("photos", "-o", "both", *both).exit_code == 0
    assert (folder / "both/names/names.txt").read_text() == "polygon scene-5.png scene-8.png"
    assert len(read(folder / "both/annotations.coco.json")["images"]) == 2

    done = run("photos", "-o", "one", "--format", "names", "--json")
    assert (folder / "one/names/names.txt").read_text() == "rle scene-5.png scene-8.png"
    assert not (folder / "one/annotations.coco.json").exists()
    assert "coco" not in json.loads(done.stdout)


def test_a_format_is_written_anew_when_asked(folder: Path) -> None:
    for again in ([], ["--overwrite"]):
        done = run("photos", "-o", "out", "--format", "coco,yolo", *again)
        assert done.exit_code == 0, done.output
    linked = sorted((folder / "out/yolo/images/train").iterdir())
    assert [path.name for path in linked] == ["scene-5.png", "scene-8.png"]
    assert all(path.is_symlink() for path in linked)
    assert all((folder / "photos" / path.name).stat().st_size > 1000 for path in linked)


def test_an_unknown_format_is_wrong_usage(folder: Path) -> None:
    done = run("photos", "-o", "out", "--format", "cocoa")
    assert done.exit_code == 2
    assert "did you mean 'coco'" in done.stderr
    assert not (folder / "out").exists()


def test_the_caution_is_said_once_and_not_in_the_results(folder: Path) -> None:
    done = run("photos", "-o", "out")
    assert done.stderr.count(CAUTION) == 1
    assert CAUTION not in done.stdout


def test_json_is_all_of_stdout_and_lists_failures_too(folder: Path) -> None:
    Path("fake.jpg").write_text("no picture")
    done = run("photos/scene-5.png", "fake.jpg", "nix.png", "-o", "out", "--json")
    assert done.exit_code == 1
    report = json.loads(done.stdout)
    assert [image["name"] for image in report["images"]] == ["photos/scene-5.png"]
    assert {failure["input"] for failure in report["failed"]} == {"fake.jpg", "nix.png"}
    assert all(failure["error"] for failure in report["failed"])
    assert read(folder / "out/results.json") == report
    image = report["images"][0]
    assert (image["width"], image["height"]) == (256, 256)
    assert set(image) >= {"tags", "objects", "ungrounded", "sha256", "overlay"}
    assert Path(image["overlay"]).is_file()
    assert Path(report["coco"]).is_file()


def test_json_is_pure_in_a_real_process_too(folder: Path) -> None:
    arguments = ["annotate", "photos/scene-8.png", "--preset", "tiny", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "grounded_ram", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["preset"] == "tiny"
    assert done.stderr == f"note: {CAUTION}\n"
    assert (folder / "grounded-ram-output" / "annotations.coco.json").is_file()


def test_one_bad_picture_does_not_stop_the_others(folder: Path) -> None:
    Path("photos/broken.png").write_bytes(Path("photos/scene-5.png").read_bytes()[:2000])
    Path("photos/fake.jpg").write_text("no picture")
    Path("photos/empty.png").write_bytes(b"")
    done = run("photos", "-o", "out")
    assert done.exit_code == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("failed: ")]
    assert len(lines) == 3
    for name in ("broken.png", "fake.jpg", "empty.png"):
        assert any(name in line for line in lines)
    assert len(read(folder / "out/annotations.coco.json")["images"]) == 2


def test_where_nothing_can_be_done_nothing_is_written(folder: Path) -> None:
    Path("fake.jpg").write_text("no picture")
    Path("no-pictures").mkdir()
    done = run("fake.jpg", "no-pictures", "nix.png", "-o", "out", "--json")
    assert done.exit_code == 1
    report = json.loads(done.stdout)
    assert report["images"] == []
    assert len(report["failed"]) == 3
    assert "coco" not in report
    assert not Path("out").exists()


def test_a_picture_without_objects_is_done_and_stays_in_the_dataset(folder: Path) -> None:
    done = run("photos/scene-5.png", "-o", "out", "--box-threshold", "1", "--json")
    assert done.exit_code == 0
    image = json.loads(done.stdout)["images"][0]
    assert image["objects"] == []
    coco = read(folder / "out/annotations.coco.json")
    assert (len(coco["images"]), coco["annotations"]) == (1, [])
    assert Path(image["overlay"]).is_file()


def test_tags_of_the_user_take_the_tagger_s_place(folder: Path) -> None:
    done = run("photos/scene-5.png", "--tags", " star, red car ,,star, Star", "--json")
    assert done.exit_code == 0
    report = json.loads(done.stdout)
    assert [tag["name"] for tag in report["images"][0]["tags"]] == ["star", "red car"]
    assert read(Path(report["coco"]))["info"]["run"]["tagger"] is None


def test_thresholds_reach_the_run_s_record(folder: Path) -> None:
    done = run("photos/scene-5.png", "--tag-threshold", "0.9", "--box-threshold", "0.8", "--json")
    record = read(Path(json.loads(done.stdout)["coco"]))["info"]["run"]
    assert (record["tag_threshold"], record["box_threshold"]) == (0.9, 0.8)


def test_rules_reach_the_run_s_record(folder: Path) -> None:
    rules = ["--rule", "crop_check=flag", "--rule", "least_pixels=30", "--rule", "support=0.6"]
    rules += ["--rule", "nms_iou=0.4"]
    done = run("photos/scene-5.png", *rules, "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    run_record = read(Path(report["coco"]))["info"]["run"]
    assert run_record["nms_iou"] == 0.4
    record = run_record["rules"]
    assert (record["crop_check"], record["least_pixels"], record["support"]) == ("flag", 30, 0.6)
    objects = report["images"][0]["objects"]
    assert objects
    assert all(0 <= item["crop_score"] <= 1 for item in objects)


def test_rejected_boxes_are_counted_with_their_reasons(folder: Path) -> None:
    """A picture has no mask of more than all its pixels, so each object goes."""
    done = run("photos/scene-5.png", "--rule", "least_pixels=70000")
    assert done.exit_code == 0
    assert "objects: 0" in done.stdout
    assert "boxes rejected: " in done.stdout
    assert "its mask is empty or too small" in done.stdout


def test_polygons_by_choice(folder: Path) -> None:
    for kind, made in (("rle", dict), ("polygon", list)):
        done = run("photos/scene-5.png", "--masks", kind, "-o", kind, "--json")
        assert done.exit_code == 0
        shapes = read(folder / kind / "annotations.coco.json")["annotations"]
        assert all(isinstance(shape["segmentation"], made) for shape in shapes)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--tags", " , "],
        ["--box-threshold", "2"],
        ["--masks", "dots"],
        ["--rule", "support"],
        ["--rule", "suport=0.5"],
        ["--rule", "support=much"],
        ["--rule", "nms_iou=much"],
        ["--rule", "crop_check=perhaps"],
        ["--device", "toaster"],
        ["-o", "photos/scene-5.png"],
    ],
)
def test_wrong_usage_is_code_2_and_writes_nothing(folder: Path, arguments: list[str]) -> None:
    before = sorted(folder.rglob("*"))
    done = run("photos/scene-5.png", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr
    assert sorted(folder.rglob("*")) == before


def test_earlier_results_are_replaced_only_if_that_is_said(folder: Path) -> None:
    assert run("photos/scene-5.png", "-o", "out").exit_code == 0
    coco = folder / "out/annotations.coco.json"
    first = coco.read_bytes()
    refused = run("photos", "-o", "out")
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr
    assert coco.read_bytes() == first
    assert run("photos", "-o", "out", "--overwrite").exit_code == 0
    assert len(read(coco)["images"]) == 2


def test_overlays_inside_the_input_folder_are_not_annotated_again(folder: Path) -> None:
    for _ in range(2):
        done = run("photos", "-o", "photos/out", "--overwrite", "--json")
        assert len(json.loads(done.stdout)["images"]) == 2


def test_weights_of_the_user_s_own_reach_the_run_s_record(folder: Path) -> None:
    mine = Path("mine.safetensors")
    mine.write_bytes((ASSETS / "tiny" / "sam.safetensors").read_bytes())
    done = run("photos/scene-5.png", "--weights", f"segmenter={mine}", "--json")
    assert done.exit_code == 0, done.output
    record = read(Path(json.loads(done.stdout)["coco"]))["info"]["run"]
    digest = hashlib.sha256(mine.read_bytes()).hexdigest()
    assert record["segmenter"]["sha256"]["weights"] == digest


@pytest.mark.parametrize("weights", ["nix", "segmenter=nix.pth", "cutter=photos/scene-5.png"])
def test_weights_that_are_not_there_are_wrong_usage(folder: Path, weights: str) -> None:
    done = run("photos/scene-5.png", "--weights", weights)
    assert (done.exit_code, done.stdout) == (2, "")


def test_absent_weights_are_one_message_and_code_1(folder: Path) -> None:
    done = CliRunner().invoke(app, ["annotate", "photos", "--preset", "fast", "--json"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert "grounded-ram download ram:swin-l grounding-dino:swin-t sam:vit-b" in done.stderr
    assert not Path("grounded-ram-output").exists()


def test_with_tags_of_the_user_s_own_the_tagger_s_weights_are_not_missed(folder: Path) -> None:
    done = CliRunner().invoke(app, ["annotate", "photos", "--preset", "fast", "--tags", "car"])
    assert done.exit_code == 1
    assert "`grounded-ram download grounding-dino:swin-t sam:vit-b`" in done.stderr


def looking(outcomes: dict[str, Annotation | Exception]) -> Callable[[str], Annotation]:
    def look(source: str) -> Annotation:
        outcome = outcomes[source]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return look


def test_an_accident_with_one_picture_is_its_failure_alone(tmp_path: Path) -> None:
    outcomes = {
        "a.png": MemoryError("no room"),
        "b.png": InputError("no picture"),
        "c.png": annotate_by_hand(path="c.png"),
    }
    job = Run(looking(outcomes), OutputFolder(tmp_path), [])
    done = list(job.annotate([(name, name) for name in outcomes]))
    assert [one.image.file_name for one in done] == ["c.png"]
    assert [(f.input, f.error) for f in job.failures] == [
        ("a.png", "MemoryError: no room"),
        ("b.png", "no picture"),
    ]
    assert [picture["name"] for picture in job.pictures] == ["c.png"]


@pytest.mark.parametrize("error", [WeightsError("absent"), OSError("disk full")])
def test_what_would_fail_for_all_stops_the_run(error: Exception, tmp_path: Path) -> None:
    job = Run(looking({"a.png": error}), OutputFolder(tmp_path), [])
    with pytest.raises(type(error)):
        list(job.annotate([("a.png", "a.png")]))


def test_pixels_that_pillow_only_warns_about_are_done(folder: Path) -> None:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 65_536, (20, 30), np.uint16)
    PIL.Image.fromarray(grey).save("deep.png")
    done = run("deep.png")
    assert done.exit_code == 0
    assert "note: deep.png: 16-bit values" in done.stderr
