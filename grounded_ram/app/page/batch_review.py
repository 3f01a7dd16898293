"""The review queue of the batch tab: one object at a time, and what a person says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from grounded_ram.app.page.batch_cards import (
    counts_html,
    facts_html,
    finished_html,
    message_html,
    names_html,
    object_html,
)
from grounded_ram.app.page.batch_queue import QueueItem, next_undecided
from grounded_ram.app.page.batch_run import OpenRun
from grounded_ram.app.page.batch_runs import Opened, Runs
from grounded_ram.app.page.events import LIGHT, SHOWN
from grounded_ram.app.page.templates import asset
from grounded_ram.autolabel.reviewing import Choice
from grounded_ram.vocabulary.table import official_vocabulary

NAME_SCRIPT = """
element.addEventListener("click", (event) => {
  const chip = event.target.closest("[data-name]");
  if (chip) {
    trigger("select", {name: chip.dataset.name});
  }
});
"""

ELSEWHERE = "another run was opened meanwhile; this is its queue"
"""What is said of a decision that would hit another run than the one that is shown."""


@dataclass(frozen=True)
class Desk:
    """What a visitor sees: decisions are about that, whatever became of the queue meanwhile.

    Args:
        folder: of the run that it is of.
        item: the object that is shown; None where there is none.
        done: what was decided here, for Undo, the last one last.
    """

    folder: Path | None = None
    item: QueueItem | None = None
    done: tuple[QueueItem, ...] = ()


@dataclass(frozen=True)
class Review:
    """The components of the review."""

    desk: gr.State
    label: gr.Dropdown
    more: gr.Button
    counts: gr.HTML
    message: gr.HTML
    body: gr.Row
    picture: gr.HTML
    facts: gr.HTML
    accept: gr.Button
    reject: gr.Button
    skip: gr.Button
    undo: gr.Button
    to: gr.Textbox
    rename: gr.Button
    names: gr.HTML

    @property
    def shown(self) -> list[Any]:
        """What ``changes`` changes, in its order."""
        return [
            *(self.desk, self.counts, self.message, self.body, self.picture, self.facts),
            *(self.undo, self.to, self.names),
            *(self.accept, self.reject, self.skip, self.rename),
        ]

    @classmethod
    def lay_out(cls) -> Review:
        """Make the components where the page is being built."""
        desk = gr.State(Desk())
        with gr.Row(equal_height=True, elem_classes="b-tools"):
            label = gr.Dropdown(
                [("All labels", "")], value="", label="Review", scale=3, min_width=200
            )
            more = gr.Button("Look for more", scale=1, min_width=140, elem_id="batch-more")
        counts = gr.HTML(js_on_load=None, apply_default_css=False, elem_id="batch-counts")
        message = gr.HTML(js_on_load=None, visible=False, elem_id="batch-review-message")
        with gr.Row(visible=False, equal_height=False, elem_id="batch-desk") as body:
            with gr.Column(scale=7, min_width=320):
                picture = gr.HTML(js_on_load=None, apply_default_css=False, elem_id="batch-object")
            with gr.Column(scale=4, min_width=320):
                facts = gr.HTML(js_on_load=None, apply_default_css=False, elem_id="batch-facts")
                with gr.Row(elem_classes="b-buttons"):
                    accept = _button("Accept", "accept", "a", "primary")
                    reject = _button("Reject", "reject", "r", "stop")
                with gr.Row(elem_classes="b-buttons"):
                    skip, undo = _button("Skip", "skip", "s"), _button("Undo", "undo", "u")
                with gr.Row(equal_height=True, elem_classes="b-buttons"):
                    to = gr.Textbox(
                        label="Another name",
                        placeholder="Another name (n)",
                        show_label=False,
                        container=False,
                        max_lines=1,
                        scale=3,
                        min_width=160,
                        elem_id="batch-to",
                    )
                    rename = _button("Rename", "rename")
                names = gr.HTML(js_on_load=NAME_SCRIPT, apply_default_css=False, elem_id="b-names")
        gr.HTML(_all_names(), js_on_load=asset("batch.js"), elem_id="batch-all-names")
        return cls(
            *(desk, label, more, counts, message, body, picture, facts),
            *(accept, reject, skip, undo, to, rename, names),
        )

    def connect(self, runs: Runs, opened: gr.State) -> None:
        """Say what happens when something is touched."""

        def decide(choice: Choice) -> Callable[..., list[Any]]:
            return lambda at, desk, to="": _decide(runs, at, desk, choice, to)

        def rename(event: gr.EventData, at: Opened | None, desk: Desk) -> list[Any]:
            return _decide(runs, at, desk, "rename", str(event.name))

        here: dict[str, Any] = {"inputs": [opened, self.desk], "outputs": self.shown, **LIGHT}
        self.accept.click(decide("accept"), **here)
        self.reject.click(decide("reject"), **here)
        self.skip.click(lambda at, desk: _skip(runs, at, desk), **here)
        self.undo.click(lambda at, desk: _undo(runs, at, desk), **here)
        self.names.select(rename, **here)
        typed = {**here, "inputs": [opened, self.desk, self.to]}
        gr.on([self.rename.click, self.to.submit], decide("rename"), **typed)
        self._connect_more(runs, opened)

    def _connect_more(self, runs: Runs, opened: gr.State) -> None:
        def more(
            at: Opened | None,
            label: str,
            desk: Desk,
            progress: gr.Progress = gr.Progress(),  # noqa: B008  # gradio finds it there
        ) -> list[Any]:
            try:
                if (run := runs.of(at)) is not None:
                    run.fill(label, reading(progress))
                return changes(run, replace(desk, item=None))
            except SHOWN as error:
                return failed(error)

        how = {**LIGHT, "show_progress": "full", "show_progress_on": self.counts}
        gr.on(
            [self.label.input, self.more.click],
            more,
            [opened, self.label, self.desk],
            self.shown,
            **how,
        )


def reading(progress: gr.Progress) -> Callable[[int, int], None]:
    """Return what draws how much of a run was read; 200 times at most."""

    def told(done: int, total: int) -> None:
        if done % max(1, total // 200) == 0:
            progress((done, total), desc="Reading the labels", unit="pictures")

    return told


def labels_of(run: OpenRun | None) -> list[tuple[str, str]]:
    """Return the labels whose objects can be reviewed alone."""
    labels = {} if run is None else run.labels
    return [("All labels", ""), *((f"{name} ({n:,})", name) for name, n in labels.items())]


def changes(run: OpenRun | None, desk: Desk, trouble: str = "") -> list[Any]:
    """Return the changes of ``Review.shown`` that show an object.

    Args:
        run: that it is in; None shows none.
        desk: where the visitor is; what it says of another run is dropped.
        trouble: what is to be said besides.
    """
    message = gr.HTML(message_html("Not done", trouble), visible=True) if trouble else _silent()
    done = () if run is None or desk.folder != run.run.folder else desk.done
    if run is None:
        return [Desk(), gr.HTML(""), message, gr.Row(visible=False), *_nothing(done)]
    queue = list(run.queue)
    item = desk.item if desk.item in queue else _undecided(run, queue, -1)
    desk = Desk(run.run.folder, item, done)
    if item is None:
        row = gr.Row(visible=bool(queue or done))  # of nothing there is nothing to undo
        return [desk, gr.HTML(counts_html(run, None)), message, row, *_nothing(done)]
    return [
        desk,
        gr.HTML(counts_html(run, queue.index(item))),
        message,
        gr.Row(visible=True),
        gr.HTML(object_html(run, item)),
        gr.HTML(facts_html(item, run.labelled(item), run.decision(item))),
        gr.Button(interactive=bool(done)),
        gr.Textbox("", interactive=True),
        gr.HTML(names_html(run.suggestions(item))),
        *(gr.Button(interactive=True) for _ in range(4)),
    ]


def _nothing(done: tuple[QueueItem, ...]) -> list[Any]:
    """Return the changes that show no object: all that is left to do is Undo."""
    return [
        *(gr.HTML(finished_html()), gr.HTML(""), gr.Button(interactive=bool(done))),
        *(gr.Textbox("", interactive=False), gr.HTML("")),
        *(gr.Button(interactive=False) for _ in range(4)),
    ]


def failed(error: Exception) -> list[Any]:
    """Return the changes of ``Review.shown`` that say what went wrong, and leave the rest."""
    message = gr.HTML(message_html("Not done", str(error)), visible=True)
    return [gr.skip(), gr.skip(), message, *(gr.skip() for _ in range(10))]


def _decide(
    runs: Runs, opened: Opened | None, desk: Desk, choice: Choice, to: str = ""
) -> list[Any]:
    try:
        run = runs.of(opened)
        if run is None or desk.item is None:
            return changes(run, desk)
        if desk.folder != run.run.folder:
            return changes(run, Desk(), ELSEWHERE)
        if run.decide(desk.item, choice, to):
            desk = replace(desk, done=(*desk.done, desk.item))
        return changes(run, _onward(run, desk))
    except SHOWN as error:
        return failed(error)


def _skip(runs: Runs, opened: Opened | None, desk: Desk) -> list[Any]:
    try:
        run = runs.of(opened)
        return changes(run, desk if run is None else _onward(run, desk))
    except SHOWN as error:
        return failed(error)


def _undo(runs: Runs, opened: Opened | None, desk: Desk) -> list[Any]:
    """Take the last decision back, and show its object again."""
    try:
        run = runs.of(opened)
        if run is None or not desk.done:
            return changes(run, desk)
        if desk.folder != run.run.folder:
            return changes(run, Desk(), ELSEWHERE)
        *before, last = desk.done
        run.decide(last, None)
        run.requeue(last)
        return changes(run, Desk(desk.folder, last, tuple(before)))
    except SHOWN as error:
        return failed(error)


def _onward(run: OpenRun, desk: Desk) -> Desk:
    """Go to the next undecided object, from the start where the queue is another one by now."""
    queue = list(run.queue)
    place = queue.index(desk.item) if desk.item in queue else -1
    return replace(desk, item=_undecided(run, queue, place))


def _undecided(run: OpenRun, queue: list[QueueItem], after: int) -> QueueItem | None:
    """Return the next undecided object of a queue; None where all are decided on."""
    found = next_undecided([run.decision(item) is not None for item in queue], after)
    return None if found is None else queue[found]


def _silent() -> gr.HTML:
    return gr.HTML("", visible=False)


def _button(text: str, name: str, key: str = "", variant: Any = "secondary") -> gr.Button:
    text = f"{text} ({key})" if key else text
    return gr.Button(text, variant=variant, min_width=110, elem_id=f"batch-{name}")


def _all_names() -> str:
    """Return what the text box completes: every label that the vocabulary knows."""
    vocabulary = official_vocabulary()
    return names_html(sorted({vocabulary.label(name) for name in vocabulary}), listed=True)
