"""The gallery of the batch tab: a page of a run's pictures, by label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from grounded_ram.app.page.batch_cards import failures_html, gallery_html, large_html, message_html
from grounded_ram.app.page.batch_run import EVERYTHING, WITHOUT, OpenRun, page_of
from grounded_ram.app.page.batch_runs import Opened, Runs
from grounded_ram.app.page.events import LIGHT, SHOWN

PAGE = 24
"""Pictures on a page."""

PICK_SCRIPT = """
element.addEventListener("click", (event) => {
  const card = event.target.closest("[data-picture]");
  if (card) {
    trigger("select", {picture: card.dataset.picture});
  }
});
"""
CLOSE_SCRIPT = """
element.addEventListener("click", (event) => {
  if (event.target.closest("[data-close]")) {
    trigger("clear");
  }
});
const see = () => element.querySelector("figure")?.scrollIntoView({block: "nearest"});
watch("value", see);
see();
"""


@dataclass(frozen=True)
class Gallery:
    """The components of the gallery."""

    label: gr.Dropdown
    number: gr.Number
    info: gr.HTML
    back: gr.Button
    on: gr.Button
    large: gr.HTML
    cards: gr.HTML
    failures: gr.HTML
    failed: gr.Accordion

    @property
    def shown(self) -> list[Any]:
        """What ``show`` changes, in its order."""
        return [self.number, self.info, self.back, self.on, self.large, self.cards]

    @classmethod
    def lay_out(cls) -> Gallery:
        """Make the components where the page is being built."""
        with gr.Row(equal_height=True, elem_classes="b-tools"):
            label = gr.Dropdown(
                choices_of(None), value=EVERYTHING, label="Show", scale=3, min_width=200
            )
            back = gr.Button("Back", scale=1, min_width=70, elem_id="batch-back")
            number = gr.Number(1, label="Page", precision=0, minimum=1, scale=1, min_width=90)
            on = gr.Button("Next", scale=1, min_width=70, elem_id="batch-on")
            info = gr.HTML(js_on_load=None, elem_classes="b-info")
        large = gr.HTML(js_on_load=CLOSE_SCRIPT, visible=False, elem_id="batch-large")
        cards = gr.HTML(js_on_load=PICK_SCRIPT, apply_default_css=False, elem_id="batch-cards")
        with gr.Accordion("Failed pictures", open=False, visible=False) as failed:
            failures = gr.HTML(js_on_load=None, apply_default_css=False, elem_id="batch-failures")
        return cls(label, number, info, back, on, large, cards, failures, failed)

    def connect(self, runs: Runs, opened: gr.State) -> None:
        """Say what happens when something is touched."""

        def show(at: Opened | None, what: str, number: float | None) -> list[Any]:
            return page_changes(runs, at, what, int(number or 1))

        def pick(event: gr.EventData, at: Opened | None) -> Any:
            return _large(runs, at, str(event.picture))

        where = [opened, self.label, self.number]
        self.label.input(lambda at, what: show(at, what, 1), where[:2], self.shown, **LIGHT)
        self.number.submit(show, where, self.shown, **LIGHT)
        step = {"inputs": where, "outputs": self.shown, **LIGHT}
        self.back.click(lambda at, what, number: show(at, what, (number or 1) - 1), **step)
        self.on.click(lambda at, what, number: show(at, what, (number or 1) + 1), **step)
        self.cards.select(pick, [opened], [self.large], **LIGHT)
        self.large.clear(lambda: gr.HTML("", visible=False), None, [self.large], **LIGHT)


def page_changes(runs: Runs, opened: Opened | None, what: str, number: int) -> list[Any]:
    """Return the changes of ``Gallery.shown`` that show a page; those of others are not drawn."""
    closed = gr.HTML("", visible=False)
    try:
        run = runs.of(opened)
        if run is None:
            return [gr.Number(1), gr.HTML(""), *_steps(1, 1), closed, gr.HTML("")]
        page = page_of(run.chosen(what), number, PAGE)
        cards = gallery_html(run, page)
    except SHOWN as error:
        cards = message_html("This run cannot be shown", str(error))
        return [gr.skip(), gr.HTML(""), *_steps(1, 1), closed, gr.HTML(cards)]
    plural = "" if page.total == 1 else "s"
    info = f"<p>of {page.pages:,}<br>{page.total:,} picture{plural}</p>"
    steps = _steps(page.number, page.pages)
    return [gr.Number(page.number), gr.HTML(info), *steps, closed, gr.HTML(cards)]


def failure_changes(run: OpenRun | None) -> list[Any]:
    """Return the changes of the list of failures, and of what it lies in."""
    failures = [] if run is None else run.failures
    title = f"{len(failures):,} failed picture{'' if len(failures) == 1 else 's'}"
    return [gr.HTML(failures_html(failures)), gr.Accordion(title, visible=bool(failures))]


def choices_of(run: OpenRun | None) -> list[tuple[str, str]]:
    """Return what a gallery can show: how it is called, and what ``OpenRun.chosen`` calls it."""
    if run is None:
        return [("All pictures", EVERYTHING)]
    labels = [(f"{label} ({count:,})", label) for label, count in run.labels.items()]
    without = [(f"Pictures without an object ({run.without:,})", WITHOUT)] if run.without else []
    return [(f"All pictures ({len(run.names):,})", EVERYTHING), *without, *labels]


def _steps(number: int, pages: int) -> list[Any]:
    return [gr.Button(interactive=number > 1), gr.Button(interactive=number < pages)]


def _large(runs: Runs, opened: Opened | None, name: str) -> Any:
    try:
        run = runs.of(opened)
        html = "" if run is None else large_html(run, name)
    except SHOWN as error:
        html = message_html("This picture cannot be shown", str(error))
    return gr.HTML(html, visible=bool(html))
