"""A run of ``grounded-ram label`` without its wrong labels, as a new run beside it.

The new run has the layout of every run, so that all that reads one reads it. It grows under a
hidden name, where run.json comes last; only when it is complete does it get its own name.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from grounded_ram.annotation import Annotation, ImageFacts, Reason
from grounded_ram.autolabel.journal import Part
from grounded_ram.autolabel.outcomes import Failed, Labelled, Outcome
from grounded_ram.autolabel.run_folder import (
    CONFIG,
    FAILURES,
    IMAGES,
    PARTS,
    SKIPPED,
    SUMMARY,
    Run,
    Share,
)
from grounded_ram.autolabel.summary import summarize
from grounded_ram.crops import Look
from grounded_ram.data_engine.cleaning.embedding import Embedder
from grounded_ram.data_engine.cleaning.regions import Region, Regions, Viewer
from grounded_ram.data_engine.cleaning.removal import without
from grounded_ram.data_engine.cleaning.verdicts import (
    Cleaning,
    LabelCount,
    Verdict,
    count_labels,
    judge,
)
from grounded_ram.errors import InputError
from grounded_ram.evaluation.naming import labelling_of
from grounded_ram.export.dataset import Dataset, key_of
from grounded_ram.export.files import json_bytes, plain, replacing, write_json
from grounded_ram.export.records import encode
from grounded_ram.images import load_same
from grounded_ram.vocabulary.labelling import Labels, Words

REMOVED = "removed.jsonl"
"""The list of what was removed: a line of JSON for each label."""

CLEANED = "cleaned"
"""What the record of the models, in run.json and in every export, calls the cleaning."""

AT_ONCE = 64
"""Pictures that are written down together."""


@dataclass(frozen=True, eq=False)
class CleanedRun:
    """What came of cleaning a run.

    Args:
        run: the new one.
        labels: what became of each label, the one with most removed first.
        regions: all that were looked at.
        verdicts: on each of them.
        unread: why pictures could not be read, by their names; their labels stay.
    """

    run: Run
    labels: list[LabelCount]
    regions: list[Region]
    verdicts: list[Verdict]
    unread: dict[str, str]

    @property
    def removed(self) -> int:
        """Return how many objects were removed."""
        return sum(label.removed for label in self.labels)


def clean_run(
    run: Run,
    folder: Path,
    settings: Cleaning,
    *,
    embedder: Embedder,
    look: Look | None,
    on_seen: Callable[[int], None] = lambda seen: None,
) -> CleanedRun:
    """Remove the labels of a run that look wrong, and write what is left as a new run.

    Args:
        run: it is read and stays as it is.
        folder: of the new run; nothing may be there.
        settings: how wrong labels are told.
        embedder: says how a region looks.
        look: says what the tagger sees in some crops; None where nobody is asked.
        on_seen: told how many pictures have been looked at.

    Raises:
        InputError: something is in the new folder's place, or it would lie inside the old one.
        MissingDependencyError: scikit-learn is not installed.
    """
    check_place(run.folder, folder)
    dataset = run.dataset()
    labels = labels_of(run)
    viewer = Viewer(
        embedder,
        look if settings.contradictions else None,
        labels,
        margin=settings.margin,
        only_mask=settings.only_mask,
    )
    with tempfile.TemporaryFile() as file:
        regions = Regions(file)
        unread = _look_at_all(dataset, regions, viewer, on_seen)
        verdicts = judge(regions, settings)
    cleaned = Dataset.reading(lambda: _cleaned(dataset, regions.known, verdicts, labels))
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        _write_part(run, draft, cleaned)
        _list_removed(draft / REMOVED, regions.known, verdicts)
        _write_facts(run, draft, cleaned, settings)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return CleanedRun(Run(folder), count_labels(regions, verdicts), regions.known, verdicts, unread)


def check_place(old: Path, new: Path) -> None:
    """Make sure, before hours of work, that the new run can lie where it shall.

    Raises:
        InputError: something is there, or it is inside the old run.
    """
    if new.exists() or new.is_symlink():
        raise InputError(f"{str(new)!r} is there; choose another folder with -o")
    if old.resolve() in new.resolve().parents:
        raise InputError(
            f"{str(new)!r} lies inside the run {str(old)!r}, which stays as it is; choose a folder "
            "beside it with -o"
        )


def labels_of(run: Run) -> Labels:
    """Return what says which tags speak for the labels of a run."""
    return Words() if run.config.get("tags") is not None else labelling_of(run.config["model"])


def _look_at_all(
    dataset: Dataset, regions: Regions, viewer: Viewer, on_seen: Callable[[int], None]
) -> dict[str, str]:
    """Look at every region, and return why pictures could not be read, by their names."""
    unread: dict[str, str] = {}
    for number, annotation in enumerate(dataset, start=1):
        name, found = key_of(annotation.image), annotation.detections
        if len(found):
            try:
                pixels = _pixels(annotation.image)
            except InputError as error:
                unread[name] = str(error)
            else:
                known = _known(annotation, viewer.alone(pixels, found))
                regions.add(known, viewer.embed(pixels, found))
        on_seen(number)
    return unread


def _pixels(image: ImageFacts) -> Any:
    if image.path is None:
        raise InputError("the picture was not kept")
    return load_same(image.path, image.sha256).pixels


def _known(annotation: Annotation, alone: Any) -> list[Region]:
    found = annotation.detections
    rows = []
    for row, score in enumerate(alone.tolist()):
        x0, y0, x1, y1 = found.xyxy[row].tolist()
        whole = float(found.data["tag_score"][row])
        label = str(found.data["class_name"][row])
        rows.append(Region(key_of(annotation.image), label, (x0, y0, x1, y1), whole, score))
    return rows


def _cleaned(
    dataset: Dataset, regions: list[Region], verdicts: list[Verdict], labels: Labels
) -> Iterator[Annotation]:
    """Return the annotations without the objects that are removed."""
    start = 0
    for annotation in dataset:
        count, name = len(annotation.detections), key_of(annotation.image)
        looked_at = count and start < len(regions) and regions[start].picture == name
        own = verdicts[start : start + count] if looked_at else []
        start += len(own)
        gone = {row: one.reason for row, one in enumerate(own) if one.reason is not None}
        yield without(annotation, gone, labels)


def _write_part(run: Run, draft: Path, cleaned: Dataset) -> None:
    """Write journal and records, and keep the pictures that the old run keeps."""
    part, annotations = Part(draft / PARTS / str(Share())), iter(cleaned)
    try:
        part.commit([Failed(*failure) for failure in run.failures()])
        while some := list(islice(annotations, AT_ONCE)):
            part.commit([_outcome(one) for one in some])
    finally:
        part.close()
    if (run.folder / IMAGES).is_dir():
        shutil.copytree(run.folder / IMAGES, draft / IMAGES, copy_function=_link_or_copy)


def _outcome(annotation: Annotation) -> Outcome:
    name, count = key_of(annotation.image), len(annotation.detections)
    return Labelled(name, annotation.image.sha256, count, encode(annotation))


def _link_or_copy(source: str, target: str) -> None:
    """Give a file a second name, which takes no room and outlives the first; or copy it."""
    try:
        os.link(source, target)
    except OSError:  # another disk, or one that has no links
        shutil.copy2(source, target)


def _list_removed(path: Path, regions: list[Region], verdicts: list[Verdict]) -> None:
    """Write down each label that was removed, and why."""
    with replacing(path) as file:
        for region, verdict in zip(regions, verdicts, strict=True):
            if verdict.reason is not None:
                file.write(json_bytes(plain(removal_record(region, verdict, verdict.reason))))
                file.write(b"\n")


def removal_record(region: Region, verdict: Verdict, reason: Reason) -> dict[str, Any]:
    """Return what is told of a label that was removed, in plain values."""
    digits = 4
    return {
        "image": region.picture,
        "label": region.label,
        "box_xyxy": [round(side, 2) for side in region.box_xyxy],
        "reason": str(reason),
        "distance": round(verdict.distance, digits),
        "score_in_picture": round(region.whole, digits),
        "score_alone": round(region.alone, digits),
    }


def _write_facts(run: Run, draft: Path, cleaned: Dataset, settings: Cleaning) -> None:
    """Write what a run knows of itself; run.json last, without which there is no run."""
    for name in (FAILURES, SKIPPED):
        if (run.folder / name).is_file():
            shutil.copy2(run.folder / name, draft / name)
    summary = summarize(
        cleaned,
        failures=run.failures(),
        duplicates=run.duplicates(),
        skipped=_skipped(run.summary),
    )
    write_json(summary, draft / SUMMARY, indent=2)
    model = run.config["model"]
    record: dict[str, Any] = {"run": run.folder.resolve().name, **settings.record()}
    if CLEANED in model:
        record["before"] = model[CLEANED]
    write_json({**run.config, "model": {**model, CLEANED: record}}, draft / CONFIG, indent=2)


def _skipped(summary: Path) -> Mapping[str, int]:
    """Return how many things were skipped, by the summary of the old run, if it has one."""
    try:
        return dict(json.loads(summary.read_bytes())["skipped"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
