import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel

from grounded_ram.errors import MissingDependencyError, WeightsError
from grounded_ram.pretrained import load_pretrained, transformers_class

IDS = torch.arange(5)[None]


@pytest.fixture(scope="module")
def network() -> BertModel:
    config = BertConfig(
        vocab_size=20,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
    )
    return BertModel(config).eval()


@pytest.fixture
def files(network: BertModel, tmp_path: Path) -> dict[str, Path]:
    """The files of one network, under names of our own: a cache may call them anything."""
    network.config.save_pretrained(tmp_path)
    paths = {"config": tmp_path / "bert.json", "weights": tmp_path / "bert.safetensors"}
    (tmp_path / "config.json").rename(paths["config"])
    save_file(network.state_dict(), paths["weights"])
    return paths


def load(files: dict[str, Path], **options: Any) -> BertModel:
    return load_pretrained(BertModel, files, "bert:mine", **options)


@torch.inference_mode()
def answer(network: BertModel) -> torch.Tensor:
    found: torch.Tensor = network(IDS).last_hidden_state
    return found


def test_a_network_comes_back_as_it_was_written(network: BertModel, files: dict[str, Path]) -> None:
    found = load(files)
    assert not found.training
    assert {tensor.device.type for tensor in found.state_dict().values()} == {"cpu"}
    torch.testing.assert_close(answer(found), answer(network))


def test_a_pytorch_file_is_read_too(network: BertModel, files: dict[str, Path]) -> None:
    path = files["weights"].with_suffix(".bin")
    torch.save(network.state_dict(), path)
    torch.testing.assert_close(answer(load({**files, "weights": path})), answer(network))


def test_old_names_of_tensors_are_known(network: BertModel, files: dict[str, Path]) -> None:
    """``transformers`` renames them for its own downloads, so it must for ours."""
    state = load_file(files["weights"])
    old = {key.replace("LayerNorm.weight", "LayerNorm.gamma"): t for key, t in state.items()}
    assert old.keys() != state.keys()
    save_file(old, files["weights"])
    torch.testing.assert_close(answer(load(files)), answer(network))


@pytest.mark.parametrize("said", ["bfloat16", "float32"])
def test_the_type_is_the_one_asked_for(files: dict[str, Path], said: str) -> None:
    config = json.loads(files["config"].read_text())
    files["config"].write_text(json.dumps({**config, "dtype": said, "torch_dtype": said}))
    for dtype, options in ((torch.float32, {}), (torch.bfloat16, {"dtype": torch.bfloat16})):
        assert {weight.dtype for weight in load(files, **options).parameters()} == {dtype}


def test_misfits_are_told_by_name(files: dict[str, Path]) -> None:
    state = load_file(files["weights"])
    name = "embeddings.word_embeddings.weight"
    others = {
        f"missing {name}": {key: tensor for key, tensor in state.items() if key != name},
        "unexpected extra.weight": state | {"extra.weight": torch.zeros(1)},
        rf"{name} is (\(3, 16\), expected \(20, 16\)|of another)": state
        | {name: torch.zeros(3, 16)},
    }
    for message, tensors in others.items():
        save_file(tensors, files["weights"])
        with pytest.raises(WeightsError, match=f"does not fit 'bert:mine': {message}"):
            load(files)


def test_many_misfits_are_counted(files: dict[str, Path]) -> None:
    save_file({"one": torch.zeros(1)}, files["weights"])
    with pytest.raises(WeightsError, match=r"missing .*; missing .*; missing .* and \d+ more"):
        load(files)


@pytest.mark.parametrize("config", ["no json", "[]", '{"hidden_size": "wide"}'])
def test_a_broken_config_is_told(files: dict[str, Path], config: str) -> None:
    files["config"].write_text(config)
    with pytest.raises(WeightsError, match=r"bert:mine: .*bert\.json: expected the config of a Be"):
        load(files)


def test_a_missing_file_is_told(files: dict[str, Path]) -> None:
    for role in files:
        with pytest.raises(WeightsError, match="nowhere"):
            load({**files, role: files[role].with_name("nowhere")})


@pytest.fixture
def loud() -> Iterator[None]:
    """Let ``transformers`` say all it has to say, through Python's own logging too."""
    library: Any = transformers.utils.logging
    level = library.get_verbosity()
    library.set_verbosity(logging.INFO)
    library.enable_propagation()
    library.enable_progress_bar()
    yield
    library.set_verbosity(level)
    library.disable_propagation()


@pytest.mark.usefixtures("loud")
def test_loading_says_nothing_and_leaves_the_settings(
    files: dict[str, Path], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    library: Any = transformers.utils.logging
    load(files)
    save_file({"one": torch.zeros(1)}, files["weights"])
    with pytest.raises(WeightsError):
        load(files)
    assert capfd.readouterr() == ("", "")
    assert caplog.text == ""
    assert library.get_verbosity() == logging.INFO
    assert library.is_progress_bar_enabled()


def test_a_class_is_found_by_name() -> None:
    assert transformers_class("BertModel", since="4.0") is BertModel


def test_a_class_of_later_versions_is_told() -> None:
    with pytest.raises(MissingDependencyError) as caught:
        transformers_class("NoSuchModel", since="99.1")
    assert f"{caught.value}" == (
        f"NoSuchModel came with transformers 99.1, installed is {transformers.__version__}; "
        "type: pip install 'transformers>=99.1'"
    )
