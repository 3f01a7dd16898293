import json

import pytest
from typer.testing import CliRunner

from grounded_ram.cli.models import describe_checkpoint, size_text
from grounded_ram.cli.root import app
from grounded_ram.downloads import WeightFile
from grounded_ram.presets import PRESETS
from grounded_ram.weights import CHECKPOINTS, Checkpoint


def test_json_lists_every_preset_and_checkpoint() -> None:
    done = CliRunner().invoke(app, ["models", "--json"])
    assert done.exit_code == 0
    listed = json.loads(done.stdout)
    presets = {row["name"]: row for row in listed["presets"]}
    checkpoints = {row["name"]: row for row in listed["checkpoints"]}
    assert list(presets) == list(PRESETS)
    assert list(checkpoints) == list(CHECKPOINTS)
    assert presets["tiny"]["here"]
    assert not presets["standard"]["here"]
    assert checkpoints["sam:vit-h"]["size_bytes"] > 2_564_550_879
    assert [name for name, row in presets.items() if row["default"]] == ["standard"]


def test_the_environment_s_preset_is_shown_as_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDED_RAM_PRESET", "best")
    listed = json.loads(CliRunner().invoke(app, ["models", "--json"]).stdout)
    assert [row["name"] for row in listed["presets"] if row["default"]] == ["best"]


def test_the_table_names_them_for_people() -> None:
    done = CliRunner().invoke(app, ["models"], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    for name in [*PRESETS, *CHECKPOINTS]:
        assert name in done.stdout
    assert "Apache-2.0" in done.stdout


def test_a_size_that_is_not_known_is_not_made_up() -> None:
    file = WeightFile(name="x.pth", source="https://host.invalid/x.pth")
    row = describe_checkpoint(
        Checkpoint(name="sam:x", summary="", licence="MIT", files={"weights": file})
    )
    assert row["size_bytes"] is None
    assert not row["here"]
    assert size_text(row) == "unknown"


@pytest.mark.parametrize(("size", "text"), [(8_900_000, "8.9 MB"), (2_564_550_879, "2.6 GB")])
def test_sizes_are_written_for_people(size: int, text: str) -> None:
    assert size_text({"size_bytes": size}) == text
