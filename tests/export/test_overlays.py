from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from grounded_ram.annotation import Annotation
from grounded_ram.errors import InputError
from grounded_ram.export.dataset import Dataset
from grounded_ram.export.overlays import export_overlays
from tests.hand_annotation import annotate, rectangle


def on_disk(path: Path, key: str) -> Annotation:
    """An annotation without pixels, whose picture lies at a path."""
    one = annotate([("dog", rectangle((40, 60), 5, 5, 30, 40))])
    assert one.pixels is not None
    PIL.Image.fromarray(one.pixels).save(path)
    digest = sha256(path.read_bytes()).hexdigest()
    facts = replace(one.image, path=str(path), sha256=digest, file_name=key)
    return replace(one, image=facts, pixels=None)


def test_each_picture_is_drawn_under_its_own_name(tmp_path: Path) -> None:
    one = on_disk(tmp_path / "a.png", "deep/a.png")
    export_overlays(Dataset.of([one]), tmp_path / "out")
    with PIL.Image.open(tmp_path / "out/deep/a.png.jpg") as drawn:
        assert drawn.size == (60, 40)
        before = np.asarray(PIL.Image.open(tmp_path / "a.png"), int)
        changed = np.abs(np.asarray(drawn, int) - before).max(axis=2) > 60
    assert changed[5:30, 5:40].mean() > 0.3
    assert changed[35:, 45:].mean() < 0.2


def test_a_picture_that_was_changed_is_not_drawn_on(tmp_path: Path) -> None:
    one = on_disk(tmp_path / "a.png", "a.png")
    PIL.Image.new("RGB", (60, 40)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="was changed since it was labelled"):
        export_overlays(Dataset.of([one]), tmp_path / "out")
