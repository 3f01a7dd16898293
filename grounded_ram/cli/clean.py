"""``grounded-ram clean``: a run without the labels that look wrong, as a new run beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grounded_ram.cli import cleaning_options, terminal
from grounded_ram.cli.options import AsJson, Device, OwnWeights, own_weights
from grounded_ram.cli.places import writing_into
from grounded_ram.cli.train import watched
from grounded_ram.errors import InputError
from grounded_ram.presets import PRESETS

if TYPE_CHECKING:
    from grounded_ram.autolabel.run_folder import Run
    from grounded_ram.data_engine.cleaning.cleaned_run import CleanedRun
    from grounded_ram.data_engine.cleaning.verdicts import Cleaning
    from grounded_ram.stages import Tagger

SHEET = "removed.jpg"
"""Its name in the new run's folder."""

MOST_LINES = 40
"""Labels that the table shows; ``--json`` has them all."""


def clean(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of `grounded-ram label`.")],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="NEW",
            help="Folder of the new run.",
            show_default="RUN-cleaned",
        ),
    ] = None,
    share: cleaning_options.Share = 0.1,
    least_distance: cleaning_options.LeastDistance = 0.0,
    clusters: cleaning_options.Clusters = 1,
    least_regions: cleaning_options.LeastRegions = 10,
    seed: Annotated[int, typer.Option(min=0, help="Of the clustering.")] = 0,
    contradictions: cleaning_options.Contradictions = True,
    least_alone: cleaning_options.LeastAlone = 0.5,
    margin: cleaning_options.Margin = 0.5,
    only_mask: Annotated[
        bool, typer.Option("--only-mask", help="Compare the objects' own pixels alone.")
    ] = False,
    tagger: Annotated[
        str | None,
        typer.Option(help="What looks at the objects.", show_default="the run's own tagger"),
    ] = None,
    weights: OwnWeights = None,
    device: Device = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Objects that it sees at once.")] = 1,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace the new run of an earlier clean, and all that is in it."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remove the labels of a run that look wrong, and write what is left as a new run.

    As RAM's data engine does: of each label go the objects that look least like its others, and
    those that the tagger, shown them alone, does not see. RUN stays as it is. NEW is a run: export,
    report and evaluate read it. removed.jsonl in it says what went and why, removed.jpg shows it.
    Typed again after a kill or Ctrl-C, it goes on where it stopped.
    """
    with terminal.clean_stdout():
        from grounded_ram.autolabel.run_folder import Run
        from grounded_ram.data_engine.cleaning.places import check_place
        from grounded_ram.data_engine.cleaning.verdicts import Cleaning

        old = Run(run)
        new = run.with_name(f"{run.resolve().name}-cleaned") if output is None else output
        check_place(run, new, overwrite=overwrite)
        settings = Cleaning(
            share=share,
            least_distance=least_distance,
            clusters=clusters,
            least_regions=least_regions,
            seed=seed,
            contradictions=contradictions,
            least_alone=least_alone,
            margin=margin,
            only_mask=only_mask,
        )
        name = _tagger_of(old, tagger)
        with writing_into(new):
            files = {stage: Path(path).expanduser() for stage, path in own_weights(weights).items()}
            looking = _load(name, files, device=device, batch_size=batch_size)
            seen_by = _identity(name, files, looking)
            done = _clean(old, new, settings, (looking, seen_by), overwrite=overwrite)
            _draw(done, new / SHEET)
    if as_json:
        terminal.show_json(_record(done))
    else:
        _show(done)


def _tagger_of(run: Run, asked: str | None) -> str:
    """Return the name of the tagger that was asked for, or else of the run's own.

    Raises:
        InputError: the run was made by none that has a name.
    """
    made: Mapping[str, Any] = run.config["model"]
    own = (made.get("tagger") or {}).get("name")
    preset = PRESETS.get(made.get("preset", ""))
    name: str | None = asked or own or (None if preset is None else preset.tagger)
    if name is None or ":" not in name:
        raise InputError(
            f"{run.folder}: its tagger was {name or 'none'}, which has no name to load it by; name "
            "one, as in --tagger ram:swin-l"
        )
    return name


def _identity(name: str, files: Mapping[str, Path], tagger: Tagger) -> str:
    """Return what tells a tagger from others that see otherwise."""
    facts = []
    for stage, path in sorted(files.items()):
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        told = [(str(one.absolute()), one.stat()) for one in inside]
        facts.append((stage, [(one, stat.st_size, stat.st_mtime_ns) for one, stat in told]))
    where = (getattr(tagger, "device", None), getattr(tagger, "dtype", None))
    return repr((name, facts, where))


def _load(name: str, files: Mapping[str, Path], *, device: str, batch_size: int) -> Tagger:
    """Load a tagger, and nothing of the other stages; download it if it is not here."""
    from grounded_ram.backends import Backend
    from grounded_ram.runtime import pick_device, pick_dtype
    from grounded_ram.weights import fetch_all

    here = pick_device(device)
    backend: Backend[Tagger] = Backend(
        "tagger",
        name,
        own_files={stage: path.absolute() for stage, path in files.items()},
        device=here,
        dtype=pick_dtype("auto", here),
        batch_size=batch_size,
    )
    with terminal.downloading() as on_progress:
        rows = [row for row in [backend.checkpoint] if row is not None]
        fetch_all(rows, on_progress=on_progress)
    return backend.get()


def _clean(
    old: Run, new: Path, settings: Cleaning, seeing: tuple[Tagger, str], *, overwrite: bool
) -> CleanedRun:
    from grounded_ram.data_engine.cleaning.cleaned_run import clean_run
    from grounded_ram.data_engine.cleaning.embedding import TaggerEmbedder

    tagger, seen_by = seeing
    embedder = TaggerEmbedder(tagger)
    pictures = sum(len(found.labelled) for _, found in old.journals())
    with watched(pictures, 1, "looking at objects", "picture") as update:
        return clean_run(
            old,
            new,
            settings,
            embedder=embedder,
            look=embedder.look,
            seen_by=seen_by,
            overwrite=overwrite,
            on_seen=lambda seen: update(seen, {}),
        )


def _draw(done: CleanedRun, file: Path) -> None:
    from grounded_ram.data_engine.cleaning.sheet import choose_rows, draw_sheet
    from grounded_ram.export.dataset import key_of
    from grounded_ram.export.files import write_picture

    rows = choose_rows(done.labels, done.regions, done.verdicts)
    shown = {done.regions[one].picture for row in rows for one in (*row.removed, *row.kept)}
    images = {
        key_of(one.image): one.image for one in done.run.dataset() if key_of(one.image) in shown
    }
    if rows:
        write_picture(draw_sheet(rows, done.regions, done.verdicts, images), file)


def _record(done: CleanedRun) -> dict[str, Any]:
    return {
        "run": str(done.run.folder),
        "regions": len(done.regions),
        "removed": done.removed,
        "not_read": done.unread,
        "labels": [
            {
                "label": row.label,
                "before": row.regions,
                "after": row.regions - row.removed,
                "outliers": row.outliers,
                "contradicted": row.contradicted,
                "compared": row.compared,
            }
            for row in done.labels
        ],
    }


def _show(done: CleanedRun) -> None:
    terminal.show_table(
        ("label", "before", "after", "removed", "outliers", "contradicted"),
        (
            (
                row.label,
                str(row.regions),
                str(row.regions - row.removed),
                f"{row.removed / row.regions:.0%}",
                str(row.outliers) if row.compared else "too few",
                str(row.contradicted),
            )
            for row in done.labels[:MOST_LINES]
        ),
    )
    if len(done.labels) > MOST_LINES:
        terminal.show(f"... and {len(done.labels) - MOST_LINES} more labels; --json has them all")
    if done.unread:
        name, why = next(iter(done.unread.items()))
        terminal.say(f"not looked at, labels stay: {len(done.unread):,}, such as {name}: {why}")
    regions = len(done.regions)
    share = f" ({done.removed / regions:.1%})" if regions else ""
    terminal.show(f"objects: {regions:,}, removed: {done.removed:,}{share}")
    terminal.show(f"new run: {done.run.folder}")
    terminal.show(f"what went, and why: {done.run.folder / 'removed.jsonl'}")
    if done.removed:
        terminal.show(f"to check by eye: {done.run.folder / SHEET}")
