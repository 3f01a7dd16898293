from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grounded_ram.app.page import serving


@pytest.mark.parametrize(
    ("host", "name"), [("::1", "[::1]"), ("127.0.0.1", "127.0.0.1"), ("localhost", "localhost")]
)
def test_a_host_of_ipv6_is_in_brackets_where_an_address_is_made_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str, name: str
) -> None:
    class Page:
        def queue(self, **options: Any) -> None:
            pass

        def launch(self, *, server_name: str, **options: Any) -> tuple[None, str, None]:
            return None, f"http://{server_name}:{options['server_port']}/", None

    monkeypatch.setattr(serving, "build_page", lambda *args, **options: Page())
    _, address = serving.open_page(None, tmp_path, host=host, port=7000)  # type: ignore[arg-type]
    assert address == f"http://{name}:7000/"
