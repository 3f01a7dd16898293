"""The page on a port: how it looks, and what it never does, which is to load or tell anything."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from grounded_ram.app.hosts import LOOPBACK, is_loopback
from grounded_ram.app.page.blocks import build_page
from grounded_ram.app.page.templates import asset
from grounded_ram.images import MAX_DOWNLOAD_BYTES
from grounded_ram.pipeline import GroundedRAM

FONTS = (
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "Roboto",
    "Helvetica Neue",
    "Arial",
    "sans-serif",
)
MONO = ("ui-monospace", "SFMono-Regular", "Consolas", "monospace")

ACCENT = gr.themes.Color(
    name="grounded",
    c50="#eef8fa",
    c100="#d6eef2",
    c200="#b0dee6",
    c300="#7fc9d6",
    c400="#5cc8d9",
    c500="#15899d",
    c600="#0b7285",
    c700="#0a5d6d",
    c800="#0a4b58",
    c900="#0b3d47",
    c950="#06262d",
)
"""The one colour of the page."""

MARGINS = """
.gradio-container .main.app { max-width: 1320px; margin-inline: auto; }
@media (max-width: 40rem) { .gradio-container .main.app { padding: 1rem; } }
"""
"""Of the whole page, which gradio keeps the page's other style away from."""


def open_page(
    model: GroundedRAM,
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    browser: bool = False,
) -> tuple[gr.Blocks, str]:
    """Serve the page from threads of its own, and return at once.

    Args:
        model: labels the pictures.
        folder: for pictures and downloads of users, in the system's folder of temporary files, as
            gradio hands out no others; the caller removes it in the end.
        host: whom to listen to; another than the machine itself lets others in, who then label
            no folders.
        port: None means a free one.
        browser: open the page in a browser.

    Returns:
        The page, whose ``close`` ends it, and its address.

    Raises:
        OSError: the port is taken.
    """
    icon = folder / "favicon.svg"
    icon.write_text(asset("favicon.svg"), "utf-8")
    alone = is_loopback(host)
    page = build_page(model, folder, folders=alone)
    page.queue(api_open=False, default_concurrency_limit=4, max_size=64)
    _, address, _ = page.launch(
        **_looks(),
        server_name=f"[{host}]" if ":" in host else host,  # as addresses have it
        server_port=port or _free_port(host),
        inbrowser=browser,
        favicon_path=str(icon),
        prevent_thread_lock=True,
        share=False,
        quiet=True,
        show_error=False,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        max_file_size=MAX_DOWNLOAD_BYTES,
        app_kwargs={"middleware": [_known_hosts(host)] if alone else []},
    )
    return page, address


def _free_port(host: str) -> int:
    """Return a port that nobody has; gradio would try a hundred, and leave each socket open."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as tried:
        tried.bind((host, 0))
        return int(tried.getsockname()[1])


def _known_hosts(host: str) -> Middleware:
    """Refuse requests under any other name: a page of somebody else's may lead its own name here.

    So it could read what lies in the folders of this machine.
    """
    # Older releases of starlette cut "[::1]:7860" off at its first colon.
    return Middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, "[::1]", "[", host])


def _looks() -> dict[str, Any]:
    return {
        "theme": _theme(),
        "css": asset("page.css"),
        "head": f"<style>{MARGINS}</style><script>{asset('page.js')}</script>",
    }


def _theme() -> gr.themes.Base:
    theme = gr.themes.Base(
        primary_hue=ACCENT,
        secondary_hue=ACCENT,
        neutral_hue="slate",
        radius_size="md",
        text_size="md",
        font=FONTS,
        font_mono=MONO,
    )
    return theme.set(
        body_background_fill="#f5f7f9",
        body_background_fill_dark="#0f151b",
        body_text_color="#16202b",
        body_text_color_dark="#e8edf2",
        block_background_fill="#ffffff",
        block_background_fill_dark="#182029",
        block_border_width="1px",
        block_border_color="#dde3e9",
        block_border_color_dark="#2c3742",
        block_shadow="none",
        button_border_width="1px",
        button_large_radius="8px",
        button_medium_radius="8px",
        button_small_radius="8px",
        button_secondary_background_fill="#ffffff",
        button_secondary_background_fill_dark="#182029",
        button_secondary_border_color="#c6d0d9",
        button_secondary_border_color_dark="#3a4754",
        slider_color="#0b7285",
        slider_color_dark="#5cc8d9",
    )
