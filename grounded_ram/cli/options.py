"""Options that several commands have, each written once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from grounded_ram.errors import InputError
from grounded_ram.names import unknown_name
from grounded_ram.presets import Preset
from grounded_ram.rules import Rules

AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON on standard output and nothing else.")
]

Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]

OwnWeights = Annotated[
    list[str] | None,
    typer.Option(
        "--weights",
        metavar="STAGE=PATH",
        help="Use this file as the weights of the tagger, detector or segmenter; STAGE.ROLE=PATH "
        "replaces another of its files. May come several times.",
        show_default=False,
    ),
]

OwnVocabulary = Annotated[
    Path | None,
    typer.Option(
        "--vocabulary",
        metavar="FILE",
        help="Your own edits of what is looked for and how labels are called, in YAML; words of "
        "--tags are looked for as they are.",
        show_default=False,
    ),
]


TagThreshold = Annotated[
    float | None, typer.Option(min=0, max=1, help="Drop tags scored at or below it.")
]

RuleSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--rule",
        metavar="NAME=VALUE",
        help="Set one of the rules by which boxes become labels, such as crop_check=drop; "
        "grounded_ram/rules.py says what each means. May come several times.",
        show_default=False,
    ),
]


def set_rules(preset: Preset, given: Sequence[str] | None) -> Preset:
    """Change the rules of a preset, or its ``nms_iou``, as ``--rule`` says.

    Raises:
        InputError: one is not of the form NAME=VALUE, or the value cannot be.
        UnknownNameError: no rule has that name.
    """
    values: dict[str, Any] = {}
    for name, value in _pairs(given, "--rule expects NAME=VALUE, as in crop_check=drop"):
        if name not in (known := ["nms_iou", *(field.name for field in fields(Rules))]):
            raise unknown_name("rule", name, known)
        values[name] = value if name == "crop_check" else _number(value)
    nms_iou = values.pop("nms_iou", preset.nms_iou)
    return replace(preset, nms_iou=nms_iou, rules=replace(preset.rules, **values))


def _number(text: str) -> float | int | str:
    """Read a number; what is none is told by its rule."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def own_weights(given: Sequence[str] | None) -> dict[str, str]:
    """Take apart what ``--weights`` was given: paths by stage, or by "stage.role".

    Raises:
        InputError: one is not of the form STAGE=PATH.
    """
    return dict(_pairs(given, "--weights expects STAGE=PATH, as in tagger=ram.pth"))


def _pairs(given: Sequence[str] | None, expected: str) -> Iterator[tuple[str, str]]:
    """Take apart NAME=VALUE.

    Raises:
        InputError: one is not of that form.
    """
    for text in given or ():
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise InputError(f"{expected}; got {text!r}")
        yield name, value
