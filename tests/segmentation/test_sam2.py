import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file

from grounded_ram.errors import MissingDependencyError, WeightsError
from grounded_ram.segmentation.sam2 import SAM2Segmenter, load_edgetam, load_sam2
from grounded_ram.weights import Checkpoint
from tests.segmentation import small_networks
from tests.segmentation.small_networks import (
    CPU,
    SIDE,
    assert_close,
    detections,
    need,
    old_transformers,
    picture,
    write_config,
    write_files,
)

need("Sam2Model")
IMAGE = picture(47, 90)
BOXES = [[5, 5, 40, 40], [20, 10, 80, 46], [50, 30, 85, 45]]
Load = Callable[..., SAM2Segmenter]


@pytest.fixture(scope="module", params=["sam2", "edgetam"])
def family(request: pytest.FixtureRequest) -> tuple[Any, Load]:
    """A network and the loader of its files."""
    if request.param == "edgetam" and not hasattr(transformers, "EdgeTamModel"):
        pytest.skip(f"transformers {transformers.__version__} has no EdgeTamModel")
    load = {"sam2": load_sam2, "edgetam": load_edgetam}[request.param]
    return getattr(small_networks, request.param)(), load


@pytest.fixture(scope="module")
def processor() -> Any:
    """The class's own way of preparing images."""
    name = "Sam2ImageProcessor" if hasattr(transformers, "Sam2ImageProcessor") else None
    images = getattr(transformers, name or "Sam2ImageProcessorFast")
    return transformers.Sam2Processor(images(size={"height": SIDE, "width": SIDE}))


@pytest.mark.parametrize("unstable", [False, True])
def test_masks_are_those_of_the_processor(
    family: tuple[Any, Load], processor: Any, unstable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, _ = family
    threshold = 2.0 if unstable else 0.0  # of how stable the one mask must be to be taken
    monkeypatch.setattr(network.mask_decoder, "dynamic_multimask_stability_thresh", threshold)
    [found] = SAM2Segmenter(network, device=CPU).segment([IMAGE], [detections(BOXES)])
    given = processor(images=IMAGE, input_boxes=[BOXES], return_tensors="pt")
    with torch.inference_mode():
        expected = network(
            pixel_values=given["pixel_values"],
            input_boxes=given["input_boxes"],
            multimask_output=False,
        )
    [masks] = processor.post_process_masks(expected.pred_masks, given["original_sizes"])
    assert np.mean(np.asarray(found.mask) != masks[:, 0].numpy()) < 1e-4
    scores = expected.iou_scores[0, :, 0].numpy()
    np.testing.assert_allclose(found.data["mask_score"], scores, atol=1e-5)


def test_pixels_are_those_of_the_processor(
    family: tuple[Any, Load], processor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, _ = family
    seen: list[torch.Tensor] = []
    encode = network.get_image_embeddings
    monkeypatch.setattr(
        network, "get_image_embeddings", lambda batch: (seen.append(batch), encode(batch))[1]
    )
    images = [IMAGE, picture(200, 33, seed=3)]
    SAM2Segmenter(network, device=CPU).embed(images)
    for ours, image in zip(seen[0], images, strict=True):
        theirs = processor(images=image, return_tensors="pt")["pixel_values"][0]
        np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=0)


def test_files_open_as_the_same_segmenter(family: tuple[Any, Load], tmp_path: Path) -> None:
    network, load = family
    found = load(write_files(tmp_path, network), device=CPU, dtype=torch.float32)
    given = [IMAGE], [detections(BOXES)]
    assert_close(found.segment(*given)[0], SAM2Segmenter(network, device=CPU).segment(*given)[0])


def test_the_released_files_are_of_networks_for_videos(
    family: tuple[Any, Load], tmp_path: Path
) -> None:
    network, load = family
    row = write_files(tmp_path, small_networks.for_videos(network))
    assert "_video" in (tmp_path / "config.json").read_text()
    assert len(load_file(tmp_path / "model.safetensors")) > len(network.state_dict())
    found = load(row, device=CPU, dtype=torch.float32)
    given = [IMAGE], [detections(BOXES)]
    assert_close(found.segment(*given)[0], SAM2Segmenter(network, device=CPU).segment(*given)[0])


def test_a_preprocessor_of_its_own_is_followed(family: tuple[Any, Load], tmp_path: Path) -> None:
    network, load = family
    (tmp_path / "p.json").write_text('{"image_mean": [0, 0, 0], "image_std": [2, 2, 2]}')
    row = write_files(tmp_path, network, preprocessor="p.json")
    own, usual = (load(one, device=CPU, dtype=torch.float32) for one in (row, row_without(row)))
    assert own._pixels.std == (2, 2, 2)
    assert usual._pixels.std == (0.229, 0.224, 0.225)


def row_without(row: Checkpoint) -> Checkpoint:
    files = {role: file for role, file in row.files.items() if role != "preprocessor"}
    return Checkpoint(name=row.name, summary="", licence="", files=files)


def test_weights_of_another_model_are_refused(family: tuple[Any, Load], tmp_path: Path) -> None:
    network, load = family
    row = write_files(tmp_path, network)
    config = deepcopy(network.config)
    config.mask_decoder_config.mlp_dim = 32
    write_config(tmp_path, config)
    message = r"does not fit 'small:mine': mask_decoder.* is (.* expected|of another)"
    with pytest.raises(WeightsError, match=message):
        load(row, device=CPU, dtype=torch.float32)


@pytest.mark.parametrize(
    ("load", "message"),
    [(load_sam2, r"Sam2Model .* 4\.56"), (load_edgetam, r"EdgeTamModel .* 4\.57")],
)
def test_an_old_transformers_is_told_before_anything_is_fetched(
    load: Load, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", old_transformers())
    row = Checkpoint(name="sam2:none", summary="", licence="", files={})
    with pytest.raises(MissingDependencyError, match=message):
        load(row, device=CPU, dtype=torch.float32)
