import json
from pathlib import Path

import pytest
import torch

from grounded_ram.errors import InputError, UnknownNameError, WeightsError
from grounded_ram.ram.label_queries import CLIPLabels
from grounded_ram.training.networks import Start, make_networks, start_from, trained_state
from grounded_ram.weights import load_state_dict
from tests.small_clip import save_small_clip
from tests.training.small import small_model

ADAPTERS = {"ram": "ram:tiny", "ram-plus": "ram-plus:swin-l", "tag2text": "tag2text:swin-b"}


def start(folder: Path, adapter: str, **more: bool) -> Start:
    return Start(backend=ADAPTERS[adapter], folder=small_model(folder, adapter), **more)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_known_tags_keep_their_rows_and_all_else_stays(tmp_path: Path, adapter: str) -> None:
    begin = start(tmp_path, adapter)
    assert begin.folder is not None
    old = load_state_dict(begin.folder / "weights.safetensors")
    new = make_networks(begin, ("dog", "cat", "bird")).network.state_dict()
    rows = 3 if adapter == "ram-plus" else 1  # descriptions of a tag
    for name, value in new.items():
        if name in ("label_embed", "label_embed.weight"):
            assert torch.equal(value[rows : 2 * rows], old[name][rows : 2 * rows])
            assert len(value) == 3 * rows
        elif name in ("fc.W", "fc.b"):
            assert torch.equal(value[0, 1], old[name][0, 1])
            assert name == "fc.b" or not torch.equal(value[0, 0], old[name][0, 0])
        else:
            assert torch.equal(value, old[name]), name


def test_the_queries_of_new_tags_are_the_text_encoders(tmp_path: Path) -> None:
    name, weights = save_small_clip(tmp_path, dim=16)
    labels = CLIPLabels(name, weights)
    begin = Start(backend="ram:tiny", folder=small_model(tmp_path), labels=labels)
    networks = make_networks(begin, ("cat", "dog"))
    assert networks.learnt_codes == ()
    torch.testing.assert_close(networks.network.label_embed[1].detach(), labels.word("dog"))
    plus = Start(
        backend="ram-plus:swin-l", folder=small_model(tmp_path / "plus", "ram-plus"), labels=labels
    )
    described = make_networks(plus, ("cat", "dog")).network.label_embed.detach()
    torch.testing.assert_close(described[3:], labels.word("dog").expand(3, -1))


def test_a_text_encoder_of_another_length_is_refused(tmp_path: Path) -> None:
    name, weights = save_small_clip(tmp_path, dim=24)
    begin = Start(
        backend="ram:tiny", folder=small_model(tmp_path), labels=CLIPLabels(name, weights)
    )
    with pytest.raises(InputError, match=r"16 numbers each, .* gives 24"):
        make_networks(begin, ("dog",))


def test_without_a_text_encoder_new_tags_start_from_codes_to_be_learnt(tmp_path: Path) -> None:
    networks = make_networks(start(tmp_path, "ram"), ("red", "dog"))
    assert networks.learnt_codes == ("dog",)
    assert networks.text is None
    assert networks.vocab is None


@pytest.mark.parametrize("random", [False, True])
def test_what_writes_and_aligns_texts_comes_along_if_wanted(tmp_path: Path, random: bool) -> None:
    begin = start(tmp_path, "tag2text", captions=True, alignment=True, random=random)
    networks = make_networks(begin, ("red", "cat"))
    assert begin.folder is not None
    old = load_state_dict(begin.folder / "weights.safetensors")
    new = trained_state(networks)
    assert set(new) == set(old)
    same = [name for name in old if torch.equal(old[name], new[name])]
    if random:
        assert "text_decoder.bert.embeddings.word_embeddings.weight" not in same
        assert networks.learnt_codes == ("red", "cat")
    else:
        assert set(old) == set(same)
    head = networks.network.tagging_head.layers[0].crossattention.self.query.weight
    assert networks.text is not None
    assert networks.text.tag_encoder.layers[0].crossattention.self.query.weight is head


def test_parts_that_a_network_lacks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="alignment is a part of Tag2Text"):
        make_networks(start(tmp_path / "a", "ram", alignment=True), ("cat",))
    with pytest.raises(InputError, match=r"RAM\+\+ writes no captions"):
        make_networks(start(tmp_path / "b", "ram-plus", captions=True), ("cat",))
    with pytest.raises(InputError, match="no vocabulary of words"):
        make_networks(Start(backend="ram:tiny", captions=True), ("cat",))


@pytest.mark.parametrize("tags", [(), ("cat", "cat")])
def test_tags_must_be_there_and_once(tags: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="each once"):
        make_networks(Start(), tags)


def test_where_to_start_from_is_read_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_model(tmp_path, "tag2text")
    found = start_from(str(model), captions=True)
    assert (found.backend, found.folder, found.captions) == ("tag2text:swin-b", model, True)
    assert start_from("ram:tiny").labels is None  # its queries are not as long as CLIP's
    assert start_from("ram:swin-l").labels is not None
    assert start_from("ram:swin-l", queries="learnt").labels is None
    assert start_from(None).backend == "ram:swin-l"
    monkeypatch.setenv("GROUNDED_RAM_PRESET", "tiny")
    assert start_from(None).backend == "ram:tiny"


def test_what_is_no_start_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="tagger that can be trained"):
        start_from("sam:vit-b")
    with pytest.raises(UnknownNameError, match="checkpoint"):
        start_from("ram:huge")
    with pytest.raises(InputError, match='the folder "model" of a training'):
        start_from(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"adapter": "sam"}))
    with pytest.raises(UnknownNameError, match="tagger that can be trained 'sam'"):
        start_from(str(tmp_path))


def test_weights_that_are_absent_are_told() -> None:
    with pytest.raises(WeightsError, match="grounded-ram download"):
        make_networks(Start(backend="ram:swin-l"), ("cat",))
