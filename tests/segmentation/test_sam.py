import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import supervision as sv
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from grounded_ram.errors import InputError, WeightsError
from grounded_ram.segmentation import sam as sam_module
from grounded_ram.segmentation.boxes import scale_boxes
from grounded_ram.segmentation.sam import (
    SAMConfig,
    SAMSegmenter,
    build_sam,
    fitted_hw,
    load_sam,
    load_weights,
    open_sam,
    resize_image,
)
from grounded_ram.weights import Checkpoint, WeightFile

CPU = torch.device("cpu")
CONFIGS = Path(sam_module.__file__).parents[1] / "assets" / "configs"
GOLDEN_CONFIG = SAMConfig(
    image_size=128,
    encoder_width=48,
    encoder_depth=4,
    encoder_heads=4,
    window_size=3,
    global_blocks=(1, 3),
    prompt_width=32,
    decoder_heads=4,
    decoder_mlp=64,
    iou_head_width=32,
)


@pytest.fixture(scope="module")
def state(golden: Path) -> dict[str, torch.Tensor]:
    tensors = load_file(golden / "sam" / "state_dict.safetensors")
    return {name: tensor.float() for name, tensor in tensors.items()}


@pytest.fixture(scope="module")
def segmenter(state: dict[str, torch.Tensor]) -> SAMSegmenter:
    model = build_sam(GOLDEN_CONFIG)
    load_weights(model, state, "golden")
    return SAMSegmenter(model, device=CPU)


@pytest.fixture(scope="module")
def image(golden: Path) -> NDArray[np.uint8]:
    return np.array(PIL.Image.open(golden / "sam" / "image.png").convert("RGB"))


@pytest.fixture(scope="module")
def outputs(golden: Path) -> dict[str, NDArray[Any]]:
    return dict(np.load(golden / "sam" / "outputs.npz"))


@pytest.fixture(scope="module")
def boxes(golden: Path) -> NDArray[np.float32]:
    found: NDArray[np.float32] = np.load(golden / "sam" / "inputs.npz")["boxes_xyxy"]
    return found


def other_image() -> NDArray[np.uint8]:
    return np.random.default_rng(5).integers(0, 256, (40, 23, 3), np.uint8)


def detections(boxes: Any) -> sv.Detections:
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    n = len(xyxy)
    return sv.Detections(
        xyxy=xyxy,
        confidence=np.linspace(0.9, 0.5, n, dtype=np.float32),
        class_id=np.arange(n),
        data={"class_name": np.array([f"thing {i}" for i in range(n)], dtype=str)},
    )


def assert_same(a: sv.Detections, b: sv.Detections) -> None:
    np.testing.assert_array_equal(np.asarray(a.mask), np.asarray(b.mask))
    np.testing.assert_array_equal(a.data["mask_score"], b.data["mask_score"])


# --- against the official implementation ----------------------------------------------------------


def test_preprocessing_is_the_official_one(
    segmenter: SAMSegmenter, image: NDArray[np.uint8], outputs: dict[str, NDArray[Any]]
) -> None:
    resized = torch.from_numpy(resize_image(image, 128)).permute(2, 0, 1).float()
    prepared = segmenter.model.preprocess(resized).numpy()
    np.testing.assert_allclose(prepared[:, ::4, ::4], outputs["preprocessed"], atol=1e-5, rtol=0)


def test_resize_gives_the_official_pixels(golden: Path) -> None:
    image = np.array(PIL.Image.open(golden / "preprocess" / "rgb.png").convert("RGB"))
    expected = np.array(PIL.Image.open(golden / "preprocess" / "sam_resized_128.png"))
    np.testing.assert_array_equal(resize_image(image, 128), expected)


def test_sizes_follow_the_official_rounding(golden: Path) -> None:
    facts = json.loads((golden / "preprocess" / "outputs.json").read_text())
    for size, expected in facts["sam_resized_hw_for_1024"].items():
        height, width = map(int, size.split("x"))
        assert fitted_hw((height, width), 1024) == tuple(expected), size


def test_a_thin_image_keeps_one_pixel() -> None:
    assert fitted_hw((20000, 5), 1024) == (1024, 1)


def test_boxes_move_as_the_official_ones(golden: Path) -> None:
    arrays = np.load(golden / "preprocess" / "outputs.npz")
    moved = scale_boxes(arrays["sam_boxes"], (87, 123), fitted_hw((87, 123), 128))
    np.testing.assert_allclose(moved, arrays["sam_boxes_transformed"], rtol=1e-6)


