"""Options that several commands have, each written once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grounded_ram.errors import InputError
from grounded_ram.names import unknown_name
from grounded_ram.presets import Preset
from grounded_ram.registry import exporters, find_exporter
from grounded_ram.rules import Rules

if TYPE_CHECKING:
    from grounded_ram.export.exporter import Exporter

AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON on standard output and nothing else.")
]

Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]

Precision = Annotated[
    str, typer.Option("--dtype", help="auto (bfloat16 on a GPU), float32 or bfloat16.")
]

Compile = Annotated[
    bool,
    typer.Option(
        "--compile",
        help="Compile the image encoders (on a CPU the tagger's): minutes first, faster then.",
    ),
]

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

PresetName = Annotated[
    str | None,
    typer.Option(
        "--preset", help="Which models; see `grounded-ram models`.", show_default="standard"
    ),
]

OwnTags = Annotated[
    str | None,
    typer.Option(
        "--tags", metavar='"A,B"', help="Look for these things instead of asking the tagger."
    ),
]

TagThreshold = Annotated[
    float | None, typer.Option(min=0, max=1, help="Drop tags scored at or below it.")
]

BoxThreshold = Annotated[
    float | None, typer.Option(min=0, max=1, help="Drop boxes scored at or below it.")
]

Formats = Annotated[
    list[str],
    typer.Option("--format", help=f"As in coco,yolo; there are {', '.join(sorted(exporters()))}."),
]


class Masks(str, Enum):
    """How shapes are written where a format has both."""

    rle = "rle"
    polygon = "polygon"


MaskKind = Annotated[
    Masks, typer.Option("--masks", help="Shapes, where a format has both: exact, or outlines.")
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


def adjusted(
    preset: Preset,
    tag_threshold: float | None,
    box_threshold: float | None,
    rules: Sequence[str] | None,
) -> Preset:
    """Return a preset with the thresholds and rules that were typed in place of its own."""
    if tag_threshold is not None:
        preset = replace(preset, tag_threshold=tag_threshold)
    if box_threshold is not None:
        preset = replace(preset, box_threshold=box_threshold)
    return _set_rules(preset, rules)


def split_tags(tags: str | None) -> list[str] | None:
    """Return the words of ``--tags``, each once.

    Raises:
        InputError: there are none.
    """
    if tags is None:
        return None
    each: dict[str, str] = {}
    for name in filter(None, map(str.strip, tags.split(","))):
        each.setdefault(name.casefold(), name)
    if not each:
        raise InputError(f'--tags must name things, as in --tags "red car,tree"; got {tags!r}')
    return list(each.values())


def find_exporters(given: Sequence[str]) -> dict[str, Exporter]:
    """Return the exporters of ``--format``, each once.

    Raises:
        InputError: none is named.
        UnknownNameError: no format has that name.
        MissingDependencyError: one cannot be imported.
    """
    names = [name for text in given for name in filter(None, map(str.strip, text.split(",")))]
    if not names:
        raise InputError(
            f"--format must name formats, as in --format yolo,voc; got {', '.join(given)!r}"
        )
    return {name: find_exporter(name) for name in names}


def _set_rules(preset: Preset, given: Sequence[str] | None) -> Preset:
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
