"""``grounded-ram demo``: the whole pipeline on scenes that it draws itself, held to their truth.

DIR/contact-sheet.png       truth beside result for every scene: the file to look at
DIR/scene-7.png             the scene of seed 7 as it was drawn
DIR/scene-7.overlay.png     the same with what the models found
DIR/annotations.coco.json   what they found in all scenes
DIR/demo.json               what ``--json`` prints, and the list of these files
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grounded_ram.cli import terminal
from grounded_ram.cli.options import AsJson
from grounded_ram.cli.results import count
from grounded_ram.errors import InputError
from grounded_ram.presets import PRESETS

if TYPE_CHECKING:
    from grounded_ram.annotation import Annotation
    from grounded_ram.evaluation.scoring import Score

PRESET = PRESETS["tiny"]
"""The preset that was trained on such scenes, whose weights are in the package."""

LAST_SEED = 9_999_999
"""Scenes of larger seeds may have been trained on."""

REPORT, COCO, SHEET = "demo.json", "annotations.coco.json", "contact-sheet.png"
SCALE = 2
"""Overlays are this much larger than the scenes, so that their labels can be read."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """One scene: its seed and caption, what is true of it, what was found, how right that is."""

    seed: int
    caption: str
    truth: Annotation
    result: Annotation
    score: Score


def demo(
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the results.")
    ] = Path("grounded-ram-demo"),
    scenes: Annotated[int, typer.Option(min=1, max=200, help="How many scenes to draw.")] = 6,
    seed: Annotated[
        int,
        typer.Option(min=0, max=LAST_SEED - 200, help="The first scene; another one, others."),
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Draw a few scenes, annotate them from the pixels alone, and say how right that was.

    The scenes were never trained on. A later run replaces files of an earlier demo, no others.
    """
    seeds = range(seed, seed + scenes)
    files = _claim(output, _files(seeds))
    terminal.caution(PRESET)
    with terminal.clean_stdout():
        outcomes = _annotate(seeds, output)
        report = _write(outcomes, output, files)
    if as_json:
        terminal.show_json(report)
    else:
        _show(outcomes, output)


def _files(seeds: Iterable[int]) -> list[str]:
    """Name all files that a demo of these scenes writes."""
    per_scene = [(_picture(seed), _overlay(seed)) for seed in seeds]
    return [REPORT, COCO, SHEET, *(name for names in per_scene for name in names)]


def _picture(seed: int) -> str:
    return f"scene-{seed}.png"


def _overlay(seed: int) -> str:
    return f"scene-{seed}.overlay.png"


def _claim(folder: Path, files: Sequence[str]) -> list[str]:
    """Put on record which files are a demo's, and return all of them, those of earlier demos too.

    Raises:
        InputError: a file of another origin is in the way.
    """
    from grounded_ram.export.files import write_json

    if folder.exists() and not folder.is_dir():
        raise InputError(f"-o must name a folder, but {str(folder)!r} is a file")
    try:
        earlier = list(json.loads((folder / REPORT).read_bytes())["files"])
    except (OSError, ValueError, KeyError, TypeError):
        earlier = []
    strangers = [name for name in files if (folder / name).exists() and name not in earlier]
    if strangers:
        raise InputError(
            f"{str(folder / strangers[0])!r} is there and not from an earlier demo; "
            "choose another folder with -o"
        )
    claimed = list(dict.fromkeys([*files, *earlier]))
    write_json({"files": claimed}, folder / REPORT)
    return claimed


def _annotate(seeds: Sequence[int], folder: Path) -> list[Outcome]:
    """Draw the scenes into files, and annotate the files."""
    import PIL.Image

    from grounded_ram.evaluation.scoring import score, truth_of
    from grounded_ram.export.files import write_picture
    from grounded_ram.pipeline import GroundedRAM
    from grounded_ram.scenes.scene import make_scene

    model = GroundedRAM(PRESET, device="cpu")
    outcomes = []
    for seed in terminal.progress(seeds, len(seeds), "annotating"):
        scene = make_scene(seed)
        path = folder / _picture(seed)
        write_picture(PIL.Image.fromarray(scene.image), path)
        result = model.annotate(path)
        write_picture(result.overlay(scale=SCALE), folder / _overlay(seed))
        truth = truth_of(scene, result.image)
        outcomes.append(Outcome(seed, scene.caption, truth, result, score(truth, result)))
    return outcomes


def _write(outcomes: Sequence[Outcome], folder: Path, files: Sequence[str]) -> dict[str, Any]:
    """Write the COCO file, the sheet and the report; return the report."""
    from grounded_ram.cli.sheet import Pair, draw_sheet
    from grounded_ram.export.coco import write_coco
    from grounded_ram.export.files import write_json, write_picture

    write_coco([outcome.result for outcome in outcomes], folder / COCO, root=folder)
    pairs = [
        Pair(
            outcome.truth,
            f"scene {outcome.seed}: what was drawn",
            outcome.result,
            f"what was found: {_verdict(outcome.score)}",
        )
        for outcome in outcomes
    ]
    write_picture(draw_sheet(pairs), folder / SHEET)
    report = {
        "preset": PRESET.name,
        "folder": str(folder),
        "files": list(files),
        "scenes": [
            {
                "seed": outcome.seed,
                "picture": _picture(outcome.seed),
                "overlay": _overlay(outcome.seed),
                "caption": outcome.caption,
                **asdict(outcome.score),
            }
            for outcome in outcomes
        ],
        "totals": _totals(outcomes),
    }
    write_json(report, folder / REPORT, indent=2)
    return report


def _verdict(score: Score) -> str:
    return f"{len(score.right)} right, {len(score.missed)} missed, {len(score.wrong)} wrong"


def _totals(outcomes: Sequence[Outcome]) -> dict[str, int]:
    scores = [asdict(outcome.score) for outcome in outcomes]
    return {part: sum(len(score[part]) for score in scores) for part in scores[0]}


def _show(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Print how right it was, scene by scene and in all, and what to look at."""
    terminal.show_table(
        ("scene", "drawn", "found", "missed", "wrong", "tags"),
        (
            (
                str(outcome.seed),
                count([*outcome.score.right, *outcome.score.missed]) or "no objects",
                f"{len(outcome.score.right)} of {len(outcome.truth.detections)}",
                count(outcome.score.missed),
                count(outcome.score.wrong),
                _tag_verdict(outcome.score),
            )
            for outcome in outcomes
        ),
    )
    total = _totals(outcomes)
    terminal.show(
        f"objects: {total['right']} of {total['right'] + total['missed']} found with the right "
        f"name and a mask that fits (IoU 0.5 or more); {total['wrong']} wrong\n"
        f"tags: {total['tags_right']} of {total['tags_right'] + total['tags_missed']} seen; "
        f"{total['tags_wrong']} wrong\n\n"
        f"Look at {folder / SHEET}: what was drawn on the left, what was found on the right.\n"
        f"Large overlays are {folder / 'scene-*.overlay.png'}, all masks are in {folder / COCO}.\n"
        f"Other scenes: grounded-ram demo --seed {outcomes[-1].seed + 1}\n"
        "Your own picture: grounded-ram annotate PICTURE"
    )


def _tag_verdict(score: Score) -> str:
    seen = f"{len(score.tags_right)} of {len(score.tags_right) + len(score.tags_missed)}"
    return f"{seen}; wrong: {count(score.tags_wrong)}" if score.tags_wrong else seen
