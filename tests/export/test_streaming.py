"""No exporter keeps what it has written."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from grounded_ram.annotation import Annotation
from grounded_ram.export.dataset import Dataset
from grounded_ram.registry import find_exporter
from tests.hand_annotation import annotate
from tests.hand_dataset import SHAPES

OURS = ("csv", "cvat", "labelme", "voc", "yolo", "yolo-detect")


@pytest.mark.parametrize("name", OURS)
def test_one_image_at_a_time_is_in_memory(tmp_path: Path, name: str) -> None:
    alive: list[weakref.ref[Annotation]] = []

    def stream() -> Iterator[Annotation]:
        for number in range(4):
            annotation = annotate([("car", SHAPES["block"])], path=f"{number}.png", seed=number)
            alive.append(weakref.ref(annotation))
            yield annotation
            del annotation
            assert sum(ref() is not None for ref in alive) <= 1

    dataset = Dataset.reading(stream)
    find_exporter(name)(dataset, tmp_path, pictures="none")
    assert len(alive) == 8
