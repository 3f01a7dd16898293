"""What lies where on the tab of one picture; nothing is connected yet."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import gradio as gr

from grounded_ram.app.page.desk import Desk
from grounded_ram.app.page.downloads import DOWNLOADS
from grounded_ram.app.page.examples import examples_html
from grounded_ram.app.page.session import Session
from grounded_ram.app.page.sliders import Sliders

Held: TypeAlias = weakref.ref[Session] | None
"""What a user's page holds of a session, which the desk alone keeps in memory."""

SESSION_S = 6 * 3600
"""How long a picture is kept for a user who does nothing."""

EMPTY = "#Drop a picture, or pick an example\nYou can also paste one, or take one with the camera"

STAGE = (
    '<div class="frame" style="aspect-ratio:${width}/${height};'
    'inline-size:min(100%, var(--most, 72vh) * ${width} / ${height})">'
    '<img src="${picture}" alt="The picture">${value}</div>'
)
SWITCH_SCRIPT = """
element.addEventListener("click", (event) => {
  const chip = event.target.closest("[data-tag]");
  if (chip) {
    const on = chip.getAttribute("aria-pressed") !== "true";
    chip.setAttribute("aria-pressed", String(on));
    trigger("toggle", {tag: chip.dataset.tag, on: on});
  }
});
"""
PICK_SCRIPT = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-example]");
  if (button) {
    trigger("pick", {index: Number(button.dataset.example)});
  }
});
"""


@dataclass(frozen=True)
class Stage:
    """The picture and how it comes: the left side."""

    image: gr.Image
    whole: gr.HTML
    again: gr.Button
    examples: gr.HTML


@dataclass(frozen=True)
class Panel:
    """What the user decides: the right side."""

    column: gr.Column
    tags: gr.HTML
    words: gr.Textbox
    find: gr.Button
    sliders: Sliders
    files: Sequence[gr.Button]
    fetch: gr.DownloadButton


@dataclass(frozen=True)
class Parts:
    """The components that events read and write."""

    session: gr.State
    message: gr.HTML
    stage: Stage
    panel: Panel
    findings: gr.HTML

    @property
    def shown(self) -> list[Any]:
        """What every event may change."""
        stage, panel = self.stage, self.panel
        return [
            *(self.session, self.message, stage.image, stage.whole, stage.again),
            *(panel.column, panel.tags, self.findings),
        ]


def lay_out(desk: Desk) -> Parts:
    """Put the components of the tab where the page is being laid out."""

    def close(held: Held) -> None:
        desk.clear(session_of(held))

    session = gr.State(None, time_to_live=SESSION_S, delete_callback=close)
    message = html("message", visible=False)
    with gr.Row(equal_height=False, elem_id="desk"):
        stage, panel = _stage(desk), _panel(desk)
    return Parts(session, message, stage, panel, html("findings", visible=False))


def html(name: str, value: str = "", **given: Any) -> gr.HTML:
    """Return a component of the page's own HTML, in its own style."""
    return gr.HTML(
        value, **{"js_on_load": None, "apply_default_css": False, "elem_id": name, **given}
    )


def whole_of(picture: str, size_hw: tuple[int, int]) -> dict[str, Any]:
    """Return all properties of the stage: gradio forgets those that an update leaves out."""
    return {"picture": picture, "height": size_hw[0], "width": size_hw[1]}


def _stage(desk: Desk) -> Stage:
    with gr.Column(scale=7, min_width=320, elem_id="left"):
        return Stage(
            gr.Image(
                sources=["upload", "clipboard", "webcam"],
                type="filepath",
                image_mode=None,  # the file as it is: our own reader turns and checks it
                label="Picture",
                show_label=False,
                buttons=[],
                height="min(50vh, 28rem)",
                placeholder=EMPTY,
                elem_id="drop",
            ),
            html("stage", html_template=STAGE, visible=False, **whole_of("data:,", (1, 1))),
            gr.Button("Another picture", visible=False, size="md", elem_id="again"),
            html("examples", examples_html(desk.examples), js_on_load=PICK_SCRIPT),
        )


def _panel(desk: Desk) -> Panel:
    with gr.Column(scale=4, min_width=320, visible=False, elem_id="panel") as column:
        tags = html("tags", js_on_load=SWITCH_SCRIPT)
        with gr.Row(elem_id="own", equal_height=True):
            words = gr.Textbox(
                show_label=False,
                label="Words of your own",
                placeholder="Words of your own: red car, tree",
                max_lines=1,
                container=False,
                scale=5,
                min_width=120,
                elem_id="words",
            )
            find = gr.Button("Find", scale=1, min_width=72, elem_id="find")
        sliders = Sliders.lay_out(desk.preset)
        html("files-title", "Download")
        with gr.Row(elem_id="files"):
            files = [
                gr.Button(name, size="md", min_width=70, elem_id=f"file-{name.lower()}")
                for name in DOWNLOADS
            ]
        fetch = gr.DownloadButton("Download", visible="hidden", elem_id="fetch")
    return Panel(column, tags, words, find, sliders, files, fetch)


def session_of(held: Held) -> Session | None:
    """Return the session that a user's page refers to; None once it is gone."""
    return None if held is None else held()
