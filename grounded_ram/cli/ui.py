"""``grounded-ram ui``: the web page, on this machine."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grounded_ram.cli import terminal
from grounded_ram.cli.options import (
    BoxThreshold,
    Device,
    OwnVocabulary,
    OwnWeights,
    PresetName,
    RuleSettings,
    TagThreshold,
    adjusted,
    own_weights,
)
from grounded_ram.errors import InputError, MissingDependencyError
from grounded_ram.presets import resolve_preset

if TYPE_CHECKING:
    from grounded_ram.pipeline import GroundedRAM


def ui(
    *,
    preset: PresetName = None,
    host: Annotated[
        str, typer.Option("--host", help="Who may come in: 127.0.0.1 is this machine alone.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            min=0,
            max=65535,
            help="Without it, or with 0, a free one.",
            show_default=False,
        ),
    ] = None,
    tag_threshold: TagThreshold = None,
    box_threshold: BoxThreshold = None,
    rules: RuleSettings = None,
    vocabulary: OwnVocabulary = None,
    weights: OwnWeights = None,
    device: Device = "auto",
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address, and open no browser.")
    ] = False,
) -> None:
    """Open a web page to label pictures by hand and eye; it needs no network.

    Pictures stay on this machine, and are removed when the page ends. Ctrl-C ends it.
    """
    host = host.removeprefix("[").removesuffix("]")  # as addresses of IPv6 are typed in browsers
    row = adjusted(resolve_preset(preset), tag_threshold, box_threshold, rules)
    own = own_weights(weights)
    if port:
        _check_port(host, port)
    _prepare_environment(host)
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            "the page needs gradio; try: pip install 'grounded-ram[ui]'"
        ) from error
    from grounded_ram.pipeline import GroundedRAM

    model = GroundedRAM(row, weights=own, vocabulary=vocabulary, device=device)
    terminal.caution(row)
    with terminal.downloading() as on_progress:
        model.fetch_weights(on_progress=on_progress)
    with (
        _ended_by_sigterm(),
        tempfile.TemporaryDirectory(prefix="grounded-ram-ui-", ignore_cleanup_errors=True) as made,
    ):
        os.environ["GRADIO_TEMP_DIR"] = str(Path(made) / "files")  # so that they go, too
        _serve(model, Path(made), host, port or None, browser=not no_browser)


def _prepare_environment(host: str) -> None:
    """Say to gradio, which reads it all from there, what it must not do; before it is imported."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # or it tells its makers of every start
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    # It asks its own address whether it is up, and must not ask a proxy for that.
    direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, [direct, "127.0.0.1", "localhost", host]))


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the page as Ctrl-C does: pictures of users go, what was begun is finished."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _check_port(host: str, port: int) -> None:
    """Make sure that the page can be served there, before minutes of loading.

    Raises:
        InputError: it cannot.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        try:
            tried.bind((host, port))
        except OSError as error:
            raise InputError(
                f"--port: cannot listen at {host}, port {port}: {error.strerror}; choose another "
                "port, or leave --port out for a free one"
            ) from error


def _serve(model: GroundedRAM, folder: Path, host: str, port: int | None, *, browser: bool) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    from grounded_ram.app.hosts import is_loopback
    from grounded_ram.app.page.serving import open_page

    if not is_loopback(host):
        terminal.say(
            f"note: {host} lets others in, and the page asks nobody who they are; "
            "without --host it is for this machine alone"
        )
    page = None
    try:
        page, address = open_page(model, folder, host=host, port=port, browser=browser)
        terminal.show(f"The page is at {address}; Ctrl-C ends it.")
        threading.Event().wait()
    except KeyboardInterrupt:
        terminal.say("The page is closed.")
    finally:
        if page is not None:
            page.close(verbose=False)
