"""Every file in examples/ runs by itself, offline, and leaves what it says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import PIL.Image
import pytest

REPOSITORY = Path(__file__).parents[1]
EXAMPLES = {
    "compare_overlays.py": ["compare-overlays.png"],
    "fine_tune.py": [
        "fine-tune-output/pictures/pictures.csv",
        *(f"fine-tune-output/pictures/{number}.png" for number in range(1, 61)),
        *(
            f"fine-tune-output/run/{name}"
            for name in (
                *("log.csv", "model/config.json", "model/weights.safetensors"),
                *(".lock", "state.safetensors", "train.json"),
            )
        ),
    ],
    "label_dataset.py": [
        *(f"label-dataset-output/pictures/scene-{seed}.png" for seed in range(3)),
        *(
            f"label-dataset-output/run/{name}"
            for name in (
                *(".lock", "run.json", "coco/.grounded-ram.json", "coco/annotations.coco.json"),
                *("parts/1-of-1/.lock", "parts/1-of-1/journal.jsonl"),
                *("parts/1-of-1/records-00000.jsonl", "yolo/.grounded-ram.json", "yolo/data.yaml"),
                *(f"yolo/images/train/scene-{seed}.png" for seed in range(3)),
                *(f"yolo/labels/train/scene-{seed}.txt" for seed in range(3)),
            )
        ),
    ],
    "label_folder.py": [
        "label-folder-output/annotations.coco.json",
        *(f"label-folder-output/overlays/scene-{seed}.jpg" for seed in range(3)),
        *(f"label-folder-output/pictures/scene-{seed}.png" for seed in range(3)),
    ],
    "open_vocabulary.py": ["open-vocabulary.png"],
    "quickstart.py": [
        "scene.png",
        *(
            f"quickstart-output/{name}"
            for name in ("scene.coco.json", "scene.overlay.jpg", "scene.tags.json")
        ),
    ],
}
"""The files that each leaves when it is run without arguments."""


def run(name: str, *arguments: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "examples" / name), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_every_example_is_run_here() -> None:
    assert sorted(path.name for path in (REPOSITORY / "examples").glob("*.py")) == sorted(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_runs_without_arguments(name: str, tmp_path: Path) -> None:
    said = run(name, folder=tmp_path)
    if name == "fine_tune.py":  # a guess would come to 0.5
        assert float(said.split()[1]) > 0.75, said
    written = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert written == set(EXAMPLES[name])
    for path in map(tmp_path.joinpath, written):
        if path.suffix == ".json":
            json.loads(path.read_bytes())
        elif path.suffix in {".png", ".jpg"}:
            with PIL.Image.open(path) as picture:
                picture.load()


def test_a_picture_that_cannot_be_read_is_named_and_left_out(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    (photos / "deep").mkdir(parents=True)
    PIL.Image.new("RGB", (64, 48)).save(photos / "deep" / "plain.JPG")
    (photos / "fake.jpg").write_text("no picture")
    said = run("label_folder.py", "photos", "labels", folder=tmp_path)
    assert "fake.jpg" in said
    images = json.loads((tmp_path / "labels/annotations.coco.json").read_bytes())["images"]
    assert [image["file_name"] for image in images] == ["deep/plain.JPG"]
    assert (tmp_path / "labels/overlays/deep/plain.jpg").is_file()


def test_words_are_looked_for_as_they_are_given(tmp_path: Path) -> None:
    PIL.Image.new("RGB", (64, 48)).save(tmp_path / "plain.png")
    said = run("open_vocabulary.py", "plain.png", "traffic light", "star", folder=tmp_path)
    assert "looking for: traffic light, star\n" in said
