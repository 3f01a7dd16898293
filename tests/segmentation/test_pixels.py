import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from grounded_ram.errors import WeightsError
from grounded_ram.segmentation.pixels import IMAGENET, Pixels, read_pixels, to_square
from tests.segmentation.small_networks import picture

HALVES = Pixels((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def written(folder: Path, content: Any) -> dict[str, Path]:
    path = folder / "preprocessor_config.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return {"preprocessor": path}


def test_pixels_are_normalised_by_colour() -> None:
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8)[:, None, None].expand(3, 2, 4)
    found = Pixels((0.0, 0.2, 0.5), (1.0, 0.5, 0.25)).normalise(pixels)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found[:, 0, 0], [0, 0, 2], atol=1e-6)
    assert found.shape == (3, 2, 4)


def test_a_preprocessor_says_what_it_wants(tmp_path: Path) -> None:
    said = {"image_mean": [0.1, 0.2, 0.3], "image_std": 0.5, "size": {"height": 64}}
    for facts in (said, {"image_processor": said, "processor_class": "Sam3Processor"}):
        found = read_pixels(written(tmp_path, facts), IMAGENET)
        assert found == Pixels((0.1, 0.2, 0.3), (0.5, 0.5, 0.5))


def test_what_is_not_said_is_as_usual(tmp_path: Path) -> None:
    assert read_pixels({}, HALVES) is HALVES
    assert read_pixels(written(tmp_path, {"image_std": None, "do_pad": True}), HALVES) == HALVES


@pytest.mark.parametrize(
    "content", ["no json", "[]", "{", {"image_mean": [1, 2]}, {"image_mean": "x"}]
)
def test_a_broken_preprocessor_is_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(WeightsError, match=r"preprocessor_config.json: expected the config of an"):
        read_pixels(written(tmp_path, content), IMAGENET)


def test_every_shape_becomes_a_square() -> None:
    for height, width in [(1, 1), (5, 400), (70, 90), (16, 16)]:
        square = to_square(picture(height, width), 16)
        assert (square.dtype, square.shape) == (torch.uint8, (3, 16, 16))
    image = picture(16, 16)
    np.testing.assert_array_equal(to_square(image, 16).permute(1, 2, 0), image)