def test_embedding_matches(
    segmenter: SAMSegmenter, image: NDArray[np.uint8], outputs: dict[str, NDArray[Any]]
) -> None:
    [embedded] = segmenter.embed([image])
    assert (embedded.size_hw, embedded.input_hw) == ((75, 101), (95, 128))
    np.testing.assert_allclose(embedded.features, outputs["image_embedding"], atol=1e-4, rtol=0)
    dense_pe = segmenter.model.prompt_encoder.get_dense_pe().detach()
    np.testing.assert_allclose(dense_pe, outputs["dense_pe"], atol=1e-5, rtol=0)


def test_logits_and_scores_match(
    segmenter: SAMSegmenter,
    image: NDArray[np.uint8],
    boxes: NDArray[np.float32],
    outputs: dict[str, NDArray[Any]],
) -> None:
    [embedded] = segmenter.embed([image])
    logits, iou = segmenter.decode(embedded, boxes)
    np.testing.assert_allclose(logits, outputs["box_low_res_logits"], atol=1e-4, rtol=0)
    np.testing.assert_allclose(iou, outputs["box_iou"], atol=1e-5, rtol=0)


def test_masks_match(
    segmenter: SAMSegmenter,
    image: NDArray[np.uint8],
    boxes: NDArray[np.float32],
    outputs: dict[str, NDArray[Any]],
) -> None:
    [found] = segmenter.segment([image], [detections(boxes)])
    sure = np.abs(outputs["box_mask_logits"][:, 0]) > 1e-4
    masks = np.asarray(found.mask)
    np.testing.assert_array_equal(masks[sure], outputs["box_masks"][:, 0][sure])
    assert np.count_nonzero(~sure) == 1
    expected = outputs["box_iou"][:, 0].clip(0, 1)
    np.testing.assert_allclose(found.data["mask_score"], expected, atol=1e-5)


@pytest.mark.parametrize("size", ["b", "l", "h"])
def test_official_sizes_have_the_released_keys(shared: Path, size: str) -> None:
    manifest = json.loads((shared / "golden" / f"manifest_sam_vit_{size}.json").read_text())
    expected = {name: row["shape"] for name, row in manifest["keys"].items()}
    config = json.loads((CONFIGS / f"sam_vit_{size}.json").read_text())
    with torch.device("meta"):
        model = build_sam(SAMConfig.from_dict(config["model"]))
    assert {name: list(t.shape) for name, t in model.state_dict().items()} == expected


# --- one image knows nothing of another -----------------------------------------------------------


def test_two_unlike_sizes_in_one_call_equal_the_singles_to_the_bit(
    segmenter: SAMSegmenter, image: NDArray[np.uint8], boxes: NDArray[np.float32]
) -> None:
    images = [image, other_image()]
    found = [detections(boxes), detections([[2, 3, 20, 30], [0, 0, 23, 40]])]
    together = segmenter.segment(images, found)
    for i in range(2):
        assert together[i].mask.shape[1:] == images[i].shape[:2]
        assert_same(together[i], segmenter.segment([images[i]], [found[i]])[0])
    for before, after in zip(
        segmenter.segment(images[::-1], found[::-1]), together[::-1], strict=True
    ):
        assert_same(before, after)


def test_larger_batches_agree(
    state: dict[str, torch.Tensor], segmenter: SAMSegmenter, image: NDArray[np.uint8]
) -> None:
    wide = SAMSegmenter(segmenter.model, device=CPU, batch_size=3)
    images = [image, other_image(), image[:, ::-1].copy()]
    for one, many in zip(segmenter.embed(images[1:2]), wide.embed(images)[1:2], strict=True):
        np.testing.assert_allclose(one.features, many.features, atol=1e-4, rtol=0)
    found = [detections([[2, 3, 20, 30]])] * 3
    for one, many in zip(
        segmenter.segment(images, found), wide.segment(images, found), strict=True
    ):
        assert np.mean(np.asarray(one.mask) != np.asarray(many.mask)) < 1e-3


