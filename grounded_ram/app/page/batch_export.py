"""The export of the batch tab: a run as it was decided, in the formats that are chosen."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from grounded_ram.app.page.batch_cards import message_html, written_html
from grounded_ram.app.page.batch_runs import Opened, Runs
from grounded_ram.app.page.events import LIGHT, SHOWN
from grounded_ram.export.exporter import MaskFormat
from grounded_ram.export.pictures import Pictures
from grounded_ram.registry import exporters


@dataclass(frozen=True)
class Export:
    """The components of the export."""

    formats: gr.CheckboxGroup
    masks: gr.Radio
    pictures: gr.Radio
    write: gr.Button
    written: gr.HTML

    @classmethod
    def lay_out(cls) -> Export:
        """Make the components where the page is being built."""
        formats = gr.CheckboxGroup(
            sorted(exporters()), value=["coco"], label="Formats", elem_id="batch-formats"
        )
        with gr.Row():
            masks = gr.Radio(
                [("exact", "rle"), ("outlines", "polygon")],
                value="rle",
                label="Shapes, where a format has both",
                min_width=220,
            )
            pictures = gr.Radio(
                [("links", "link"), ("copies", "copy"), ("none", "none")],
                value="link",
                label="Pictures beside the labels",
                min_width=220,
            )
        write = gr.Button("Export", variant="primary", elem_id="batch-export")
        written = gr.HTML(js_on_load=None, apply_default_css=False, elem_id="batch-written")
        return cls(formats, masks, pictures, write, written)

    def connect(self, runs: Runs, opened: gr.State) -> None:
        """Say what happens when something is touched."""

        def write(
            at: Opened | None, formats: list[str], masks: MaskFormat, pictures: Pictures
        ) -> str:
            return _write(runs, at, formats, masks=masks, pictures=pictures)

        asked = [opened, self.formats, self.masks, self.pictures]
        how = {**LIGHT, "show_progress": "full", "concurrency_limit": 1}
        self.write.click(write, asked, [self.written], **how)


def _write(
    runs: Runs, opened: Opened | None, formats: list[str], *, masks: MaskFormat, pictures: Pictures
) -> str:
    """Write the formats, and say where they lie, or why they do not."""
    try:
        if (run := runs.of(opened)) is None:
            return message_html("Nothing to export", "label pictures, or open a run, first")
        return written_html(run.export(formats, masks=masks, pictures=pictures))
    except SHOWN as error:
        return message_html("Not exported", str(error))
