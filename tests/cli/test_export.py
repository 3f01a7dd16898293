"""What ``export`` says and writes of a run that a person has reviewed."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from grounded_ram.autolabel.run_folder import Run, Share, begin
from grounded_ram.cli.root import app
from tests.autolabel.test_run_folder import CONFIG, labelled


def export(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["export", *map(str, arguments), "--pictures", "none"])


def objects(file: Path) -> int:
    return len(json.loads(file.read_text("utf-8"))["annotations"])


def test_a_review_is_exported_and_told_unless_it_is_left_out(tmp_path: Path) -> None:
    run = begin(tmp_path / "run", CONFIG)
    with run.open_part(Share()) as part:
        part.commit([labelled("a.jpg"), labelled("b.jpg", seed=1)])
    plain = export(run.folder)
    assert plain.exit_code == 0, plain.output
    assert "reviewed" not in plain.output
    file = run.folder / "coco" / "annotations.coco.json"
    assert objects(file) == 2

    run.reviews().decide(Run(run.folder).annotation("a.jpg"), 0, "reject")
    reviewed = export(run.folder)
    assert "pictures: 2, objects: 1" in reviewed.output
    assert f"reviewed: 1 decisions of {run.folder / 'review.jsonl'}" in reviewed.output
    assert objects(file) == 1

    raw = export(run.folder, "--as-labelled")
    assert "reviewed" not in raw.output
    assert objects(file) == 2
