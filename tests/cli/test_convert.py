from __future__ import annotations

from pathlib import Path

import pytest
import supervision as sv
import typer
from typer.testing import CliRunner, Result

from grounded_ram.cli.convert import convert
from grounded_ram.cli.root import Commands
from grounded_ram.export.coco import export_coco
from tests.hand_dataset import truth, write_dataset

app = typer.Typer(cls=Commands)
app.callback()(lambda: None)
app.command()(convert)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["convert", *map(str, arguments)])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    dataset = write_dataset(tmp_path / "pictures", splits=False, flat=True)
    export_coco(dataset, tmp_path / "pictures")
    return tmp_path / "pictures" / "annotations.coco.json"


def test_each_format_gets_a_folder(source: Path, tmp_path: Path) -> None:
    done = run(source, "-o", tmp_path / "out", "--format", "yolo, cvat,coco")
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["coco", "cvat", "yolo"]
    assert done.stdout.splitlines() == [
        "images: 4",
        *(f"{name}: {tmp_path / 'out' / name}" for name in ("yolo", "cvat", "coco")),
    ]
    yolo = tmp_path / "out" / "yolo"
    found = sv.DetectionDataset.from_yolo(
        str(yolo / "images" / "train"), str(yolo / "labels" / "train"), str(yolo / "data.yaml")
    )
    assert len(found) == 4
    assert sum(len(detections) for _, _, detections in found) == 14
    assert all(path.is_symlink() for path in (yolo / "images" / "train").iterdir())


def test_masks_and_pictures_are_as_asked(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(
        *(source, "-o", out, "--format", "cvat,yolo", "--masks", "polygon", "--pictures", "copy")
    )
    assert done.exit_code == 0, done.output
    text = (out / "cvat" / "annotations.xml").read_text("utf-8")
    assert "<polygon" in text
    assert "<mask" not in text
    copies = list((out / "yolo" / "images" / "train").iterdir())
    assert len(copies) == 4
    assert not any(path.is_symlink() for path in copies)


def test_pictures_may_lie_elsewhere(source: Path, tmp_path: Path) -> None:
    moved = source.rename(tmp_path / "labels.json")
    failed = run(moved, "-o", tmp_path / "a", "--format", "yolo", "--pictures", "copy")
    assert failed.exit_code == 2
    assert "is not there" in failed.stderr
    assert list((tmp_path / "a").iterdir()) == []
    folder = tmp_path / "pictures"
    done = run(moved, "-o", tmp_path / "b", "--format", "yolo", "--images", folder)
    assert done.exit_code == 0, done.output
    assert all((path).is_file() for path in (tmp_path / "b" / "yolo" / "images").rglob("*.png"))


def test_notes_are_said(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(
        '{"images": [{"id": 1, "file_name": "a.png", "height": 9, "width": 9}], "annotations": '
        '[{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 3, 3]}], '
        '"categories": [{"id": 1, "name": "dog"}]}'
    )
    done = run(tmp_path / "a.json", "-o", tmp_path / "o", "--format", "cvat", "--pictures", "none")
    assert done.exit_code == 0, done.output
    assert done.stderr == "note: 1 objects have no shape: their boxes became their masks\n"
    assert 'rle="0, 9"' in (tmp_path / "o" / "cvat" / "annotations.xml").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "yolo,gif"], "unknown format 'gif'"),
        (["--format", " ,"], "--format yolo,voc"),
        (["--format", "yolo", "--images", "nowhere"], "--images must name a folder"),
    ],
)
def test_wrong_usage_is_told(
    source: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = run(source, "-o", tmp_path / "out", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_empty_is_left_alone(source: Path, tmp_path: Path) -> None:
    old = tmp_path / "out" / "cvat" / "mine.txt"
    old.parent.mkdir(parents=True)
    old.write_text("mine")
    done = run(source, "-o", tmp_path / "out", "--format", "yolo,cvat")
    assert done.exit_code == 2
    assert "not empty" in done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["cvat"]
    assert old.read_text() == "mine"


def test_a_file_that_cannot_be_read_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"images": 3}')
    done = run(tmp_path / "bad.json", "-o", tmp_path / "out", "--format", "yolo")
    assert done.exit_code == 2
    assert "expected a list 'images', got int" in done.stderr
    assert not (tmp_path / "out").exists()


def test_nothing_is_lost_on_the_way(source: Path, tmp_path: Path) -> None:
    from grounded_ram.export.reading import read_dataset

    done = run(source, "-o", tmp_path / "out", "--format", "coco")
    assert done.exit_code == 0, done.output
    again = read_dataset(tmp_path / "out" / "coco" / "annotations.coco.json")
    before, after = truth(read_dataset(source).dataset), truth(again.dataset)
    assert list(before) == list(after)
    assert all(len(before[key]) == len(after[key]) for key in before)
