from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import load_file

from grounded_ram.cache import sha256_of
from grounded_ram.errors import InputError, UnknownNameError, WeightsError
from grounded_ram.ram.label_queries import CLIPLabels, prompts
from grounded_ram.weights import CHECKPOINTS, Checkpoint, WeightFile
from tests.small_clip import save_small_clip


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of downloads of this test's own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("GROUNDED_RAM_HOME", str(folder))
    return folder


@pytest.fixture
def clip(tmp_path: Path) -> tuple[str, Path]:
    return save_small_clip(tmp_path)


def row_of(weights: Path) -> Checkpoint:
    file = WeightFile(name=weights.name, source=f"file:{weights}", sha256=sha256_of(weights))
    return Checkpoint(name="clip:x", summary="x", licence="MIT", files={"weights": file})


def reference(
    clip: tuple[str, Path], texts: list[str], *, quick_gelu: bool = False
) -> torch.Tensor:
    """The mean direction of texts that the whole model embeds one by one."""
    name, weights = clip
    model = open_clip.CLIP(**open_clip.get_model_config(name), quick_gelu=quick_gelu).eval()
    model.load_state_dict(load_file(weights))
    tokenizer = open_clip.get_tokenizer(name)
    total = torch.zeros(512)
    with torch.no_grad():
        for text in texts:
            (embedding,) = model.encode_text(tokenizer([text]))
            total += embedding / embedding.norm()
    return total / total.norm()


def cached(home: Path) -> list[Path]:
    return sorted((home / "labels").iterdir())


@pytest.mark.parametrize(
    ("word", "digest"),
    [
        ("Umbrella stand", "9fe444cbee22104f9f32b6199a17c07b86e446f5f50dcb9c585a94e5bebeb8df"),
        ("egg_cup/saucer.", "3a159931d312563b07246370c3f10a6132f5483389b35f9cf60b22d3a2e3101b"),
    ],
)
def test_prompts_are_the_official_ones(word: str, digest: str) -> None:
    """The digests are of what the official code makes of these words, sorted."""
    assert hashlib.sha256("\n".join(sorted(prompts(word))).encode()).hexdigest() == digest


def test_prompts_read_as_people_speak() -> None:
    assert "This is a photo of an apple." in prompts("apple")
    assert "This is a blurry photo of the traffic light." in prompts("traffic_light")
    assert "There is a apple in the scene." in prompts("Apple")  # as RAM has it
    assert "itap of my {cup}." in prompts("{cup}")


def test_a_word_is_the_mean_direction_of_its_prompts(clip: tuple[str, Path]) -> None:
    found = CLIPLabels(*clip).word("traffic cone")
    np.testing.assert_allclose(found, reference(clip, prompts("traffic cone")), atol=1e-6)
    np.testing.assert_allclose(found.norm(), 1, atol=1e-6)
    assert found.dtype == torch.float32
    other = CLIPLabels(*clip).word("corgi")
    assert (found - other).abs().max() > 1e-3


def test_a_text_is_embedded_as_it_stands(clip: tuple[str, Path]) -> None:
    text = "A corgi is a small dog with short legs"
    found = CLIPLabels(*clip).text(text)
    np.testing.assert_allclose(found, reference(clip, [text]), atol=1e-6)
    np.testing.assert_allclose(found.norm(), 1, atol=1e-6)


def test_a_text_that_is_too_long_is_cut(clip: tuple[str, Path]) -> None:
    labels = CLIPLabels(*clip)
    np.testing.assert_array_equal(labels.text("dog " * 300), labels.text("dog " * 75))
    assert (labels.text("dog " * 75) - labels.text("dog " * 74)).abs().max() > 1e-4


def test_the_sizes_are_those_of_the_model(tmp_path: Path) -> None:
    labels = CLIPLabels(*save_small_clip(tmp_path, dim=24))
    assert labels.dim == 24
    assert labels.word("corgi").shape == labels.text("corgi").shape == (24,)
    assert CLIPLabels("ViT-B-16", tmp_path / "any").dim == 512


