from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from grounded_ram.app.page import serving
from grounded_ram.cli.root import app
from grounded_ram.presets import PRESETS

VARIABLES = (
    *("GRADIO_ANALYTICS_ENABLED", "GRADIO_TEMP_DIR", "HF_HUB_DISABLE_TELEMETRY"),
    *("no_proxy", "NO_PROXY"),
)


class FakePage:
    """A page that only notes how it was opened, and whether it was closed."""

    def __init__(self) -> None:
        self.model: Any = None
        self.folder = Path()
        self.options: dict[str, Any] = {}
        self.files = ""
        self.closed = False

    def open(self, model: Any, folder: Path, **options: Any) -> tuple[FakePage, str]:
        self.model, self.folder, self.options = model, folder, options
        self.files = os.environ["GRADIO_TEMP_DIR"]
        assert folder.is_dir()
        return self, "http://127.0.0.1:1234/"

    def close(self, *, verbose: bool) -> None:
        self.closed = True


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> FakePage:
    """Stands in for the page; Ctrl-C comes at once."""
    made = FakePage()
    for name in VARIABLES:
        monkeypatch.setenv(name, "")  # so that it is as before afterwards
    monkeypatch.setattr(serving, "open_page", made.open)

    monkeypatch.setattr("grounded_ram.cli.ui.threading", type("T", (), {"Event": _Interrupted}))
    return made


class _Interrupted:
    def wait(self) -> None:
        raise KeyboardInterrupt


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["ui", "--preset", "tiny", "--device", "cpu", *arguments])


def test_it_serves_this_machine_alone_until_ctrl_c_and_leaves_nothing(page: FakePage) -> None:
    done = run()
    assert done.exit_code == 0, done.output
    assert page.options == {"host": "127.0.0.1", "port": None, "browser": True}
    assert done.stdout == "The page is at http://127.0.0.1:1234/; Ctrl-C ends it.\n"
    assert PRESETS["tiny"].caution in done.stderr
    assert page.closed
    assert not page.folder.exists()
    assert Path(page.files).parent == page.folder
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"


def test_options_reach_the_model_and_the_page(page: FakePage) -> None:
    options = ("--box-threshold", "0.6", "--tag-threshold", "0.7", "--rule", "least_pixels=9")
    assert run(*options, "--no-browser", "--port", "0").exit_code == 0
    row = page.model.preset
    assert (row.box_threshold, row.tag_threshold, row.rules.least_pixels) == (0.6, 0.7, 9)
    assert page.options == {"host": "127.0.0.1", "port": None, "browser": False}


def test_the_page_is_never_asked_for_through_a_proxy(
    page: FakePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "inner.example")
    assert run().exit_code == 0
    for name in ("no_proxy", "NO_PROXY"):
        assert os.environ[name].split(",")[:2] == ["inner.example", "127.0.0.1"]


def test_another_host_is_used_and_said(page: FakePage) -> None:
    done = run("--host", "0.0.0.0", "--port", "7000", "--no-browser")
    assert page.options == {"host": "0.0.0.0", "port": 7000, "browser": False}
    assert "lets others in" in done.stderr


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_a_host_of_ipv6_may_have_brackets(page: FakePage, host: str) -> None:
    done = run("--host", host)
    assert done.exit_code == 0, done.output
    assert page.options["host"] == "::1"
    assert "lets others in" not in done.stderr


def test_sigterm_ends_the_page_as_ctrl_c_does(
    page: FakePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminated:
        def wait(self) -> None:
            signal.raise_signal(signal.SIGTERM)
            raise AssertionError("still there")

    monkeypatch.setattr("grounded_ram.cli.ui.threading", type("T", (), {"Event": Terminated}))
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        done = run()
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
    assert done.exit_code == 0, done.output
    assert "The page is closed." in done.stderr
    assert page.closed
    assert not page.folder.exists()


def test_ctrl_c_as_soon_as_the_page_is_open_closes_it(
    page: FakePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(text: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("grounded_ram.cli.ui.terminal.show", interrupt)
    assert run().exit_code == 0
    assert page.closed
    assert not page.folder.exists()


def test_a_taken_port_is_told_before_anything_is_loaded(page: FakePage) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run("--port", port, "--no-browser")
    assert done.exit_code == 2
    assert f"port {port}: Address already in use; choose another port" in done.stderr
    assert page.model is None


def test_without_gradio_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
    monkeypatch.setitem(sys.modules, "gradio", None)
    done = run()
    assert done.exit_code == 1
    assert "pip install 'grounded-ram[ui]'" in done.stderr


def test_a_wrong_threshold_is_told_before_anything_is_loaded() -> None:
    assert run("--rule", "nonsense=1").exit_code == 2


def test_help_loads_neither_gradio_nor_torch() -> None:
    code = (
        "import sys; from grounded_ram.cli.root import app\n"
        "try: app(['ui', '--help'])\n"
        "finally: assert not {'gradio', 'torch'} & set(sys.modules), 'heavy'"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--no-browser" in done.stdout
