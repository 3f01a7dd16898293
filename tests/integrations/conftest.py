"""What the tests of this folder share: one loaded model, and two drawn pictures of unlike size."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import PIL.Image
import pytest

from grounded_ram import Annotation, GroundedRAM
from grounded_ram.scenes.scene import make_scene


@pytest.fixture(scope="session")
def model() -> GroundedRAM:
    """A model whose networks answer the same question once: here many tests ask it."""
    model = GroundedRAM("tiny")
    for stage, method in (("tagger", "tag"), ("detector", "detect"), ("segmenter", "segment")):
        loaded = getattr(model, stage)
        setattr(loaded, method, remembering(getattr(loaded, method)))
    return model


def remembering(ask: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[bytes, bytes] = {}

    def answer(*given: Any, **options: Any) -> Any:
        key = pickle.dumps((given, options))
        if key not in known:
            known[key] = pickle.dumps(ask(*given, **options))
        return pickle.loads(known[key])

    return answer


@pytest.fixture(scope="session")
def pictures() -> list[PIL.Image.Image]:
    first, second = (PIL.Image.fromarray(make_scene(seed).image) for seed in (5, 2))
    return [first, second.crop((0, 0, second.width, second.height - 32))]


@pytest.fixture(scope="session")
def annotations(model: GroundedRAM, pictures: list[PIL.Image.Image]) -> list[Annotation]:
    found = [model.annotate(picture) for picture in pictures]
    assert all(len(one.detections) > 1 for one in found)
    return found
