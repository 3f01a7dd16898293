from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from grounded_ram.annotation import Annotation
from grounded_ram.autolabel.outcomes import Failed, Labelled
from grounded_ram.autolabel.run_folder import Share, begin
from grounded_ram.cli.root import app
from grounded_ram.export.records import encode
from tests.evaluation.picture_files import on_disk
from tests.hand_annotation import rectangle

SIZE = (40, 60)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["report", *arguments])


def outcome(annotation: Annotation, name: str) -> Labelled:
    digest = annotation.image.sha256
    return Labelled(name, digest, len(annotation.detections), encode(annotation))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of three pictures, two of them the same, and one that failed."""
    folder = tmp_path / "street <b>"
    started = begin(folder, {"model": {"preset": "tiny", "box_threshold": 0.45}})
    dog = ("dog", rectangle(SIZE, 5, 5, 20, 20))
    first = on_disk(tmp_path, "a.png", [dog, dog])
    second = on_disk(tmp_path, "b.png", [dog, dog])
    third = on_disk(tmp_path, "c.png", seed=1)
    assert first.image.sha256 == second.image.sha256
    done = [outcome(one, str(one.image.file_name)) for one in (first, second, third)]
    with started.open_part(Share()) as part:
        part.commit([*done, Failed("d.png", "damaged file")])
    return folder


def test_a_run_becomes_one_page(folder: Path) -> None:
    done = run(str(folder))
    assert done.exit_code == 0, done.output
    page = folder / "report.html"
    assert done.stdout.splitlines() == [
        "pictures: 3, objects: 4, to review: 4, failed: 1",
        f"report: {page}",
    ]
    html = page.read_text("utf-8")
    assert "<title>Review of street &lt;b&gt;</title>" in html
    assert "damaged file" in html
    assert "preset tiny" in html
    assert html.count("data:image/jpeg") > 5


def test_json_says_the_same(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "pages" / "mine.HTML"
    done = run(str(folder), "-o", str(page), "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {
        "report": str(page),
        "pictures": 3,
        "objects": 4,
        "failed": 1,
        "duplicates": 1,
        "to_review": 4,
    }
    assert page.is_file()
    assert not (folder / "report.html").exists()


def test_a_page_is_replaced_only_when_asked(folder: Path) -> None:
    page = folder / "report.html"
    page.write_text("mine")
    refused = run(str(folder))
    assert refused.exit_code == 2
    assert "--overwrite" in refused.output
    assert page.read_text() == "mine"
    assert run(str(folder), "--overwrite").exit_code == 0
    assert page.read_text("utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize("name", ["report.txt", "photo.jpg", "folder.html"])
def test_no_other_file_is_written(folder: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.html").mkdir()
    refused = run(str(folder), "-o", str(tmp_path / name), "--overwrite")
    assert refused.exit_code == 2
    assert "-o must name a file that ends in .html" in refused.output


def test_a_folder_that_holds_no_run_is_refused(tmp_path: Path) -> None:
    refused = run(str(tmp_path))
    assert refused.exit_code == 2
    assert "grounded-ram label" in refused.output
    assert list(tmp_path.iterdir()) == []
