"""What the tests of this folder share: one loaded model, and two drawn pictures of unlike size."""

from __future__ import annotations

import PIL.Image
import pytest

from grounded_ram import Annotation, GroundedRAM
from grounded_ram.scenes.scene import make_scene


@pytest.fixture(scope="session")
def model() -> GroundedRAM:
    return GroundedRAM("tiny")


@pytest.fixture(scope="session")
def pictures() -> list[PIL.Image.Image]:
    first, second = (PIL.Image.fromarray(make_scene(seed).image) for seed in (5, 2))
    return [first, second.crop((0, 0, second.width, second.height - 32))]


@pytest.fixture(scope="session")
def annotations(model: GroundedRAM, pictures: list[PIL.Image.Image]) -> list[Annotation]:
    found = [model.annotate(picture) for picture in pictures]
    assert all(len(one.detections) > 1 for one in found)
    return found
