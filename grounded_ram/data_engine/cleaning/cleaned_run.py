"""A run of ``grounded-ram label`` without its wrong labels, as a new run beside it.

The new run has the layout of every run, so that all that reads one reads it. It grows under a
hidden name, where run.json comes last; only when it is complete does it get its own name.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from grounded_ram.annotation import Annotation, ImageFacts
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
from grounded_ram.data_engine.cleaning.places import CLEANED, check_place, draft_of, hidden, put
from grounded_ram.data_engine.cleaning.regions import Region, Regions, Viewer
from grounded_ram.data_engine.cleaning.removal import list_removed, without
from grounded_ram.data_engine.cleaning.seen import Seen, SeenFolder, digest_of, seen_in
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
from grounded_ram.export.files import write_json
from grounded_ram.export.records import encode
from grounded_ram.images import load_same
from grounded_ram.vocabulary.labelling import Labels, Words

REMOVED = "removed.jsonl"
"""The list of what was removed: a line of JSON for each label."""

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
    seen_by: str = "",
    overwrite: bool = False,
    on_seen: Callable[[int], None] = lambda seen: None,
) -> CleanedRun:
    """Remove the labels of a run that look wrong, and write what is left as a new run.

    Args:
        run: it is read and stays as it is.
        folder: of the new run; nothing may be there. Until it is complete, what was seen of each
            picture lies beside it, and a call after a kill looks at the others alone.
        settings: how wrong labels are told.
        embedder: says how a region looks.
        look: says what the tagger sees in some crops; None where nobody is asked.
        seen_by: tells embedder and tagger from others; "" where nothing does: then nothing is kept.
        overwrite: put the new run in the place of one that cleaning made before.
        on_seen: told how many pictures have been looked at, those of earlier calls included.

    Raises:
        InputError: something is in the new folder's place, or it would lie inside the old one; or
            another process cleans into it.
        MissingDependencyError: scikit-learn is not installed.
    """
    check_place(run.folder, folder, overwrite=overwrite)
    dataset = run.dataset()
    labels = labels_of(run)
    viewer = Viewer(
        embedder,
        look if settings.contradictions else None,
        labels,
        margin=settings.margin,
        only_mask=settings.only_mask,
    )
    kept = _seen_folder(folder, seen_by, settings)
    with tempfile.TemporaryFile() as file, seen_in(kept) as seen:
        regions = Regions(file)
        unread = _look_at_all(dataset, (regions, viewer, seen), on_seen)
        verdicts = judge(regions, settings)
        cleaned = Dataset.reading(lambda: _cleaned(dataset, regions.known, verdicts, labels))
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = draft_of(folder)
        try:
            _write_part(run, draft, cleaned)
            list_removed(draft / REMOVED, regions.known, verdicts)
            _write_facts(run, draft, cleaned, settings)
            check_place(run.folder, folder, overwrite=overwrite)  # it took hours
            put(draft, folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    if kept is not None:
        shutil.rmtree(kept.parent, ignore_errors=True)
    return CleanedRun(Run(folder), count_labels(regions, verdicts), regions.known, verdicts, unread)


def _seen_folder(folder: Path, seen_by: str, settings: Cleaning) -> Path | None:
    """Return where is kept what was seen on the way to a new run.

    What was seen in another way, in wider crops, say, stays beside it until a new run is complete.
    """
    way = repr((seen_by, settings.margin, settings.only_mask, settings.contradictions))
    return hidden(folder, "seen") / digest_of(way)[:16] if seen_by else None


def labels_of(run: Run) -> Labels:
    """Return what says which tags speak for the labels of a run."""
    return Words() if run.config.get("tags") is not None else labelling_of(run.config["model"])


def _look_at_all(
    dataset: Dataset, into: tuple[Regions, Viewer, SeenFolder], on_seen: Callable[[int], None]
) -> dict[str, str]:
    """Look at every region that was not seen before.

    Returns:
        Why pictures could not be read, by their names.
    """
    unread: dict[str, str] = {}
    regions, viewer, kept = into
    for number, annotation in enumerate(dataset, start=1):
        name, found = key_of(annotation.image), annotation.detections
        digest = digest_of(encode(annotation)) if len(found) else ""
        seen = kept.get(name, digest)
        recalled = seen is not None
        if seen is None and len(found):
            try:
                pixels = _pixels(annotation.image)
            except InputError as error:
                unread[name] = str(error)
            else:
                alone, embeddings = viewer.see(pixels, found)
                seen = Seen.of(_known(annotation, alone), embeddings)
                kept.keep({name: (digest, seen)})
        if seen is not None:
            seen.add_to(regions)
        if not recalled or number == len(dataset):
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
