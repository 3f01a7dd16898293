from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as PILImage

from grounded_ram.ram.label_queries import CLIPLabels
from tests.small_clip import save_small_clip


@pytest.fixture
def pictures(golden: Path) -> list[NDArray[np.uint8]]:
    """Three pictures of unlike sizes."""
    with PILImage.open(golden / "preprocess" / "rgb.png") as opened:
        first = np.array(opened.convert("RGB"))
    return [first, np.ascontiguousarray(first[:40, ::-1]), np.zeros((1, 1, 3), np.uint8)]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of downloads of this test's own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("GROUNDED_RAM_HOME", str(folder))
    return folder


@pytest.fixture
def labels(tmp_path: Path, home: Path) -> CLIPLabels:
    """A small text encoder whose embeddings fit the golden networks."""
    return CLIPLabels(*save_small_clip(tmp_path))
