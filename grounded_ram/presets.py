"""Presets: backends and thresholds that work together, one row each.

A row names its backends as "adapter:checkpoint". Nothing in this package asks for a row's name:
make your own with ``dataclasses.replace`` and pass it wherever a name may stand.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from grounded_ram.errors import InputError, UnknownNameError
from grounded_ram.names import unknown_name
from grounded_ram.rules import Rules, is_share

PRESET_VARIABLE = "GROUNDED_RAM_PRESET"
"""The environment variable that names the preset when the caller names none."""

DEFAULT_PRESET = "standard"
"""The preset when neither the caller nor the environment names one."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One working choice of backends and thresholds.

    Raises:
        InputError: a threshold lies outside [0, 1], or the rules are none.
    """

    name: str
    """What the run's record calls it."""
    summary: str
    """One line: what it is good for."""
    tagger: str
    """Backend that says what is in the picture."""
    detector: str
    """Backend that says where."""
    segmenter: str
    """Backend that says which pixels."""
    tag_threshold: float | None = None
    """Tags scored at or below it are dropped; None means the checkpoint's own for each tag."""
    box_threshold: float = 0.3
    """Boxes scored at or below it are dropped."""
    nms_iou: float = 0.5
    """Of two boxes or masks of one name that overlap by more, the better one stays. The overlaps
    of ``rules`` count where they are larger."""
    rules: Rules = Rules()  # noqa: RUF009  # frozen
    """What else makes a label out of a box."""
    ground_kinds: tuple[str, ...] = ("object", "stuff", "part", "unjudged")
    """Kinds of tags that the detector is asked to find; the others describe the whole picture."""
    reason: str = ""
    """Why these three."""
    disk_gb: float | None = None
    """What its weights take on the disk, in 10^9 bytes; None where that is not known."""
    memory_gb: float | None = None
    """The most memory it took to load and to annotate one picture of 1920 x 1080 on a CPU in
    float32, in 10^9 bytes; None where nobody measured it."""
    licence: str = "Apache-2.0"
    """Licence of the weights."""
    caution: str = ""
    """What a user must know before trusting a result; said once a run."""

    def __post_init__(self) -> None:
        if not isinstance(self.rules, Rules):
            raise InputError(f"rules: expected Rules(...), got {type(self.rules).__name__}")
        for field in ("tag_threshold", "box_threshold", "nms_iou"):
            value = getattr(self, field)
            if value is not None and not is_share(value):
                raise InputError(f"preset {self.name!r}: {field} must lie in [0, 1], got {value!r}")


_ROWS = (
    Preset(
        name="tiny",
        summary="small models inside the package: no download, for trying things out and for tests",
        tagger="ram:tiny",
        detector="grounding-dino:tiny",
        segmenter="sam:tiny",
        box_threshold=0.45,
        reason="the same code as the others, at a thousandth of the size",
        disk_gb=0.0,
        memory_gb=1.0,
        caution=(
            "the tiny preset knows only picture-book things drawn by this package; "
            'for photographs use preset="standard" (--preset standard)'
        ),
    ),
    Preset(
        name="fast",
        summary="photographs, with the smallest segmenter",
        tagger="ram:swin-l",
        detector="grounding-dino:swin-t",
        segmenter="sam:vit-b",
        reason="half the time of the standard preset: SAM's encoder takes most of that",
        disk_gb=6.7,
        memory_gb=5.8,
    ),
    Preset(
        name="standard",
        summary="photographs, with the classic trio",
        tagger="ram:swin-l",
        detector="grounding-dino:swin-t",
        segmenter="sam:vit-h",
        reason="the models of Grounded-Segment-Anything, that others compare with",
        disk_gb=8.9,
        memory_gb=8.6,
    ),
    Preset(
        name="best",
        summary="photographs, with the most accurate model of each kind",
        tagger="ram-plus:swin-l",
        detector="transformers:iSEE-Laboratory/llmdet_large",
        segmenter="sam-hq:syscv-community/sam-hq-vit-huge",
        reason=(
            "RAM++ sees more rare tags than RAM, LLMDet finds more rare objects than "
            "Grounding-DINO (their papers), SAM-HQ's edges are finer"
        ),
        disk_gb=7.0,
        memory_gb=10.5,
    ),
)

PRESETS: dict[str, Preset] = {row.name: row for row in _ROWS}
"""The presets by name."""


def resolve_preset(preset: str | Preset | None = None) -> Preset:
    """Return the preset that was asked for.

    Args:
        preset: a row, a name, or None for the one that GROUNDED_RAM_PRESET names, else "standard".

    Raises:
        UnknownNameError: no preset has that name.
    """
    if isinstance(preset, Preset):
        return preset
    name = os.environ.get(PRESET_VARIABLE) or DEFAULT_PRESET if preset is None else preset
    if name in PRESETS:
        return PRESETS[name]
    error = unknown_name("preset", name, PRESETS)
    if preset is None:
        raise UnknownNameError(f"{PRESET_VARIABLE} is set to a preset nobody knows: {error}")
    raise error
