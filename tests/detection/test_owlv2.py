from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers
from numpy.typing import NDArray
from packaging.version import Version

from grounded_ram.annotation import Tags
from grounded_ram.detection.owlv2 import OWLv2Detector, QueryTokenizer, preprocess
from grounded_ram.errors import InputError
from tests.detection.found import columns
from tests.detection.small_networks import OWL, build

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def network() -> Any:
    return build("owlv2", OWL)


def test_detections_are_the_networks_answer_in_the_padded_square(
    network: Any, pictures: list[Pixels]
) -> None:
    """Against the network's own ``forward``, and boxes in pixels of the square's side."""
    image, names = pictures[0], ["fire hydrant", "Car", "race car", "flag"]
    height, width = image.shape[:2]
    pixels, filled = preprocess(image, 48)
    ids, real = QueryTokenizer(16).batch(names)
    with torch.inference_mode():
        answer = network(input_ids=ids, pixel_values=pixels[None], attention_mask=real)
    best = answer.logits[0].sigmoid().max(1)
    order = best.values.argsort(descending=True, stable=True)
    x, y, w, h = answer.pred_boxes[0, order].numpy().T
    side = np.array([width / filled[0], height / filled[1]] * 2)
    corners = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1) * side
    corners = corners.clip(0, [width, height] * 2)
    inside = (corners[:, :2] < corners[:, 2:]).all(1)

    (found,) = OWLv2Detector(network).detect([image], [Tags.of(names)], threshold=0.0)
    boxes, scores, _, labels = columns(found)
    np.testing.assert_allclose(scores, best.values[order][inside], rtol=0, atol=1e-6)
    assert labels.tolist() == [names[n] for n in best.indices[order][inside]]
    assert len(set(labels)) > 1
    np.testing.assert_allclose(boxes, corners[inside], rtol=0, atol=1e-3)


@pytest.mark.parametrize("size_hw", [(24, 32), (32, 16), (48, 48), (96, 64)])
def test_images_are_prepared_as_transformers_does(size_hw: tuple[int, int]) -> None:
    if Version(transformers.__version__) < Version("5"):
        pytest.skip("versions before 5 pad with grey")
    noise = np.random.default_rng(1).integers(0, 256, (*size_hw, 3)).astype(np.float64)
    smooth = np.cumsum(np.cumsum(noise - 127, 0), 1)
    image = np.interp(smooth, (smooth.min(), smooth.max()), (0, 255)).astype(np.uint8)
    processor = transformers.Owlv2ImageProcessor(size={"height": 48, "width": 48})
    expected = processor(images=image, return_tensors="pt").pixel_values[0]
    pixels, filled = preprocess(image, 48)
    height, width = (int(n * 48 / max(size_hw)) for n in size_hw)
    assert (filled * 48).tolist() == [width, height]
    # Within the picture by its 8 bits and its rim, beyond it exactly.
    inner = (slice(None), slice(height - 2), slice(width - 2))
    assert (pixels[inner] - expected[inner]).abs().max() < 0.15
    assert (pixels[inner] - expected[inner]).abs().mean() < 0.02
    for rest in (pixels[:, height:], pixels[:, :, width:]):
        assert (rest - pixels[:, -1:, -1:]).abs().max() == 0 if rest.numel() else True
    np.testing.assert_allclose(
        pixels[:, height + 1 :], expected[:, height + 1 :], rtol=0, atol=1e-5
    )
    np.testing.assert_allclose(
        pixels[:, :, width + 1 :], expected[:, :, width + 1 :], rtol=0, atol=1e-5
    )


def test_tokens_are_those_of_clip() -> None:
    """Against transformers' tokenizer, over the vocabulary that open_clip carries."""
    tokenizer = QueryTokenizer(16)
    clip = tokenizer._clip
    merges = [" ".join(pair) for pair, _ in sorted(clip.bpe_ranks.items(), key=lambda row: row[1])]
    known = {
        {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}.get(t, t): n
        for t, n in clip.encoder.items()
    }
    theirs = reference(known, merges)
    names = ["dog", "T-shirt", "crème brûlée", "猫", "U.S. flag", "3D printer", "don't", "a  b"]
    ids, real = tokenizer.batch(names)
    assert ids.shape == real.shape == (8, int(real.sum(1).max()))
    for name, row, mask in zip(names, ids, real, strict=True):
        text = " ".join(name.replace(".", " ").split())
        assert row[mask.bool()].tolist() == theirs(f"a photo of a {text}")
        assert (row[~mask.bool()] == 0).all()


def reference(vocab: dict[str, int], merges: list[str]) -> Any:
    """Return transformers' way from a text to CLIP's tokens, both ends included."""
    if Version(transformers.__version__) >= Version("5"):
        pairs = [tuple(merge.split()) for merge in merges]
        tokenizer = transformers.CLIPTokenizer(vocab=vocab, merges=pairs)
        return lambda text: tokenizer(text)["input_ids"]
    pytest.skip("versions before 5 read the vocabulary from files only")


class TestErrors:
    def test_a_tag_beyond_the_text_encoders_positions_is_named(
        self, network: Any, pictures: list[Pixels]
    ) -> None:
        fits = " ".join(["dog"] * 10)
        detector = OWLv2Detector(network)
        detector.detect(pictures[:1], [Tags.of([fits])], threshold=0.3)
        with pytest.raises(
            InputError, match=f"'{fits} dog' makes a query of 15 tokens, at most 14"
        ):
            detector.detect(pictures[:1], [Tags.of(["cat", f"{fits} dog"])], threshold=0.3)

    def test_an_empty_tag_is_named(self, network: Any, pictures: list[Pixels]) -> None:
        with pytest.raises(InputError, match=r"tag '\?' has no text that a query can hold"):
            OWLv2Detector(network).detect(pictures[:1], [Tags.of(["dog", "?"])], threshold=0.3)
