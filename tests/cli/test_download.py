import pytest
from typer.testing import CliRunner

from grounded_ram.cli.root import app


def test_weights_in_the_package_are_here() -> None:
    done = CliRunner().invoke(app, ["download", "tiny", "sam:tiny"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "ram:tiny: here, whole",
        "grounding-dino:tiny: here, whole",
        "sam:tiny: here, whole",
    ]


def test_what_cannot_be_had_is_named_and_the_rest_is_tried() -> None:
    done = CliRunner().invoke(app, ["download", "sam:vit-h", "grounding-dino:swin-t", "sam:tiny"])
    assert done.exit_code == 1
    assert "sam_vit_h_4b8939.pth" in done.stderr
    assert "groundingdino_swint_ogc.pth" in done.stderr
    assert "2.6 GB" in done.stderr
    assert done.stdout == "sam:tiny: here, whole\n"


def test_nothing_named_means_the_default_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDED_RAM_PRESET", "tiny")
    done = CliRunner().invoke(app, ["download"])
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 3


@pytest.mark.parametrize("name", ["tini", "sam:vit-x"])
def test_an_unknown_name_is_wrong_usage(name: str) -> None:
    done = CliRunner().invoke(app, ["download", "tiny", name])
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{name!r}" in done.stderr