def test_boxes_in_chunks_agree_and_stay_in_order(
    segmenter: SAMSegmenter,
    image: NDArray[np.uint8],
    boxes: NDArray[np.float32],
) -> None:
    many = np.concatenate([boxes, boxes[::-1], boxes[:1]])
    [whole] = segmenter.segment([image], [detections(many)])
    small = SAMSegmenter(segmenter.model, device=CPU, boxes_at_once=4)
    [pieces] = small.segment([image], [detections(many)])
    assert len(pieces.mask) == 9
    np.testing.assert_allclose(whole.data["mask_score"], pieces.data["mask_score"], atol=1e-5)
    differing = np.asarray(whole.mask) != np.asarray(pieces.mask)
    assert differing.mean(axis=(1, 2)).max() < 1e-3


# --- ordinary emptiness and odd boxes -------------------------------------------------------------


def test_no_boxes_skip_the_encoder_and_keep_every_column(
    segmenter: SAMSegmenter, image: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(images: Any) -> Any:
        raise AssertionError("the encoder was run")

    monkeypatch.setattr(segmenter, "embed", fail)
    for empty in (detections([]), sv.Detections.empty()):
        [found] = segmenter.segment([image], [empty])
        assert isinstance(found.mask, sv.CompactMask)
        assert found.mask.shape == (0, 75, 101)
        assert found.data["mask_score"].dtype == np.float32
        assert found.data["mask_score"].shape == (0,)
    assert segmenter.segment([], []) == []


def test_an_image_without_boxes_between_others(
    segmenter: SAMSegmenter, image: NDArray[np.uint8], boxes: NDArray[np.float32]
) -> None:
    rows = [detections(boxes), detections([]), detections(boxes[:1])]
    found = segmenter.segment([image, other_image(), image], rows)
    assert [one.mask.shape for one in found] == [(4, 75, 101), (0, 40, 23), (1, 75, 101)]
    assert_same(found[2], segmenter.segment([image], rows[2:])[0])


@pytest.mark.parametrize(
    "box",
    [
        [50, 40, 51, 41],
        [0, 0, 1, 1],
        [100, 74, 101, 75],
        [0, 0, 101, 75],
        [30, 20, 30, 20],
    ],
)
def test_tiny_and_border_boxes(
    segmenter: SAMSegmenter, image: NDArray[np.uint8], box: list[float]
) -> None:
    [found] = segmenter.segment([image], [detections([box])])
    assert found.mask.shape == (1, 75, 101)
    assert 0 <= found.data["mask_score"][0] <= 1


def test_one_pixel_and_very_long_images(segmenter: SAMSegmenter) -> None:
    images = [np.full((1, 1, 3), 90, np.uint8), np.zeros((20000, 5, 3), np.uint8)]
    found = segmenter.segment(images, [detections([[0, 0, 1, 1]]), detections([[0, 5, 5, 900]])])
    assert [one.mask.shape for one in found] == [(1, 1, 1), (1, 20000, 5)]


def test_empty_masks_are_ordinary(
    state: dict[str, torch.Tensor], image: NDArray[np.uint8], boxes: NDArray[np.float32]
) -> None:
    last = "mask_decoder.output_hypernetworks_mlps.0.layers.2."
    zero = {key: torch.zeros_like(state[key]) for key in (last + "weight", last + "bias")}
    model = build_sam(GOLDEN_CONFIG)
    load_weights(model, {**state, **zero}, "golden")  # all logits are 0
    segmenter = SAMSegmenter(model, device=CPU)
    [found] = segmenter.segment([image], [detections(boxes)])
    assert found.mask.shape == (4, 75, 101)
    assert found.mask.area.tolist() == [0, 0, 0, 0]
    assert not np.asarray(found[1:3].mask).any()


def test_a_mask_may_leave_its_box(
    segmenter: SAMSegmenter, image: NDArray[np.uint8], boxes: NDArray[np.float32]
) -> None:
    [found] = segmenter.segment([image], [detections(boxes)])
    x1, y1, x2, y2 = boxes[0].astype(int)
    outside = np.asarray(found.mask)[0].copy()
    outside[y1 : y2 + 1, x1 : x2 + 1] = False
    assert outside.any()


def test_rows_and_inputs_stay_as_they_were(
    segmenter: SAMSegmenter, image: NDArray[np.uint8], boxes: NDArray[np.float32]
) -> None:
    given, pixels = detections(boxes), image.copy()
    [found] = segmenter.segment([image], [given])
    assert given.mask is None
    assert "mask_score" not in given.data
    np.testing.assert_array_equal(image, pixels)
    np.testing.assert_array_equal(found.xyxy, given.xyxy)
    np.testing.assert_array_equal(found.confidence, given.confidence)
    np.testing.assert_array_equal(found.class_id, given.class_id)
    np.testing.assert_array_equal(found.data["class_name"], given.data["class_name"])


def test_a_missing_detections_is_refused(segmenter: SAMSegmenter, image: NDArray[np.uint8]) -> None:
    with pytest.raises(InputError, match="got 0 for 1 images"):
        segmenter.segment([image], [])


def test_bfloat16_stays_close(
    segmenter: SAMSegmenter, image: NDArray[np.uint8], boxes: NDArray[np.float32]
) -> None:
    half = SAMSegmenter(segmenter.model, device=CPU, dtype=torch.bfloat16)
    exact, rough = segmenter.embed([image])[0].features, half.embed([image])[0].features
    assert rough.dtype == torch.float32
    assert 0 < (exact - rough).abs().max() < 0.2
    a = np.asarray(segmenter.segment([image], [detections(boxes)])[0].mask)
    b = np.asarray(half.segment([image], [detections(boxes)])[0].mask)
    assert ((a & b).sum() / (a | b).sum()) > 0.97


# --- configs and weights --------------------------------------------------------------------------


def write_files(folder: Path, state: dict[str, torch.Tensor], config: Any) -> tuple[Path, Path]:
    paths = folder / "sam.json", folder / "sam.pth"
    paths[0].write_text(config if isinstance(config, str) else json.dumps(config))
    torch.save(state, paths[1])
    return paths


def golden_json() -> dict[str, Any]:
    return {"model": {name: getattr(GOLDEN_CONFIG, name) for name in SAMConfig.__annotations__}}


def test_files_open_as_the_same_segmenter(
    tmp_path: Path,
    state: dict[str, torch.Tensor],
    segmenter: SAMSegmenter,
    image: NDArray[np.uint8],
    boxes: NDArray[np.float32],
) -> None:
    paths = write_files(tmp_path, state, golden_json())
    files = {
        role: WeightFile(name=path.name, source=f"file:{path}")
        for role, path in zip(("config", "weights"), paths, strict=True)
    }
    checkpoint = Checkpoint(name="sam:mine", summary="", licence="Apache-2.0", files=files)
    loaded = load_sam(checkpoint, device=CPU, dtype=torch.float32)
    [found] = loaded.segment([image], [detections(boxes)])
    assert_same(found, segmenter.segment([image], [detections(boxes)])[0])


def test_weights_of_another_model_are_refused(
    tmp_path: Path, state: dict[str, torch.Tensor]
) -> None:
    name = "mask_decoder.iou_token.weight"
    others = {
        rf"1 missing \({name}\)": {key: value for key, value in state.items() if key != name},
        r"1 unknown \(decoder.extra\)": state | {"decoder.extra": torch.zeros(1)},
        r"iou_token.weight is \(1, 33\), expected \(1, 32\)": state | {name: torch.zeros(1, 33)},
    }
    for message, weights in others.items():
        paths = write_files(tmp_path, weights, golden_json())
        with pytest.raises(WeightsError, match=message):
            open_sam(*paths, device=CPU, dtype=torch.float32)


@pytest.mark.parametrize(
    "config",
    ["not json", "[]", "{}", {"model": {"img": 128}}, {"model": {"image_size": "128"}}],
)
def test_broken_configs_are_refused(
    tmp_path: Path, state: dict[str, torch.Tensor], config: Any
) -> None:
    paths = write_files(tmp_path, state, config)
    with pytest.raises(WeightsError, match="expected a SAM config"):
        open_sam(*paths, device=CPU, dtype=torch.float32)


def test_unknown_fields_are_named() -> None:
    with pytest.raises(InputError, match="unknown fields img, win; known: image_size"):
        SAMConfig.from_dict({"win": 3, "img": 128})


@pytest.mark.parametrize(
    "change",
    [
        {"patch_size": 15},
        {"encoder_heads": 5},
        {"decoder_heads": 3},
        {"prompt_width": 12, "decoder_heads": 2},
        {"global_blocks": (12,)},
        {"patch_size": 0},
    ],
)
def test_sizes_that_do_not_fit_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="SAM: expected"):
        replace(SAMConfig(), **change)


def test_a_fresh_model_can_learn() -> None:
    model = build_sam(replace(GOLDEN_CONFIG, patch_size=8)).train()
    embedding = model.image_encoder(torch.rand(1, 3, 128, 128))
    assert embedding.shape == (1, 32, 16, 16)
    embedding.sum().backward()
    assert model.image_encoder.patch_embed.proj.weight.grad is not None
