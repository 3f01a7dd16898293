"""The batch tab of the page: label a folder, look at what was found, decide on it, export it.

It reads and writes folders of the machine that the page runs on, whatever a visitor names. So it
belongs on pages that listen to this machine alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from grounded_ram.app.page.batch_cards import message_html, progress_html
from grounded_ram.app.page.batch_export import Export
from grounded_ram.app.page.batch_gallery import (
    Gallery,
    choices_of,
    failure_changes,
    page_changes,
)
from grounded_ram.app.page.batch_job import folder_of
from grounded_ram.app.page.batch_review import Desk, Review, changes, failed, labels_of, reading
from grounded_ram.app.page.batch_run import EVERYTHING
from grounded_ram.app.page.batch_runs import Opened, Runs
from grounded_ram.app.page.events import LIGHT, SHOWN
from grounded_ram.app.page.templates import asset
from grounded_ram.pipeline import GroundedRAM

RUN_FOLDER = "grounded-ram-run"
"""Where a run goes unless something else is said: as `grounded-ram label` does it."""

EVERY_S = 0.7
"""Seconds between two looks at a job."""


@dataclass(frozen=True)
class _Start:
    """The components that name pictures and a run, and say how far a job is."""

    pictures: gr.Textbox
    folder: gr.Textbox
    words: gr.Textbox
    label: gr.Button
    retry: gr.Checkbox
    stop: gr.Button
    open: gr.Button
    message: gr.HTML
    progress: gr.HTML
    timer: gr.Timer


def batch_tab(
    model: GroundedRAM, *, gate: threading.Lock, pictures: str = "", folder: str = RUN_FOLDER
) -> None:
    """Build the tab inside an open ``gr.Blocks``.

    Call it for a page that binds to loopback alone: visitors name folders of this machine.

    Args:
        model: what labels the pictures.
        gate: held while it labels a batch.
        pictures: the text box of pictures begins with.
        folder: likewise, the one of the run.
    """
    runs = Runs(model, gate)
    gr.HTML(f"<style>{asset('batch.css')}</style>", js_on_load=None, elem_id="batch-style")
    opened = gr.State(None)
    start = _lay_out_start(pictures, folder)
    with gr.Tabs(elem_id="batch-views"):
        with gr.Tab("Gallery", elem_id="batch-gallery") as gallery_tab:
            gallery = Gallery.lay_out()
        with gr.Tab("Review", elem_id="batch-review"):
            review = Review.lay_out()
        with gr.Tab("Export", elem_id="batch-exports"):
            export = Export.lay_out()
    _connect_start(start, runs, opened)
    gallery.connect(runs, opened)
    review.connect(runs, opened)
    export.connect(runs, opened)
    _connect_opening(runs, opened, gallery, review)
    # What was decided meanwhile is drawn when somebody looks again.
    where = [opened, gallery.label, gallery.number]
    gallery_tab.select(
        lambda at, what, number: _again(runs, at, what, number),
        where,
        [gallery.label, *gallery.shown],
        **LIGHT,
    )


def _lay_out_start(pictures: str, folder: str) -> _Start:
    """Make the components at the top."""
    with gr.Group(elem_id="batch-start"), gr.Row(equal_height=True):
        names = gr.Textbox(
            pictures,
            label="Pictures",
            placeholder="photos",
            info="A folder, a pattern, an archive, a video; one a line.",
            lines=1,
            max_lines=4,
            scale=5,
            min_width=280,
            elem_id="batch-pictures",
        )
        run = gr.Textbox(
            folder,
            label="Run folder",
            info="Labels and decisions go there.",
            max_lines=1,
            scale=4,
            min_width=280,
            elem_id="batch-folder",
        )
        words = gr.Textbox(
            label="Look for (optional)",
            placeholder="car, tree, red door",
            info="Instead of what the tagger sees.",
            max_lines=1,
            scale=3,
            min_width=200,
            elem_id="batch-words",
        )
    with gr.Row(elem_id="batch-actions"):
        label = gr.Button("Label", variant="primary", min_width=110, elem_id="batch-label")
        stop = gr.Button("Stop", interactive=False, min_width=90, elem_id="batch-stop")
        retry = gr.Checkbox(
            label="Try failed pictures again", container=False, min_width=200, elem_id="batch-retry"
        )
        reopen = gr.Button("Open run", min_width=110, elem_id="batch-open")
    message = gr.HTML(js_on_load=None, visible=False, elem_id="batch-message")
    progress = gr.HTML(js_on_load=None, apply_default_css=False, elem_id="batch-progress")
    timer = gr.Timer(EVERY_S, active=False)
    return _Start(names, run, words, label, retry, stop, reopen, message, progress, timer)


def _connect_start(start: _Start, runs: Runs, opened: gr.State) -> None:
    """Let the buttons at the top begin and stop a job and open a run."""
    watched = [start.message, start.progress, start.label, start.stop, start.timer]

    def begin(pictures: str, folder: str, words: str, retry: bool) -> list[Any]:
        try:
            runs.begin(pictures, folder, words, retry_failed=retry)
        except SHOWN as error:
            return [_message("Cannot label this", str(error)), *(gr.skip() for _ in range(4))]
        return [_message(), *_watch(runs)]

    def stop() -> list[Any]:
        if runs.job is not None:
            runs.job.stop()
        return [gr.skip(), *_watch(runs)]

    def poll() -> list[Any]:
        """Look at the job; once it has ended, open its run."""
        job = runs.job
        changes = [gr.skip(), *_watch(runs)]
        if job is None or job.progress.at_work:
            return [*changes, gr.skip()]
        return _open(lambda: runs.open_ended(job), changes)

    asked = [start.pictures, start.folder, start.words, start.retry]
    start.label.click(begin, asked, watched, **LIGHT)
    start.stop.click(stop, None, watched, **LIGHT)
    start.timer.tick(poll, None, [*watched, opened], **LIGHT)
    gr.on(None, poll, None, [*watched, opened], **LIGHT)  # a page that is loaded
    gr.on(
        [start.open.click, start.folder.submit],
        lambda folder: _open_named(runs, folder),
        [start.folder],
        [*watched, opened],
        **LIGHT,
    )


def _open_named(runs: Runs, text: str) -> list[Any]:
    """Open the run that was typed."""
    changes = [_message(), *(gr.skip() for _ in range(4))]
    return _open(lambda: runs.open(folder_of(text)), changes)


def _open(opening: Callable[[], Opened], changes: list[Any]) -> list[Any]:
    """Add the run that was opened to changes, or say why it was not."""
    try:
        return [*changes, opening()]
    except SHOWN as error:
        return [_message("Cannot open this", str(error)), *changes[1:], gr.skip()]


def _watch(runs: Runs) -> list[Any]:
    """Return what the job looks like now: progress, Label, Stop, timer."""
    if runs.job is None:
        return [gr.skip(), gr.Button(interactive=True), gr.Button(interactive=False), gr.skip()]
    now = runs.job.progress
    return [
        gr.HTML(progress_html(now, runs.job.run.folder)),
        gr.Button("Go on" if now.state == "stopped" else "Label", interactive=not now.at_work),
        gr.Button(interactive=now.at_work and now.state != "stopping"),
        gr.Timer(active=now.at_work),
    ]


def _message(title: str = "", text: str = "") -> gr.HTML:
    return gr.HTML(message_html(title, text) if title else "", visible=bool(title))


def _connect_opening(runs: Runs, opened: gr.State, gallery: Gallery, review: Review) -> None:
    """Show a run that was opened: its first pictures at once, then its labels and its queue."""

    def show(at: Opened | None) -> list[Any]:
        try:
            failures = failure_changes(runs.of(at))
        except SHOWN:
            failures = failure_changes(None)
        return [*page_changes(runs, at, EVERYTHING, 1), *failures]

    def read(
        at: Opened | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  # gradio finds it there
    ) -> list[Any]:
        try:
            run = runs.of(at)
            if run is not None:
                run.read(reading(progress))
            shown = changes(run, Desk())
        except SHOWN as error:
            run, shown = None, failed(error)
        labels = gr.Dropdown(choices_of(run), value=EVERYTHING)
        return [labels, gr.Dropdown(labels_of(run), value=""), *shown]

    first = opened.change(
        show, [opened], [*gallery.shown, gallery.failures, gallery.failed], **LIGHT
    )
    how = {**LIGHT, "show_progress": "full", "show_progress_on": [review.counts, gallery.label]}
    first.then(read, [opened], [gallery.label, review.label, *review.shown], **how)


def _again(runs: Runs, at: Opened | None, what: str, number: float | None) -> list[Any]:
    """Show the same page of the gallery as it is now."""
    try:
        run = runs.of(at)
    except SHOWN:
        run = None
    choices = choices_of(run)
    what = what if what in dict((value, text) for text, value in choices) else EVERYTHING
    return [gr.Dropdown(choices, value=what), *page_changes(runs, at, what, int(number or 1))]
