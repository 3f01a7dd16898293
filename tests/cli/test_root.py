import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from grounded_ram.cli.root import COMMANDS, Commands, app
from grounded_ram.errors import InputError, UnknownNameError, WeightsError

REPOSITORY = Path(__file__).parents[2]


def command(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the real command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "grounded_ram", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_help_names_every_command() -> None:
    shown = CliRunner().invoke(app, ["--help"])
    assert shown.exit_code == 0
    missing = [name for name in COMMANDS if name.replace("_", "-") not in shown.output]
    assert missing == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    shown = CliRunner().invoke(app, [name.replace("_", "-"), "--help"])
    assert shown.exit_code == 0
    assert "Usage" in shown.output


def test_the_version_is_the_package_s(tmp_path: Path) -> None:
    import grounded_ram

    done = command("--version", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"grounded-ram {grounded_ram.__version__}\n"


def test_help_loads_no_large_library() -> None:
    code = (
        "import sys, json; import grounded_ram.cli; "
        "print(json.dumps(sorted(name.split('.')[0] for name in sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout))
    assert "typer" in loaded
    assert loaded & {"torch", "cv2", "supervision", "transformers", "PIL", "groundingdino"} == set()


def test_wrong_usage_is_one_line_and_code_2(tmp_path: Path) -> None:
    done = command("annotate", "a.png", "--preset", "tini", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: unknown preset 'tini'; did you mean 'tiny'?")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["annotate"], ["anotate", "a.png"], ["annotate", "--nix"]])
def test_what_typer_refuses_is_code_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("bad [bold] input"), 2),
        (UnknownNameError("no such name"), 2),
        (WeightsError("absent:\n  ram.pth"), 1),
        (PermissionError("not yours"), 1),
    ],
)
def test_errors_we_mean_are_said_without_a_traceback(error: Exception, code: int) -> None:
    import typer

    small = typer.Typer(cls=Commands)

    @small.callback()
    def root() -> None: ...

    @small.command()
    def fail() -> None:
        raise error

    done = CliRunner().invoke(small, ["fail"])
    assert done.exit_code == code
    assert done.stderr == f"error: {error}\n"
    assert done.stdout == ""


def test_an_error_we_do_not_mean_is_not_hidden() -> None:
    import typer

    small = typer.Typer(cls=Commands)

    @small.callback()
    def root() -> None: ...

    @small.command()
    def fail() -> None:
        raise ZeroDivisionError

    assert isinstance(CliRunner().invoke(small, ["fail"]).exception, ZeroDivisionError)