def test_what_was_embedded_once_needs_no_model_again(
    clip: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    name, weights = clip
    monkeypatch.setitem(CHECKPOINTS, f"clip:{name}-mine", row_of(weights))
    first = CLIPLabels(name, "mine")
    words, texts = first.word("corgi"), first.text("corgi")
    weights.unlink()
    again = CLIPLabels(name, "mine")
    np.testing.assert_array_equal(again.word("corgi"), words)
    np.testing.assert_array_equal(again.text("corgi"), texts)
    with pytest.raises(WeightsError, match=r"small-clip-512-0\.safetensors"):
        again.word("poodle")


def test_other_weights_other_sizes_and_other_texts_have_files_of_their_own(
    clip: tuple[str, Path], tmp_path: Path, home: Path
) -> None:
    CLIPLabels(*clip).word("corgi")
    assert len(cached(home)) == 1
    CLIPLabels(*clip).word("corgi")
    assert len(cached(home)) == 1
    CLIPLabels(*clip).text("corgi")
    assert len(cached(home)) == 2
    CLIPLabels(*save_small_clip(tmp_path, seed=1)).word("corgi")
    assert len(cached(home)) == 3
    CLIPLabels(*save_small_clip(tmp_path, dim=24)).word("corgi")
    assert len(cached(home)) == 4


def test_the_path_of_the_weights_does_not_matter(
    clip: tuple[str, Path], tmp_path: Path, home: Path
) -> None:
    name, weights = clip
    CLIPLabels(name, weights).word("corgi")
    CLIPLabels(name, weights.rename(tmp_path / "elsewhere.safetensors")).word("corgi")
    assert len(cached(home)) == 1


def test_weights_of_openai_have_their_own_activation(
    clip: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same weights twice: neither the numbers nor the cache may be mixed up."""
    name, weights = clip
    plain = CLIPLabels(name, weights).text("corgi")
    monkeypatch.setitem(CHECKPOINTS, f"clip:{name}-openai", row_of(weights))
    found = CLIPLabels(name, "openai").text("corgi")
    np.testing.assert_allclose(found, reference(clip, ["corgi"], quick_gelu=True), atol=1e-6)
    assert (found - plain).abs().max() > 1e-4


@pytest.mark.parametrize("damage", ["emptied", "cut", "one bit", "other digest"])
def test_a_damaged_file_is_made_anew(clip: tuple[str, Path], home: Path, damage: str) -> None:
    before = CLIPLabels(*clip).word("corgi")
    (path,) = cached(home)
    whole = path.read_bytes()
    damaged = {
        "emptied": b"",
        "cut": whole[:-4],
        "one bit": whole[:-1] + bytes([whole[-1] ^ 1]),
        "other digest": bytes(32) + whole[32:],
    }
    path.write_bytes(damaged[damage])
    np.testing.assert_array_equal(CLIPLabels(*clip).word("corgi"), before)
    assert cached(home) == [path]
    assert path.read_bytes() == whole


def test_a_cache_that_cannot_be_written_costs_only_time(clip: tuple[str, Path], home: Path) -> None:
    home.write_text("a file where the folder should be")
    found = CLIPLabels(*clip).word("corgi")
    np.testing.assert_allclose(found, reference(clip, prompts("corgi")), atol=1e-6)


def test_an_unknown_model_is_answered_with_those_of_like_names() -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown open_clip model 'ViT-C-3'; did you mean 'ViT-"
    ):
        CLIPLabels("ViT-C-3")


def test_unknown_weights_are_answered_with_the_other_way() -> None:
    with pytest.raises(UnknownNameError, match=r"'clip:vit-b-16-laion'.*give the Path of a file"):
        CLIPLabels("ViT-B-16", "laion")


def test_a_path_that_is_only_a_string_is_refused() -> None:
    with pytest.raises(InputError, match=r"write Path\('weights/clip.safetensors'\)"):
        CLIPLabels("ViT-B-16", "weights/clip.safetensors")


@pytest.mark.parametrize("model", ["ViT-B-16-SigLIP", "coca_ViT-B-32", "roberta-ViT-B-32"])
def test_a_text_encoder_of_another_kind_is_refused(model: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{model}: expected a model with CLIP's own text encoder"):
        CLIPLabels(model, tmp_path / "any")


def test_weights_that_are_absent_or_of_another_model_are_an_error(
    clip: tuple[str, Path], tmp_path: Path
) -> None:
    name, weights = clip
    with pytest.raises(WeightsError, match=r"nowhere\.safetensors"):
        CLIPLabels(name, tmp_path / "nowhere.safetensors").word("corgi")
    other, _ = save_small_clip(tmp_path, dim=24)
    with pytest.raises(WeightsError, match=r"-0\.safetensors holds no weights of small-clip-24"):
        CLIPLabels(other, weights).word("corgi")


def test_the_official_weights_are_fetched_by_name() -> None:
    with pytest.raises(WeightsError, match="`grounded-ram download clip:vit-b-16-openai`"):
        CLIPLabels().word("corgi")
