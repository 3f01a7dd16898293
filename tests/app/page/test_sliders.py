from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace

import gradio as gr
import pytest

from grounded_ram.app.page.session import Settings
from grounded_ram.app.page.sliders import RULES, Sliders, settings_of
from grounded_ram.presets import PRESETS, Preset

# gradio closes neither its loops nor their sockets
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
TINY = PRESETS["tiny"]


@pytest.fixture(scope="module", autouse=True)
def _collected() -> Iterator[None]:
    """Collect the loops while they are excused."""
    yield
    gc.collect()


def lay_out(preset: Preset) -> Sliders:
    with gr.Blocks(analytics_enabled=False):
        return Sliders.lay_out(preset)


@pytest.mark.parametrize(
    "preset",
    [
        TINY,
        replace(TINY, tag_threshold=0.0),
        replace(TINY, tag_threshold=0.5),
        replace(TINY, box_threshold=0.05),
        replace(TINY, rules=replace(TINY.rules, least_pixels=5000)),
    ],
)
def test_sliders_begin_within_their_ends_and_mean_the_preset(preset: Preset) -> None:
    sliders = lay_out(preset)
    assert settings_of(preset, sliders.begin) == Settings.of(preset)
    for slider, value in zip(sliders.all, sliders.begin, strict=True):
        assert slider.value == value
        assert slider.minimum <= value <= slider.maximum


def test_a_tag_threshold_of_0_means_each_tags_own_unless_it_was_asked_for() -> None:
    values = [0, 0.5, *(getattr(TINY.rules, rule.field) for rule in RULES)]
    assert settings_of(replace(TINY, tag_threshold=0.5), values).tag_threshold is None
    asked = replace(TINY, tag_threshold=0.0)
    assert settings_of(asked, values).tag_threshold == 0.0
    assert "own" not in (lay_out(asked).tag.info or "")
