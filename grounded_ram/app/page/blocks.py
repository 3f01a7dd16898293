"""The page itself, and what happens when something is touched."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup

from grounded_ram.app.page.batch import batch_tab
from grounded_ram.app.page.desk import Desk, Reply
from grounded_ram.app.page.downloads import DOWNLOADS
from grounded_ram.app.page.events import LIGHT
from grounded_ram.app.page.layout import Held, Parts, html, lay_out, session_of, whole_of
from grounded_ram.app.page.sliders import settings_of
from grounded_ram.app.page.stage import findings_html, stage_html
from grounded_ram.app.page.tags import switches, tags_html
from grounded_ram.app.page.templates import asset, render
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.runtime import dtype_name

TITLE = "grounded-ram"

HEAVY = "model"
"""Events of this name run networks, one at a time."""

FILES_S = 3600
"""How long downloads are kept, and how often old ones are removed, in seconds."""

FETCH_SCRIPT = """
() => {
  const link = document.querySelector("#fetch a, a#fetch");
  (link || document.querySelector("#fetch button, button#fetch")).click();
}
"""


def build_page(model: GroundedRAM, folder: Path, *, folders: bool) -> gr.Blocks:
    """Return the page for a model.

    Args:
        model: labels the pictures.
        folders: whether users may name folders of this machine, and so see what lies in them.
        folder: where the pictures of users lie while they look at them; each has a folder of its
            own in it, that is removed later. The caller removes what is left in the end.
    """
    desk = Desk(model, folder)
    page = gr.Blocks(
        title=TITLE, analytics_enabled=False, fill_width=True, delete_cache=(FILES_S, FILES_S)
    )
    with page:
        html("header", _header(model))
        with gr.Tab("Picture"):
            parts = lay_out(desk)
        if folders:
            with gr.Tab("Folder"):
                batch_tab(model, gate=desk.gate)
        _connect(parts, desk)
    return page


def _header(model: GroundedRAM) -> str:
    row = model.preset
    return render(
        "header.html",
        icon=Markup(asset("favicon.svg")),  # ours
        preset=row.name,
        device=f"{model.device}, {dtype_name(model.dtype)}",
        caution=f"{row.caution[:1].upper()}{row.caution[1:]}." if row.caution else "",
    )


def _connect(parts: Parts, desk: Desk) -> None:
    """Say what happens when something is touched."""
    _connect_pictures(parts, desk)
    _connect_panel(parts, desk)
    _connect_files(parts, desk)


def _connect_pictures(parts: Parts, desk: Desk) -> None:
    session, sliders, stage, shown = (
        parts.session,
        parts.panel.sliders.all,
        parts.stage,
        parts.shown,
    )
    heavy = _heavy(parts)

    def upload(now: Held, payload: dict[str, Any] | None, *values: float) -> list[Any]:
        settings = settings_of(desk.preset, values)
        return _written(desk.upload(session_of(now), payload, settings))

    def pick(event: gr.EventData, now: Held, *values: float) -> list[Any]:
        settings = settings_of(desk.preset, values)
        return _written(desk.pick(session_of(now), int(event.index), settings))

    def clear(now: Held) -> list[Any]:
        return _written(desk.clear(session_of(now)))

    stage.image.input(upload, [session, stage.image, *sliders], shown, preprocess=False, **heavy)
    stage.examples.pick(pick, [session, *sliders], shown, **heavy)
    stage.again.click(clear, [session], shown, **LIGHT)


def _connect_panel(parts: Parts, desk: Desk) -> None:
    session, panel, shown = parts.session, parts.panel, parts.shown
    sliders, heavy = panel.sliders, _heavy(parts)

    def toggle(event: gr.EventData, now: Held) -> list[Any]:
        return _written(desk.toggle(session_of(now), str(event.tag), on=bool(event.on)))

    def add(now: Held, text: str) -> list[Any]:
        reply = desk.add(session_of(now), text)
        return [*_written(reply), text if reply.title else ""]

    def slide(now: Held, *values: float) -> list[Any]:
        return _written(desk.change(session_of(now), settings_of(desk.preset, values)))

    panel.tags.toggle(toggle, [session], shown, trigger_mode="multiple", **LIGHT)
    gr.on(
        [panel.words.submit, panel.find.click],
        add,
        [session, panel.words],
        [*shown, panel.words],
        **heavy,
    )
    for slider in sliders.all:
        # More tags may need the networks; all else is decided at once.
        how = {**heavy, "show_progress": "minimal"} if slider is sliders.tag else LIGHT
        slider.change(slide, [session, *sliders.all], shown, trigger_mode="always_last", **how)
    sliders.reset.click(lambda: sliders.begin, None, sliders.all, **LIGHT)


def _connect_files(parts: Parts, desk: Desk) -> None:
    """Let each button write its file, and then have the browser fetch it."""

    def writer(name: str) -> Callable[[Held], list[Any]]:
        def write(now: Held) -> list[Any]:
            reply, path = desk.write(session_of(now), name)
            shown = [gr.skip(), _message(reply), *(gr.skip() for _ in parts.shown[2:])]
            if reply.session is None:
                shown = _written(reply)
            return [*shown, None if path is None else str(path)]

        return write

    given, changed = [parts.session], [*parts.shown, parts.panel.fetch]
    for button, name in zip(parts.panel.files, DOWNLOADS, strict=True):
        written = button.click(writer(name), given, changed, **LIGHT)
        written.success(None, None, None, js=FETCH_SCRIPT, **LIGHT)


def _heavy(parts: Parts) -> dict[str, Any]:
    """Return how events run that need networks: one at a time, over the picture."""
    return {
        "api_visibility": "private",
        "show_progress": "full",
        "show_progress_on": [parts.stage.image, parts.stage.whole],
        "concurrency_id": HEAVY,
        "concurrency_limit": 1,
    }


def _written(reply: Reply) -> list[Any]:
    """Return the changes of ``Parts.shown`` that a reply makes."""
    session = reply.session
    if session is None:
        return [
            None,
            _message(reply),
            gr.Image(value=None, visible=True),
            gr.HTML("", visible=False, **whole_of("data:,", (1, 1))),
            gr.Button(visible=False),
            gr.Column(visible=False),
            gr.HTML(""),
            gr.HTML("", visible=False),
        ]
    annotation = session.annotation
    whole = whole_of(session.picture, annotation.image.size_hw)
    groups = switches(session.exploration.tags, session.words, session.on, annotation)
    return [
        weakref.ref(session),
        _message(reply),
        gr.Image(value=None, visible=False),
        gr.HTML(stage_html(annotation), visible=True, **whole),
        gr.Button(visible=True),
        gr.Column(visible=True),
        gr.HTML(tags_html(groups)),
        gr.HTML(findings_html(annotation, session.below), visible=True),
    ]


def _message(reply: Reply) -> gr.HTML:
    if not reply.title:
        return gr.HTML("", visible=False)
    return gr.HTML(render("message.html", title=reply.title, text=reply.text), visible=True)
