import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from typer.testing import CliRunner, Result

from grounded_ram.autolabel.discovery import Row
from grounded_ram.cli import discover
from grounded_ram.cli.examples import GAP, NAME_WIDTH, ROWS_A_COLUMN, SIDE, draw_examples
from grounded_ram.cli.root import app
from grounded_ram.errors import InputError
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.scenes.scene import make_scene
from grounded_ram.vocabulary.edits import Edits, read_edits

REPOSITORY = Path(__file__).parents[2]
SEEDS = (5, 8, 11)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with three scenes in a folder of their own."""
    for seed in SEEDS:
        path = tmp_path / "photos" / f"scene-{seed}.png"
        path.parent.mkdir(exist_ok=True)
        PIL.Image.fromarray(make_scene(seed).image).save(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, preset: str = "tiny") -> Result:
    return CliRunner().invoke(app, ["vocabulary", "discover", *arguments, "--preset", preset])


def test_a_folder_becomes_a_table_and_a_file_to_label_with(folder: Path) -> None:
    done = run("photos")
    assert done.exit_code == 0, done.output
    assert "looked for" in done.stdout
    assert "pictures: 3, labels: " in done.stdout
    assert "vocabulary: vocabulary.yaml\n" in done.stdout
    assert {path.name for path in folder.iterdir()} == {"photos", "vocabulary.yaml"}

    classes = read_edits(Path("vocabulary.yaml")).classes
    plain, ours = GroundedRAM("tiny"), GroundedRAM("tiny", vocabulary="vocabulary.yaml")
    for path in sorted(Path("photos").iterdir()):
        names = ours.annotate(path).detections.data["class_name"].tolist()
        assert names == plain.annotate(path).detections.data["class_name"].tolist()
        assert set(names) <= set(classes)
    assert len(classes) > 3


def test_edits_of_the_file_change_the_labels(folder: Path) -> None:
    assert run("photos").exit_code == 0
    path = Path("vocabulary.yaml")
    first, second, third = sorted(_found(read_edits(path)))[:3]
    lines = path.read_text("utf-8").splitlines()
    kept = [line for line in lines if not line.startswith((f"  {second}:", f"  {third}:"))]
    text = "\n".join(kept).replace(f"  {first}: [{first}]", f"  mine: [{first}, {second}]")
    path.write_text(text, encoding="utf-8")
    edits = read_edits(path)
    assert edits.classes["mine"] == (first, second)
    names = _found(edits)
    assert "mine" in names
    assert names <= set(edits.classes)
    assert not {first, second, third} & names


def _found(edits: Edits) -> set[str]:
    """Return the labels of all objects in all pictures."""
    done = GroundedRAM("tiny", vocabulary=edits).annotate_batch(sorted(Path("photos").iterdir()))
    return {name for one in done for name in one.detections.data["class_name"].tolist()}


def test_json_is_all_of_stdout_and_agrees_with_the_pictures(folder: Path) -> None:
    done = run("photos", "--json", "-o", "deep/mine.yaml")
    assert done.exit_code == 0
    report = json.loads(done.stdout)
    assert (report["preset"], report["pictures"], report["failed"]) == ("tiny", 3, [])
    assert report["vocabulary"] == str(Path("deep/mine.yaml"))
    pictures = [f"photos/scene-{seed}.png" for seed in SEEDS]
    seen = GroundedRAM("tiny").tag_batch(pictures)
    counts = {row["label"]: row["pictures"] for row in report["labels"]}
    names = [name for tags in seen for name in tags.names]
    assert counts == {name: names.count(name) for name in names}
    asked = [row["label"] for row in report["labels"] if row["looked_for"]]
    assert list(read_edits(Path("deep/mine.yaml")).classes) == asked
    kinds = {row["label"]: row["kind"] for row in report["labels"]}
    assert kinds == {n: k for tags in seen for n, k in zip(tags.names, tags.kinds, strict=True)}
    best = {n: float(s) for tags in seen for n, s in zip(tags.names, tags.scores, strict=True)}
    once = [row for row in report["labels"] if row["pictures"] == 1]
    assert once
    for row in once:
        assert row["best_score"] == row["mean_score"] == pytest.approx(best[row["label"]], abs=1e-6)
        (name,) = row["examples"]
        others = seen[pictures.index(f"photos/{name}")].names
        assert {other["label"] for other in row["comes_with"]} <= set(others) - {row["label"]}


def test_a_file_that_is_there_is_replaced_only_if_that_is_said(folder: Path) -> None:
    Path("vocabulary.yaml").write_text("block: [dog]\n")
    refused = run("photos")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "'vocabulary.yaml' is there" in refused.stderr
    assert "--overwrite" in refused.stderr
    assert Path("vocabulary.yaml").read_text() == "block: [dog]\n"
    assert run("photos", "--overwrite").exit_code == 0
    assert read_edits(Path("vocabulary.yaml")).classes
    Path("sheet.png").write_bytes(b"")
    assert run("photos", "-o", "other.yaml", "--sheet", "sheet.png").exit_code == 2


def test_one_bad_picture_does_not_stop_the_others(folder: Path) -> None:
    Path("photos/fake.jpg").write_text("no picture")
    done = run("photos", "nix.png", "--json")
    assert done.exit_code == 1
    report = json.loads(done.stdout)
    assert report["pictures"] == 3
    failed = {failure["input"]: failure["error"] for failure in report["failed"]}
    assert set(failed) == {"nix.png", str(Path("photos/fake.jpg"))}
    assert "of the batch" not in failed[str(Path("photos/fake.jpg"))]
    assert Path("vocabulary.yaml").is_file()
    plain = run("photos", "-o", "again.yaml")
    assert plain.exit_code == 1
    assert "failed: " in plain.stderr


def test_where_nothing_can_be_done_nothing_is_written(folder: Path) -> None:
    Path("fake.jpg").write_text("no picture")
    done = run("fake.jpg", "nix.png", "--json", "--sheet", "sheet.png")
    assert done.exit_code == 1
    report = json.loads(done.stdout)
    assert (report["pictures"], report["labels"], len(report["failed"])) == (0, [], 2)
    assert "vocabulary" not in report
    assert {path.name for path in folder.iterdir()} == {"photos", "fake.jpg"}


def test_pictures_without_tags_are_done(folder: Path) -> None:
    done = run("photos", "--tag-threshold", "1")
    assert done.exit_code == 0
    assert "pictures: 3, labels: 0, looked for: 0, failed: 0" in done.stdout
    with pytest.raises(InputError, match="names no class"):
        read_edits(Path("vocabulary.yaml"))


def test_neither_a_picture_nor_the_other_file_is_written_over(folder: Path) -> None:
    picture = next(Path("photos").rglob("*.png"))
    before = picture.read_bytes()
    for options in (["--sheet", str(picture)], ["-o", str(picture)]):
        done = run("photos", *options, "--overwrite")
        assert done.exit_code == 2
        assert "is one of the pictures" in done.stderr
    done = run("photos", "-o", "same.png", "--sheet", "same.png")
    assert (done.exit_code, Path("same.png").exists()) == (2, False)
    assert picture.read_bytes() == before


def test_labels_of_few_pictures_are_comments(folder: Path) -> None:
    report = json.loads(run("photos", "--least", "2", "--json").stdout)
    asked = [row for row in report["labels"] if row["looked_for"]]
    often = [row["label"] for row in asked if row["pictures"] >= 2]
    assert list(read_edits(Path("vocabulary.yaml")).classes) == often
    text = Path("vocabulary.yaml").read_text("utf-8")
    rare = [row["label"] for row in asked if row["label"] not in often]
    assert rare
    assert all(f"  # {label}: [{label}]" in text for label in rare)


def test_edits_to_start_from_count_and_come_along(folder: Path) -> None:
    label = next(iter(_labels("first.yaml")))
    Path("mine.yaml").write_text(f"block: [{label}]\n")
    assert label not in _labels("second.yaml", "--vocabulary", "mine.yaml")
    assert read_edits(Path("second.yaml")).block == (label,)
    done = run("photos", "-o", "third.yaml", "--vocabulary", "first.yaml")
    assert done.exit_code == 2
    assert "first.yaml: it lists classes" in done.stderr
    assert not Path("third.yaml").exists()


def _labels(file: str, *arguments: str) -> dict[str, tuple[str, ...]]:
    done = run("photos", "-o", file, *arguments)
    assert done.exit_code == 0, done.output
    return dict(read_edits(Path(file)).classes)


def test_a_long_table_is_cut(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discover, "MOST_LINES", 2)
    done = run("photos")
    report = json.loads(run("photos", "--json", "--overwrite").stdout)
    assert f"... and {len(report['labels']) - 2} more labels" in done.stdout
    assert sum("scene-" in line for line in done.stdout.splitlines()) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["-o", "photos", "--overwrite"],
        ["--sheet", "sheet.gif"],
        ["--sheet", "photos"],
        ["--least", "0"],
        ["--tag-threshold", "2"],
        ["--device", "toaster"],
        ["--weights", "tagger=nix.pth"],
        ["--vocabulary", "nix.yaml"],
    ],
)
def test_wrong_usage_is_code_2_and_writes_nothing(folder: Path, arguments: list[str]) -> None:
    before = sorted(folder.rglob("*"))
    done = run("photos", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr
    assert sorted(folder.rglob("*")) == before


def test_only_the_tagger_s_weights_are_missed_and_before_any_picture(folder: Path) -> None:
    Path("fake.jpg").write_text("no picture")
    done = run("fake.jpg", preset="fast")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "`grounded-ram download ram:swin-l`" in done.stderr
    assert not Path("vocabulary.yaml").exists()


def test_no_detector_and_no_segmenter_is_loaded(folder: Path) -> None:
    code = (
        "import sys; from grounded_ram.cli.root import app; "
        "app(['vocabulary', 'discover', 'photos/scene-5.png', '--preset', 'tiny', '--json'], "
        "standalone_mode=False); "
        "print(*(m for m in sys.modules if m.startswith(('grounded_ram.detection', "
        "'grounded_ram.segmentation', 'groundingdino'))), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    assert json.loads(done.stdout)["pictures"] == 1
    assert done.stderr.splitlines()[-1].strip() == ""


def row(label: str, *examples: str, looked_for: bool = True) -> Row:
    return Row(label, "object", looked_for, 3, 0.5, 0.75, (), examples)


def test_the_sheet_shows_examples_of_what_is_looked_for(folder: Path) -> None:
    assert run("photos", "--sheet", "sheet.png").exit_code == 0
    with PIL.Image.open("sheet.png") as sheet:
        assert sheet.width > NAME_WIDTH + SIDE
    PIL.Image.new("RGB", (200, 100), (255, 0, 0)).save("wide.png")
    sources = {"wide": "wide.png", "gone": "gone.png"}
    rows = [row("hot dog", "wide", "gone"), row("beach", "wide", looked_for=False), row("car")]
    drawn = draw_examples(rows, sources)
    assert drawn.height == 2 * (SIDE + GAP) + GAP
    pixels = np.asarray(drawn)
    x, y = GAP + NAME_WIDTH, GAP
    red = (pixels == (255, 0, 0)).all(-1)
    rows_set, cols_set = np.flatnonzero(red.any(1)), np.flatnonzero(red.any(0))
    assert (cols_set[0], cols_set[-1] + 1) == (x, x + SIDE)
    assert (rows_set[0], rows_set[-1] + 1) == (y + SIDE // 4, y + SIDE // 4 + SIDE // 2)
    grey = pixels[y : y + SIDE, x + SIDE + GAP : x + 2 * SIDE + GAP]
    assert (grey == 220).all()
    assert (pixels[y : y + SIDE, GAP : GAP + NAME_WIDTH // 2] < 50).any()


def test_the_sheet_holds_the_first_rows_in_two_columns() -> None:
    one, many = (draw_examples([row("dog")] * n, {}) for n in (1, 50))
    assert many.height == ROWS_A_COLUMN * (SIDE + GAP) + GAP
    assert many.width - GAP == 2 * (one.width - GAP)
    assert min(draw_examples([], {}).size) > 0
