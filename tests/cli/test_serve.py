import sys
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from grounded_ram.app.server import serving
from grounded_ram.cli.root import app


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Applications that would have been served."""
    seen: list[Any] = []

    def serve(application: Any, sock: Any, on_listening: Any) -> bool:
        seen.append(application)
        on_listening(serving.url_of(sock))
        return len(seen) == 1  # the first is answered whole

    monkeypatch.setattr(serving, "serve", serve)
    return seen


def run(*arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(
        app, ["serve", "--preset", "tiny", "--port", "0", *arguments], **options
    )


def test_it_says_where_it_listens_and_that_all_is_answered(served: list[Any]) -> None:
    done = run()
    assert done.exit_code == 0, done.output
    assert "listening on http://127.0.0.1:" in done.stderr
    assert done.stderr.splitlines()[-1] == "stopped; all that was accepted is answered"
    assert "anybody" not in done.stderr
    done = run()
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == "stopped; some requests were not answered in time"


def test_what_is_typed_reaches_the_server(served: list[Any]) -> None:
    typed = "--max-queue 3 --batch-size 2 --timeout 7 --max-bytes 99 --max-pixels 88 --allow-urls"
    typed += " --max-tags 300"
    done = run(*typed.split(), "--box-threshold", "0.25", env={"GROUNDED_RAM_API_KEY": "abc"})
    assert done.exit_code == 0, done.output
    service = served[0].state.service
    settings = service.settings
    assert (settings.max_queue, settings.timeout_s, settings.max_bytes) == (3, 7.0, 99)
    assert (settings.max_pixels, settings.allow_urls, settings.api_key) == (88, True, "abc")
    assert settings.max_tags == 300
    assert set(settings.allowed_hosts) == {"localhost", "127.0.0.1", "::1"}
    assert (service.model.batch_size, service.model.preset.box_threshold) == (2, 0.25)
    assert "abc" not in done.output


def test_label_studio_is_answered_and_finds_the_machine_by_its_name(served: list[Any]) -> None:
    studio = ("--label-studio", "http://localhost:8080", "--label-studio-key", "abc")
    done = run(*studio, "--called", "Host.Docker.Internal")
    assert done.exit_code == 0, done.output
    assert {"/setup", "/predict", "/webhook"} <= set(served[0].openapi()["paths"])
    assert "host.docker.internal" in served[0].state.service.settings.allowed_hosts
    alone = run(*studio[:2])
    assert alone.exit_code == 2
    assert "--label-studio and --label-studio-key together" in alone.stderr
    key_alone = run(env={"LABEL_STUDIO_API_KEY": "abc"})
    assert key_alone.exit_code == 2
    assert "LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY" in " ".join(key_alone.stderr.split())


def test_a_server_for_everybody_is_told_to_want_a_key(served: list[Any]) -> None:
    done = run("--host", "0.0.0.0")
    assert "note: anybody who reaches this machine may ask" in done.stderr
    assert served[0].state.service.settings.allowed_hosts is None
    assert "anybody" not in run("--host", "0.0.0.0", "--api-key", "abc").stderr


@pytest.mark.parametrize("key", ["", "a b", "ü"])
def test_a_key_that_no_header_can_hold_is_wrong_usage(served: list[Any], key: str) -> None:
    done = run("--api-key", key)
    assert done.exit_code == 2
    assert "API key" in done.stderr
    assert served == []


def test_a_taken_port_is_wrong_usage(served: list[Any]) -> None:
    with serving.open_socket("127.0.0.1", 0) as sock:
        sock.listen()
        done = run("--port", str(sock.getsockname()[1]))
    assert done.exit_code == 2
    assert "choose another with --port" in done.stderr


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grounded_ram.app.server.api", None)
    done = run()
    assert done.exit_code == 1
    assert "pip install 'grounded-ram[serve]'" in done.stderr
