"""The sliders of thresholds and rules, and what they mean together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from grounded_ram.app.page.session import Settings
from grounded_ram.exploration import BOX_FLOOR
from grounded_ram.presets import Preset

MOST_PIXELS = 2000
"""Where the slider of the smallest object ends, unless it begins further on."""


@dataclass(frozen=True)
class Rule:
    """A rule that has a slider.

    Args:
        field: its name in ``Rules``.
        label: what the page calls it.
        info: what it does.
        most: where the slider ends, unless it begins further on.
        step: between two values.
    """

    field: str
    label: str
    info: str
    most: float = 1.0
    step: float = 0.01


RULES = (
    Rule("least_score", "Combined score", "Objects below it go. It joins tag and box score."),
    Rule("least_mask_score", "Mask score", "Objects of whose mask the segmenter is less sure go."),
    Rule("mask_iou", "Overlap of names", "Masks of two names that overlap by more are one object."),
    Rule("contained", "Pieces", "A mask inside another of its name by more than this is a piece."),
    Rule("least_pixels", "Smallest object", "In pixels of its mask.", MOST_PIXELS, 1),
)


@dataclass(frozen=True)
class Sliders:
    """The sliders, and the preset whose values they begin with.

    Args:
        preset: what the rules without a slider are taken from, too.
        tag: the tag threshold; 0 means each tag's own, unless the preset itself says 0.
        box: the box threshold.
        rules: in the order of ``RULES``.
        reset: sets all back.
    """

    preset: Preset
    tag: gr.Slider
    box: gr.Slider
    rules: Sequence[gr.Slider]
    reset: gr.Button

    @classmethod
    def lay_out(cls, preset: Preset) -> Sliders:
        """Put the sliders where the page is being laid out."""
        own = "" if preset.tag_threshold == 0 else "At 0 each tag has its own."
        tag = _slider("Tag threshold", own, preset.tag_threshold or 0.0, "tag")
        box = _slider(
            "Box threshold",
            "Boxes below it are no objects.",
            preset.box_threshold,
            "box",
            least=min(BOX_FLOOR, preset.box_threshold),
        )
        with gr.Accordion("More rules", open=False, elem_id="rules"):
            rules = [
                _slider(
                    rule.label,
                    rule.info,
                    getattr(preset.rules, rule.field),
                    rule.field.replace("_", "-"),
                    least=0 if rule.step < 1 else 1,
                    most=max(rule.most, getattr(preset.rules, rule.field)),
                    step=rule.step,
                )
                for rule in RULES
            ]
            reset = gr.Button("Set all back", size="md", elem_id="reset")
        return cls(preset, tag, box, rules, reset)

    @property
    def all(self) -> list[gr.Slider]:
        """All sliders, in the order in which ``settings_of`` takes their values."""
        return [self.tag, self.box, *self.rules]

    @property
    def begin(self) -> list[float]:
        """Return the values that they begin with, in that order."""
        row = self.preset
        rules = [getattr(row.rules, rule.field) for rule in RULES]
        return [row.tag_threshold or 0.0, row.box_threshold, *rules]


def settings_of(preset: Preset, values: Sequence[float]) -> Settings:
    """Return what the sliders say.

    Args:
        preset: what else there is.
        values: of the tag threshold, the box threshold, and the rules in the order of ``RULES``.
    """
    tag, box, *rest = values
    own = tag == 0 and preset.tag_threshold != 0
    rules: dict[str, Any] = {
        rule.field: int(value) if rule.step >= 1 else float(value)
        for rule, value in zip(RULES, rest, strict=True)
    }
    return Settings(
        tag_threshold=None if own else float(tag),
        box_threshold=float(box),
        rules=replace(preset.rules, **rules),
    )


def _slider(
    label: str,
    info: str,
    value: float,
    name: str,
    *,
    least: float = 0.0,
    most: float = 1.0,
    step: float = 0.01,
) -> gr.Slider:
    return gr.Slider(
        least, most, value, step=step, label=label, info=info, buttons=[], elem_id=f"slide-{name}"
    )
