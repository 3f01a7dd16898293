import inspect
import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from grounded_ram.cli.calibrate import calibrate
from grounded_ram.evaluation.calibration import LEAST
from grounded_ram.export.coco import to_coco
from grounded_ram.export.dataset import Dataset
from grounded_ram.vocabulary.edits import Edits, read_edits
from tests.evaluation.test_calibration import CARS, sample

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(calibrate)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A run, its truth, and where the vocabulary goes."""
    found, _ = sample(tmp_path, {"car": CARS, "dog": CARS[:3]})
    assert isinstance(found, Dataset)
    path = tmp_path / "run.json"
    path.write_text(json.dumps(to_coco(list(found))))
    return path, tmp_path / "truth.json", tmp_path / "new" / "vocabulary.yaml"


def test_a_vocabulary_is_written_that_can_be_used(files: tuple[Path, Path, Path]) -> None:
    found, truth, output = files
    done = run(found, "--truth", truth, "-o", output, "--precision", 0.9, "--least", 8, "--json")
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert read_edits(output) == Edits(box_thresholds={"car": 0.65, "dog": 0.65})
    car, dog = report["labels"]
    assert (car["label"], car["threshold"], car["from"], car["set"]) == ("car", 0.65, "own", True)
    assert (car["before"]["precision"], car["after"]["precision"]) == (0.6, 1)
    assert (dog["from"], dog["interval"]) == ("pooled", [None, None])
    assert report["all"]["label"] is None
    assert report["vocabulary"] == str(output)


def test_the_table_says_what_to_type_next(files: tuple[Path, Path, Path]) -> None:
    found, truth, output = files
    done = run(found, "--truth", truth, "-o", output, "--least", 8)
    assert done.exit_code == 0, done.stderr
    assert "│ car          │ 10      │ 0.60      │ 0.60   │ 0.65" in done.stdout
    assert "all together" in done.stdout
    assert f"--vocabulary {output}" in done.stdout


def test_no_file_is_written_over_unless_asked(files: tuple[Path, Path, Path]) -> None:
    found, truth, output = files
    output.parent.mkdir()
    output.write_text("mine")
    again = run(found, "--truth", truth, "-o", output)
    assert "replace it with --overwrite" in str(again.exception)
    assert output.read_text() == "mine"
    assert run(found, "--truth", truth, "-o", output, "--overwrite").exit_code == 0
    assert "box_thresholds" in output.read_text()
    for file in (found, truth):
        before = file.read_bytes()
        done = run(found, "--truth", truth, "-o", file, "--overwrite")
        assert "is what is read" in str(done.exception)
        assert file.read_bytes() == before
    assert "is a folder" in str(run(found, "--truth", truth, "-o", output.parent).exception)


def test_the_least_objects_are_those_of_the_library() -> None:
    assert inspect.signature(calibrate).parameters["least"].default == LEAST
