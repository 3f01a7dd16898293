import json
from pathlib import Path

import PIL.Image
import pytest
from typer.testing import CliRunner

from grounded_ram import cache
from grounded_ram.cli.models import describe_checkpoint
from grounded_ram.cli.options import own_weights
from grounded_ram.cli.root import app
from grounded_ram.downloads import WeightFile
from grounded_ram.errors import InputError
from grounded_ram.evaluation.examples import Example, SeenTags
from grounded_ram.evaluation.published import check_published
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.presets import PRESETS
from grounded_ram.scenes.scene import make_scene
from grounded_ram.weights import CHECKPOINTS, Checkpoint

NAME = "ram_tag_list.txt"  # a small file among the downloads


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GROUNDED_RAM_HOME", str(tmp_path))
    return tmp_path


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


def test_json_tells_all_that_a_row_tells_of_a_file() -> None:
    file = CHECKPOINTS["ram:swin-l"].files["weights"]
    row = describe_checkpoint(CHECKPOINTS["ram:swin-l"])["files"][0]
    assert row == {
        "role": "weights",
        "name": file.name,
        "sources": [file.source, *file.mirrors],
        "sha256": file.sha256,
        "size_bytes": file.size,
        "here": False,
        "path": None,
    }
    assert len(row["sources"]) == 3


def test_a_preset_says_why_and_what_it_needs() -> None:
    sizes = {row.name: describe_checkpoint(row)["size_bytes"] for row in CHECKPOINTS.values()}
    listed = json.loads(CliRunner().invoke(app, ["models", "--json"]).stdout)
    shown = CliRunner().invoke(app, ["models"]).stdout
    for row in listed["presets"]:
        assert row["reason"] in shown
        assert (f"{row['disk_gb']} GB" if row["disk_gb"] else "in the package") in shown
        assert f"{row['memory_gb']} GB" in shown
        known = [sizes[row[stage]] for stage in ("tagger", "detector", "segmenter")]
        if None not in known:
            assert row["disk_gb"] == pytest.approx(sum(known) / 1e9, abs=0.06)


def test_the_environment_s_preset_is_shown_as_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDED_RAM_PRESET", "best")
    listed = json.loads(CliRunner().invoke(app, ["models", "--json"]).stdout)
    assert [row["name"] for row in listed["presets"] if row["default"]] == ["best"]


def test_in_a_pipe_nothing_is_cut_and_each_row_is_one_line() -> None:
    done = CliRunner().invoke(app, ["models"], env={"COLUMNS": "40"})
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    for row in [*PRESETS.values(), *CHECKPOINTS.values()]:
        assert any(row.name in line and row.summary in line for line in lines), row.name
    assert "\N{HORIZONTAL ELLIPSIS}" not in done.stdout


def test_a_size_that_is_not_known_is_not_made_up() -> None:
    file = WeightFile(name="x.pth", source="https://host.invalid/x.pth")
    row = describe_checkpoint(
        Checkpoint(name="sam:x", summary="", licence="MIT", files={"weights": file})
    )
    assert row["size_bytes"] is None
    assert not row["here"]


def test_verify_finds_what_is_whole_damaged_and_absent(home: Path, shared: Path) -> None:
    whole = (shared / "assets" / NAME).read_bytes()
    (home / NAME).write_bytes(whole)
    (home / "ram_tag_list_threshold.txt").write_bytes(b"damaged")
    done = CliRunner().invoke(app, ["models", "verify", "ram:swin-l", "--json"])
    assert done.exit_code == 1
    files = {row["role"]: row for row in json.loads(done.stdout)["files"]}
    states = {role: row["state"] for role, row in files.items()}
    assert states == {
        "weights": "absent",
        "tags": "whole",
        "thresholds": "damaged",
        "config": "whole",
    }
    assert files["tags"]["path"] == str(home / NAME)
    assert files["tags"]["sha256"] == files["tags"]["expected_sha256"]
    assert files["thresholds"]["sha256"] != files["thresholds"]["expected_sha256"]
    assert "grounded-ram download ram:swin-l" in done.stderr


def test_verify_believes_no_note(home: Path) -> None:
    file = CHECKPOINTS["ram:swin-l"].files["tags"]
    (home / NAME).write_bytes(bytes(file.size or 0))
    assert file.sha256 is not None
    cache.note_sha256(home / NAME, file.sha256)
    assert describe_checkpoint(CHECKPOINTS["ram:swin-l"])["files"][1]["here"]
    done = CliRunner().invoke(app, ["models", "verify", "ram:swin-l"])
    assert done.exit_code == 1
    (line,) = [line for line in done.stdout.splitlines() if f" {NAME} " in line]
    assert "damaged" in line
    assert str(home / NAME) in line
    assert not describe_checkpoint(CHECKPOINTS["ram:swin-l"])["files"][1]["here"]


def test_verify_takes_presets_and_means_all_where_none_is_named(home: Path) -> None:
    done = CliRunner().invoke(app, ["models", "verify", "tiny", "--json"])
    assert done.exit_code == 0
    assert {row["state"] for row in json.loads(done.stdout)["files"]} == {"whole"}
    every = CliRunner().invoke(app, ["models", "verify", "--json"])
    assert every.exit_code == 0  # absent is not damaged
    named = {row["checkpoint"] for row in json.loads(every.stdout)["files"]}
    assert named == set(CHECKPOINTS)


def test_verify_run_says_what_nobody_published(home: Path) -> None:
    done = CliRunner().invoke(app, ["models", "verify", "tiny", "--run"])
    assert done.exit_code == 0
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("nobody published")]
    assert line.endswith("ram:tiny, grounding-dino:tiny, sam:tiny")
    assert "results" not in json.loads(
        CliRunner().invoke(app, ["models", "verify", "tiny", "--json"]).stdout
    )


@pytest.mark.parametrize(
    ("surplus", "result", "code"), [((), "agrees", 0), (("red",), "differs", 1)]
)
def test_verify_run_compares_with_what_was_published(
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    surplus: tuple[str, ...],
    result: str,
    code: int,
) -> None:
    path = tmp_path / "scene.png"
    PIL.Image.fromarray(make_scene(3).image).save(path)
    names = GroundedRAM("tiny", device="cpu").annotate(path).tags.names
    example = Example(
        checkpoint="ram:tiny",
        image=str(path),
        expected=SeenTags(names=tuple(set(names) ^ set(surplus)), tolerance=0.0001),
        source="this test",
    )
    monkeypatch.setitem(check_published.__kwdefaults__, "examples", (example,))
    done = CliRunner().invoke(app, ["models", "verify", "ram:tiny", "--run", "--json"])
    assert done.exit_code == code
    (row,) = json.loads(done.stdout)["results"]
    assert row["result"] == result
    assert ("red" in row["why"]) == bool(surplus)


def test_verify_of_an_unknown_name_is_wrong_usage() -> None:
    done = CliRunner().invoke(app, ["models", "verify", "tini"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "'tini'" in done.stderr


def test_files_of_the_user_s_own_are_named_by_stage() -> None:
    assert own_weights(None) == {}
    assert own_weights(["tagger=a=b.pth", "detector.vocab=v.txt"]) == {
        "tagger": "a=b.pth",
        "detector.vocab": "v.txt",
    }


@pytest.mark.parametrize("text", ["ram.pth", "tagger=", "=ram.pth"])
def test_a_file_for_no_stage_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="STAGE=PATH"):
        own_weights([text])
