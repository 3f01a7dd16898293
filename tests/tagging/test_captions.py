from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image as PILImage
from safetensors.torch import load_file, save_file

from grounded_ram.annotation import Tags
from grounded_ram.errors import InputError, WeightsError
from grounded_ram.ram.caption import Search
from grounded_ram.tagging.captions import CaptioningTagger, load_ram_captioner, read_text
from grounded_ram.tagging.ram import RAMTagger, prepare, read_ram
from grounded_ram.tagging.tag2text import read_tag2text
from grounded_ram.weights import Checkpoint, WeightFile
from tests.golden_captions import ram_files, tag2text_files

Pixels = NDArray[np.uint8]


def row(files: dict[str, Path], name: str = "ram:golden") -> Checkpoint:
    return Checkpoint(
        name=name,
        summary="the golden case",
        licence="Apache-2.0",
        files={role: WeightFile(name=p.name, source=f"file:{p}") for role, p in files.items()},
    )


@pytest.fixture
def files(golden: Path, tmp_path: Path) -> dict[str, Path]:
    return ram_files(golden, tmp_path)


@pytest.fixture(scope="module")
def pictures(golden: Path) -> list[Pixels]:
    """Three pictures of unlike sizes."""
    with PILImage.open(golden / "preprocess" / "rgb.png") as opened:
        first = np.array(opened.convert("RGB"))
    return [first, np.ascontiguousarray(first[:40, ::-1]), np.full((1, 1, 3), 90, np.uint8)]


def tag2text(golden: Path, tmp_path: Path, **options: Any) -> CaptioningTagger:
    files = tag2text_files(golden, tmp_path)
    network, table, _ = read_tag2text(files, "golden")
    return CaptioningTagger(network, table, *read_text(network, files, "golden"), **options)


def ram(files: dict[str, Path], **options: Any) -> CaptioningTagger:
    network, table = read_ram(files, "golden")
    return CaptioningTagger(network, table, *read_text(network, files, "golden"), **options)


