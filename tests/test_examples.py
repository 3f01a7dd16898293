"""Every file in examples/ runs by itself, offline, and leaves what it says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import PIL.Image
import pytest
from nbclient import NotebookClient

REPOSITORY = Path(__file__).parents[1]
EXAMPLES = {
    "annotate_video.py": [
        "drawn.mp4",
        *(f"annotate-video-output/drawn{end}" for end in (".json", ".mp4", ".tracks.csv")),
    ],
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

ELSEWHERE = {
    "autodistill_target.py": "readers/test_autodistill.py",
    "datasets_map.py": "integrations/test_huggingface.py",
    "fiftyone_dataset.py": "readers/test_fiftyone_apply.py",
}
"""Those that other tests run, where what they need is there."""


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
    there = {path.name for path in (REPOSITORY / "examples").glob("*.py")}
    assert there == {*EXAMPLES, *ELSEWHERE}
    for name, test in ELSEWHERE.items():
        assert name in (REPOSITORY / "tests" / test).read_text("utf-8")


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


@pytest.mark.filterwarnings("ignore")  # of Jupyter's own libraries
def test_the_notebook_runs_and_its_annotations_show_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    notebook = nbformat.read(REPOSITORY / "examples" / "notebook.ipynb", as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    stored = [(cell.outputs, cell.execution_count) for cell in cells]
    assert stored == [([], None)] * len(cells)
    place = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=place).execute()
    shown = [output.data for cell in cells for output in cell.outputs if "data" in output]
    tables = [data["text/html"] for data in shown if "text/html" in data]
    assert len(tables) == 3
    assert all("<table>" in html and "data:image/jpeg" in html for html in tables)
    assert {path.name for path in (tmp_path / "notebook-output").iterdir()} == {
        path.name for path in map(Path, cells[6].outputs[0].text.split())
    }
