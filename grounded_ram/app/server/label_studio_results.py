"""What Label Studio is told of a task: which questions a config asks, and what answers them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grounded_ram.annotation import Annotation
from grounded_ram.app.server.label_studio_config import (
    SHAPES,
    Config,
    Control,
    Option,
    Path,
    words,
)
from grounded_ram.errors import InputError
from grounded_ram.export.label_studio import mean_score, of_object, rounded, shape_values
from grounded_ram.vocabulary.table import official_vocabulary


@dataclass(frozen=True)
class Question:
    """One look at one picture of a task.

    Args:
        image: the picture's name in the config.
        address: where it lies.
        tags: what to look for; None to ask the tagger.
        controls: what the answer fills in.
    """

    image: str
    address: str
    tags: tuple[str, ...] | None
    controls: tuple[Control, ...]


def questions(config: Config, data: Mapping[str, Any]) -> list[Question]:
    """Return what must be asked of a task's pictures, one or two questions a picture.

    Labels that the config lists are looked for themselves. Choices, and labels that nothing lists,
    are the tagger's to say.

    Raises:
        InputError: the task lacks a picture, or the config has nothing to fill in.
    """
    if not config.controls:
        raise InputError("the labelling config has no controls yet; set up the labelling interface")
    asked = []
    for image in config.images:
        address = config.address(image, data)
        controls = [one.of_task(data) for one in config.controls if one.to_name == image]
        named = tuple(one for one in controls if one.kind in SHAPES and one.options)
        others = tuple(one for one in controls if one not in named)
        if named:
            tags = words(option for one in named for option in one.options)
            asked.append(Question(image, address, tags, named))
        if others:
            asked.append(Question(image, address, None, others))
    return asked


@dataclass
class Answers:
    """Collects the results of one task.

    Args:
        number: makes the results' ids unlike those of other tasks.
    """

    number: int
    result: list[dict[str, Any]] = field(default_factory=list)
    objects: dict[tuple[str, int], float] = field(default_factory=dict)
    chosen: list[float] = field(default_factory=list)

    def add(self, question: Question, annotation: Annotation) -> None:
        """Fill in what a question was asked for."""
        for control in question.controls:
            told = _regions if control.kind in SHAPES else _choices
            for row, item in told(annotation, control):
                where = {"from_name": control.name, "to_name": control.to_name}
                number = len(self.result)
                self.result.append(
                    {"id": f"{self.number}-{number}", **where, "type": control.kind, **item}
                )
                if row is None:
                    self.chosen.append(item["score"])
                else:
                    self.objects[question.image, row] = item["score"]

    def prediction(self, model_version: str) -> dict[str, Any]:
        """Return what Label Studio stores, with the mean score of objects, or else of choices."""
        told: dict[str, Any] = {"model_version": model_version, "result": self.result}
        scores = list(self.objects.values()) or self.chosen
        return {**told, "score": mean_score(scores)} if scores else told


def _regions(annotation: Annotation, control: Control) -> Iterator[tuple[int, dict[str, Any]]]:
    """Return a region for each object that has one of the control's labels, or any if it has none.

    An object of several parts is several polygons.
    """
    written = {word: one.path[-1] for one in reversed(control.options) for word in one.words}
    names = np.asarray(annotation.detections.data["class_name"]).tolist()
    for row, _, value in shape_values(annotation, SHAPES[control.kind]):
        label = written.get(names[row]) if control.options else names[row]
        if label is not None:
            value[control.kind] = [label]
            yield row, {**of_object(annotation, row), "value": value}


def _choices(annotation: Annotation, control: Control) -> Iterator[tuple[None, dict[str, Any]]]:
    """Return the choice, or choices, that the picture's tags stand for; nothing if they do not."""
    found = _chosen(annotation, control)
    best = sorted(found, key=lambda path: -found[path])
    if control.single:
        best = best[:1]
    if best:
        paths = [list(path) for path in best]
        value = paths if control.kind == "taxonomy" else [path[-1] for path in paths]
        yield None, {"value": {control.kind: value}, "score": rounded(found[best[0]])}


def _chosen(annotation: Annotation, control: Control) -> dict[Path, float]:
    """Return the options that tags stand for, with the best of the tags' scores.

    A tag stands for what means the same and for what it is a kind of: "dog" for "animal" too.
    Without options each tag is one, below its kind in a taxonomy.
    """
    tags, found = annotation.tags, dict[Path, float]()
    index = _by_head(control.options)
    for name, kind, score in zip(tags.names, tags.kinds, tags.scores.tolist(), strict=True):
        if control.options:
            heads = official_vocabulary().relatives(name)
            paths = [path for head in heads for path in index.get(head, ())]
        else:
            paths = [(kind, name) if control.kind == "taxonomy" else (name,)]
        for path in paths:
            found[path] = max(score, found.get(path, 0.0))
    return found


def _by_head(options: Sequence[Option]) -> dict[str, list[Path]]:
    index: dict[str, list[Path]] = {}
    for option in options:
        for word in option.words:
            index.setdefault(official_vocabulary().head(word), []).append(option.path)
    return index