@pytest.fixture(scope="module")
def captioner(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> CaptioningTagger:
    """The golden Tag2Text; tests leave it as it is."""
    return tag2text(golden, tmp_path_factory.mktemp("golden"))


def by_hand(captioner: CaptioningTagger, picture: Pixels, names: list[str], search: Search) -> str:
    """One caption straight from the networks, which are held to the official ones elsewhere."""
    batch = prepare(picture, captioner.image_size)[None]
    with torch.inference_mode():
        tokens = captioner.network.image_tokens(captioner.network.visual_encoder(batch).tokens)
        (caption,) = captioner.text.write([names], tokens, captioner.tokenizer, search)
    return caption


@pytest.mark.parametrize("batch_size", [1, 2])
def test_captions_are_the_networks_by_the_tags_seen_or_given(
    golden: Path, tmp_path: Path, pictures: list[Pixels], batch_size: int
) -> None:
    captioner = tag2text(golden, tmp_path, batch_size=batch_size)
    table = captioner.table
    seen = [
        [table.names[i] for i in np.flatnonzero(scores > table.thresholds)]
        for scores in captioner.scores(pictures)
    ]
    given = [["dog", "tennis court"], [], ["a very unusual hydrant"]]
    by_seen, by_given = (
        [by_hand(captioner, p, n, Search()) for p, n in zip(pictures, names, strict=True)]
        for names in (seen, given)
    )
    assert captioner.caption(pictures) == by_seen
    assert captioner.caption(pictures, tags=given) == by_given
    assert len({*by_seen, *by_given}) > 3


@pytest.mark.parametrize(
    "numbers",
    [
        {"num_beams": 1},
        {"max_length": 10},
        {"min_length": 16},
        {"repetition_penalty": 3.0},
    ],
)
def test_numbers_of_the_search_are_passed_on(
    captioner: CaptioningTagger, pictures: list[Pixels], numbers: dict[str, Any]
) -> None:
    expected = [by_hand(captioner, picture, [], Search(**numbers)) for picture in pictures]
    assert captioner.caption(pictures, tags=[[]] * 3, **numbers) == expected
    assert captioner.caption(pictures, tags=[[]] * 3) != expected


def test_a_batch_of_unlike_sizes_equals_single_images(
    captioner: CaptioningTagger, pictures: list[Pixels]
) -> None:
    together = captioner.caption(pictures)
    assert len(set(together)) > 1
    for picture, caption in zip(pictures, together, strict=True):
        assert captioner.caption([picture]) == [caption]
    assert captioner.caption(pictures[::-1]) == together[::-1]


def test_the_order_of_tags_seen_does_not_count_and_that_of_names_does(
    captioner: CaptioningTagger, pictures: list[Pixels]
) -> None:
    tags = captioner.tag(pictures)
    by_list_order = captioner.caption(pictures)
    assert captioner.caption(pictures, tags=tags) == by_list_order
    backwards = [Tags(t.names[::-1], t.scores[::-1], t.kinds[::-1]) for t in tags]
    assert captioner.caption(pictures, tags=backwards) == by_list_order
    assert captioner.caption(pictures, tags=[t.names for t in tags]) != by_list_order


def test_strange_tags_come_last(captioner: CaptioningTagger, pictures: list[Pixels]) -> None:
    tags = Tags.of(["rain", "bus", "sunset", "bread"])
    expected = captioner.caption(pictures[:1], tags=[["bread", "sunset", "rain", "bus"]])
    assert captioner.caption(pictures[:1], tags=[tags]) == expected
    for order in (["rain", "bus", "bread", "sunset"], ["bread", "rain", "bus", "sunset"]):
        assert captioner.caption(pictures[:1], tags=[order]) != expected


def test_no_images_give_no_captions(captioner: CaptioningTagger) -> None:
    assert captioner.caption([]) == []
    assert captioner.caption([], tags=[]) == []


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ([["dog"]], "tags: expected 3 entries, one an image, got 1"),
        ("dog", r"one list of names for each image, got 'dog'; write \[\["),
        (["dog", "cat", "train"], "one list of names for each image, got 'dog'"),
    ],
)
def test_tags_of_another_shape_are_refused(
    captioner: CaptioningTagger, pictures: list[Pixels], tags: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        captioner.caption(pictures, tags=tags)


def test_numbers_out_of_range_are_refused_before_anything_runs(
    captioner: CaptioningTagger,
) -> None:
    with pytest.raises(InputError, match="num_beams must be at least 1, got 0"):
        captioner.caption([], num_beams=0)


def test_bfloat16_writes_captions_too(golden: Path, tmp_path: Path, pictures: list[Pixels]) -> None:
    captioner = tag2text(golden, tmp_path, dtype=torch.bfloat16)
    types = set()
    first = captioner.text.text_decoder.bert.layers[0].attention.self.query
    first.register_forward_hook(lambda module, inputs, output: types.add(output.dtype))
    captions = captioner.caption(pictures)
    assert types == {torch.bfloat16}
    assert len(captions) == 3
    assert all(len(caption.split()) > 2 for caption in captions)
    greedy = captioner.caption(pictures, num_beams=1, tags=[["dog"], ["cat"], ["train"]])
    assert all(greedy)


def test_ram_tags_and_writes(files: dict[str, Path], pictures: list[Pixels]) -> None:
    """Its text networks are random here: what it writes is no sentence, but the picture's own."""
    captioner = load_ram_captioner(row(files), device=torch.device("cpu"), dtype=torch.float32)
    tagger = RAMTagger(*read_ram(files, "golden"))
    np.testing.assert_array_equal(captioner.scores(pictures), tagger.scores(pictures))
    captions = captioner.caption(pictures, min_length=1)
    assert captions == captioner.caption(pictures, tags=tagger.tag(pictures), min_length=1)
    given = captioner.caption(pictures, tags=[["dog"], ["dog"], ["dog"]], min_length=1)
    assert len({*captions, *given}) > 2


def test_the_row_decides_device_and_type(files: dict[str, Path]) -> None:
    loaded = load_ram_captioner(row(files), device=torch.device("cpu"), dtype=torch.bfloat16)
    assert (loaded.device, loaded.dtype) == (torch.device("cpu"), torch.bfloat16)


def test_the_networks_are_set_to_evaluation(files: dict[str, Path]) -> None:
    captioner = ram(files)
    assert not any(m.training for n in (captioner.network, captioner.text) for m in n.modules())


def rewrite(files: dict[str, Path], drop: str = "none", **changed: torch.Tensor) -> None:
    """Put other weights beside the config."""
    state = load_file(files["weights"]) | changed
    files["weights"] = files["config"].with_name("weights.safetensors")
    save_file({k: v for k, v in state.items() if not k.startswith(drop)}, files["weights"])


def test_a_checkpoint_that_only_tags_says_so(files: dict[str, Path]) -> None:
    rewrite(files, drop=("tag_encoder.", "text_decoder."))
    message = r"^golden: .* do not write captions: they have no keys tag_encoder\.\* or text_dec"
    with pytest.raises(WeightsError, match=message):
        ram(files)


@pytest.mark.parametrize(
    "key",
    [
        "tag_encoder.encoder.layer.2.attention.self.query.bias",
        "tag_encoder.encoder.layer.0.output.dense.bias",
        "text_decoder.cls.predictions.decoder.weight",
    ],
)
def test_a_missing_key_is_an_error(files: dict[str, Path], key: str) -> None:
    rewrite(files, drop=key)
    with pytest.raises(WeightsError, match=rf"CaptionNetworks: keys 1 missing \({key}\)$"):
        ram(files)


def test_an_unknown_key_is_an_error(files: dict[str, Path]) -> None:
    rewrite(files, **{"text_decoder.extra": torch.zeros(1)})
    with pytest.raises(WeightsError, match=r"keys 1 unknown \(text_decoder\.extra\)"):
        ram(files)


@pytest.mark.parametrize(
    "key",
    [
        "tagging_head.encoder.layer.1.crossattention.self.value.weight",
        "text_decoder.bert.embeddings.word_embeddings.weight",
    ],
)
def test_one_tensor_with_two_values_is_an_error(files: dict[str, Path], key: str) -> None:
    rewrite(files, **{key: load_file(files["weights"])[key] + 1})
    with pytest.raises(WeightsError, match=r"one tensor under two names, got two: .* and ") as e:
        ram(files)
    assert key in str(e.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": {"words": 3}}, "text sizes cannot be used: .*'words'"),
        ({"text": {"vocab_size": 1227, "heads": 7}}, "48 channels cannot be split over 7 heads"),
        ({"text": {"vocab_size": 99, "heads": 6}}, r"know 99 tokens; .*vocab\.txt .* has 1227"),
        ({"text": {"vocab_size": 1227, "layers": 2, "heads": 6}}, "of another shape|unknown"),
    ],
)
def test_text_sizes_that_do_not_fit_are_an_error(
    golden: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(WeightsError, match=message):
        ram(ram_files(golden, tmp_path, **change))


def test_a_row_without_a_vocabulary_says_so(files: dict[str, Path]) -> None:
    del files["vocab"]
    with pytest.raises(WeightsError, match='golden: captions need a file "vocab"'):
        ram(files)


def test_one_query_a_tag_is_demanded(files: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="a query for each of 20 tags, got 3"):
        ram(files, queries=torch.zeros(3, 48))
