import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from grounded_ram.errors import MissingDependencyError, WeightsError
from grounded_ram.segmentation.sam_hq import SAMHQSegmenter, load_sam_hq
from grounded_ram.weights import Checkpoint
from tests.segmentation.small_networks import (
    CPU,
    SIDE,
    assert_close,
    detections,
    need,
    old_transformers,
    picture,
    sam_hq,
    write_config,
    write_files,
)

need("SamHQModel")
IMAGE = picture(47, 90)
BOXES = [[5, 5, 40, 40], [20, 10, 80, 46], [50, 30, 85, 45]]


@pytest.fixture(scope="module")
def network() -> Any:
    return sam_hq()


@pytest.fixture(scope="module")
def processor() -> Any:
    """The class's own way of preparing images, by Pillow as the released SAM-HQ does."""
    name = "SamImageProcessorPil" if hasattr(transformers, "SamImageProcessorPil") else None
    pillow = getattr(transformers, name or "SamImageProcessor")
    square = {"height": SIDE, "width": SIDE}
    return transformers.SamHQProcessor(pillow(size={"longest_edge": SIDE}, pad_size=square))


def official(network: Any, processor: Any, **options: Any) -> tuple[Any, Any, Any]:
    """Return pixel values, (N, H, W) masks and (N,) scores by the class's own processor."""
    given = processor(IMAGE, input_boxes=[BOXES], return_tensors="pt")
    with torch.inference_mode():
        found = network(
            pixel_values=given["pixel_values"],
            input_boxes=given["input_boxes"].float(),
            multimask_output=False,
            **options,
        )
    sizes = given["original_sizes"], given["reshaped_input_sizes"]
    [masks] = processor.post_process_masks(found.pred_masks, *sizes)
    return given["pixel_values"], masks[:, 0].numpy(), found.iou_scores[0, :, 0].numpy()


@pytest.mark.filterwarnings("ignore:The following named arguments are not valid:UserWarning")
@pytest.mark.parametrize("options", [{}, {"hq_token_only": True}])
def test_masks_are_those_of_the_processor(
    network: Any, processor: Any, options: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    encode = network.get_image_embeddings
    monkeypatch.setattr(
        network, "get_image_embeddings", lambda batch: (seen.append(batch), encode(batch))[1]
    )
    segmenter = SAMHQSegmenter(network, device=CPU, **options)
    [found] = segmenter.segment([IMAGE], [detections(BOXES)])
    values, masks, scores = official(network, processor, **options)
    np.testing.assert_allclose(seen[0], values, atol=1e-5, rtol=0)
    assert np.mean(np.asarray(found.mask) != masks) < 1e-4
    np.testing.assert_allclose(found.data["mask_score"], scores.clip(0, 1), atol=1e-5)


def test_a_score_beyond_1_is_1(network: Any) -> None:
    sure = deepcopy(network)
    sure.mask_decoder.iou_prediction_head.proj_out.bias.data += 3
    [found] = SAMHQSegmenter(sure, device=CPU).segment([IMAGE], [detections(BOXES)])
    assert found.data["mask_score"].tolist() == [1, 1, 1]


def test_files_open_as_the_same_segmenter(network: Any, tmp_path: Path) -> None:
    row = write_files(tmp_path, network)
    found = load_sam_hq(row, device=CPU, dtype=torch.float32)
    given = [IMAGE], [detections(BOXES)]
    assert_close(found.segment(*given)[0], SAMHQSegmenter(network, device=CPU).segment(*given)[0])


def test_a_preprocessor_of_its_own_is_followed(network: Any, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"image_mean": [0, 0, 0], "image_std": [1, 1, 1]}')
    row = write_files(tmp_path, network, preprocessor="p.json")
    seen = load_sam_hq(row, device=CPU, dtype=torch.float32)._prepare(IMAGE[:32, :SIDE])
    np.testing.assert_allclose(seen[:, :32].permute(1, 2, 0), IMAGE[:32, :SIDE] / 255, atol=1e-6)
    assert not seen[:, 32:].any()


def test_weights_of_another_model_are_refused(network: Any, tmp_path: Path) -> None:
    row = write_files(tmp_path, network)
    config = deepcopy(network.config)
    config.mask_decoder_config.mlp_dim = 32
    write_config(tmp_path, config)
    message = r"does not fit 'small:mine': mask_decoder.* is (.* expected|of another)"
    with pytest.raises(WeightsError, match=message):
        load_sam_hq(row, device=CPU, dtype=torch.float32)


def test_an_old_transformers_is_told_before_anything_is_fetched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", old_transformers())
    row = Checkpoint(name="sam-hq:none", summary="", licence="", files={})
    with pytest.raises(MissingDependencyError, match=r"SamHQModel came with transformers 4\.52"):
        load_sam_hq(row, device=CPU, dtype=torch.float32)
