import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from grounded_ram import transfer
from grounded_ram.cli.root import app
from grounded_ram.downloads import WeightFile
from grounded_ram.weights import CHECKPOINTS, Checkpoint
from tests.file_host import CONTENT, Answer, Host, serve

DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A server that has the weights of "ram:far", whose licence forbids a use."""
    for name in ("GROUNDED_RAM_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("GROUNDED_RAM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(transfer, "PATIENCE", transfer.Patience(attempts=2, first_wait=0.01))
    with serve(Host()) as host:
        row = Checkpoint(
            name="ram:far",
            summary="far",
            licence="Mine",
            terms="not for war",
            files={
                "weights": WeightFile(
                    name="far.pth",
                    source=f"{host.address}/ram.pth",
                    sha256=DIGEST,
                    size=len(CONTENT),
                )
            },
        )
        monkeypatch.setitem(CHECKPOINTS, row.name, row)
        yield host


def test_weights_in_the_package_are_here() -> None:
    done = CliRunner().invoke(app, ["download", "tiny", "sam:tiny"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "ram:tiny: here, whole",
        "grounding-dino:tiny: here, whole",
        "sam:tiny: here, whole",
    ]


def test_what_is_absent_comes_once(host: Host) -> None:
    done = CliRunner().invoke(app, ["download", "ram:far"])
    assert (done.exit_code, done.stdout) == (0, "ram:far: here now, whole\n")
    assert done.stderr.splitlines() == [
        "ram:far: getting 307.2 kB, licence: Mine",
        "note: ram:far (Mine): not for war",
    ]
    again = CliRunner().invoke(app, ["download", "ram:far"])
    assert (again.exit_code, again.stdout, again.stderr) == (0, "ram:far: here, whole\n", "")
    assert len(host.asked) == 1


def test_a_broken_connection_is_told_in_passing(host: Host) -> None:
    host.answers = [Answer(cut=65_536)]
    done = CliRunner().invoke(app, ["download", "ram:far"])
    assert done.exit_code == 0
    assert re.search(r"note: http\S+: the connection broke off after 65,536 bytes", done.stderr)
    assert done.stdout == "ram:far: here now, whole\n"


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


@pytest.mark.parametrize("name", ["tini", "sam:vit-x", "sam:a/b/c"])
def test_an_unknown_name_is_wrong_usage(name: str) -> None:
    done = CliRunner().invoke(app, ["download", "tiny", name])
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{name!r}" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_a_bar_is_drawn(host: Host, tmp_path: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    code = (
        "from grounded_ram.cli import terminal\n"
        "from grounded_ram.downloads import WeightFile, download\n"
        f"file = {CHECKPOINTS['ram:far'].files['weights']!r}\n"
        "with terminal.downloading() as draw:\n    print(draw is not None, download(file, "
        "on_progress=draw))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        timeout=120,
    )
    os.close(theirs)
    drawn = os.read(ours, 100_000).decode()
    os.close(ours)
    assert done.stdout == f"True {tmp_path / 'home' / 'far.pth'}\n"
    assert "far.pth" in drawn
    assert "307.2/307.2 kB" in drawn
