import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from grounded_ram import GroundedRAM
from grounded_ram.data_engine.examples import Example
from grounded_ram.errors import InputError
from grounded_ram.ram.swin import SwinEncoder, SwinFeatures
from grounded_ram.tagging.captions import CaptioningTagger
from grounded_ram.tagging.retrieval import load_retriever
from grounded_ram.training.begun import working_in
from grounded_ram.training.feed import Reading
from grounded_ram.training.networks import Start
from grounded_ram.training.tagger import Plan, frequent_tags, train_tagger
from grounded_ram.training.trained import fitted_table
from grounded_ram.weights import find_checkpoint, load_state_dict, with_own_files
from tests.training.small import coloured_pictures, small_model
from tests.training.test_objectives import Seer

TAGS = ("red", "green", "blue")
CPU = {"device": torch.device("cpu"), "dtype": torch.float32}
PLAN = Plan(
    steps=6, batch=4, learning_rate=0.01, encoder_rate=1, workers=0, device="cpu", dtype="float32"
)


PLAIN = Reading(image_size=32, least_crop=1, flip=False, brighten=0)


class StopError(Exception):
    pass


@pytest.fixture
def examples(tmp_path: Path) -> list[Example]:
    return coloured_pictures(tmp_path / "pictures", 12)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return replace(PLAN, start=Start(folder=small_model(tmp_path / "start")))


def test_a_tagger_learns_its_tags_and_can_be_used(examples: list[Example], plan: Plan) -> None:
    folder = Path(examples[0].image).parents[1] / "run"
    long = replace(plan, steps=250, batch=12, learning_rate=3e-3, least_crop=1.0)
    result = train_tagger(examples, examples, TAGS, folder, long)
    assert result.mean_ap > 0.85  # about 0.5 before
    assert result.recall > 0.8
    assert result.pictures == (12, 12, 0)
    assert not (folder / "bad-pictures.jsonl").exists()
    model = GroundedRAM(preset="tiny", weights={"tagger": result.model}, device="cpu")
    right = 0
    for example in examples:
        names = set(model.tagger.tag([_pixels(example)])[0].names)
        right += names == set(example.tags)
    assert right >= 8


def test_a_training_cut_off_ends_as_if_it_had_not_been(
    examples: list[Example], plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grounded_ram.training.loop._SAVE_EVERY_S", 0.0)

    def stop(step: int, facts: dict[str, float]) -> None:
        if step == 3:
            raise StopError

    whole = train_tagger(examples, [], TAGS, tmp_path / "whole", plan)
    with pytest.raises(StopError):
        train_tagger(examples, [], TAGS, tmp_path / "cut", plan, watch=stop)
    assert not (tmp_path / "cut" / "model").exists()
    steps: list[int] = []
    again = train_tagger(
        examples, [], TAGS, tmp_path / "cut", plan, watch=lambda step, facts: steps.append(step)
    )
    assert steps == [4, 5, 6]
    for one, other in zip(*(_weights(r.model) for r in (whole, again)), strict=True):
        assert torch.equal(one, other)


def test_another_training_in_the_same_folder_is_refused(
    examples: list[Example], plan: Plan, tmp_path: Path
) -> None:
    train_tagger(examples, [], TAGS, tmp_path / "run", plan)
    before = _weights(tmp_path / "run" / "model")
    for other, rows, tags in (
        (replace(plan, batch=5), examples, TAGS),
        (plan, examples[1:], TAGS),
        (plan, examples, TAGS[1:]),
    ):
        with pytest.raises(InputError, match="was begun otherwise"):
            train_tagger(rows, [], tags, tmp_path / "run", other)
    train_tagger(examples, [], TAGS, tmp_path / "run", replace(plan, workers=1, at_once=2))
    for one, other_one in zip(before, _weights(tmp_path / "run" / "model"), strict=True):
        assert torch.equal(one, other_one)


def test_pictures_that_cannot_be_read_are_listed(
    examples: list[Example], plan: Plan, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    rows = [*examples[:3], Example(str(broken), ("red",))]
    gone = Example(str(tmp_path / "gone.png"), ("red",))
    result = train_tagger(rows, [examples[4], gone], TAGS, tmp_path / "run", plan)
    assert result.pictures == (4, 1, 2)
    lines = (tmp_path / "run" / "bad-pictures.jsonl").read_text().splitlines()
    assert [json.loads(line)["image"] for line in lines] == sorted([str(broken), gone.image])
    again = train_tagger(rows, [examples[4], gone], TAGS, tmp_path / "run", plan)
    assert again.pictures == (4, 1, 2)  # though nothing was left to learn


def test_two_trainings_in_one_folder_are_refused(
    examples: list[Example], plan: Plan, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    with (
        working_in(tmp_path / "run"),
        pytest.raises(InputError, match="another process is working"),
    ):
        train_tagger(examples, [], TAGS, tmp_path / "run", plan)
    assert train_tagger(examples, [], TAGS, tmp_path / "run", plan).model.exists()


def test_other_examples_are_told_in_words(
    examples: list[Example], plan: Plan, tmp_path: Path
) -> None:
    train_tagger(examples, [], TAGS, tmp_path / "run", plan)
    others = [*examples[:-1], replace(examples[-1], tags=())]
    with pytest.raises(InputError, match="examples: other pictures, tags or captions\n"):
        train_tagger(others, [], TAGS, tmp_path / "run", plan)


@pytest.mark.parametrize("alignment", [False, True])
def test_tag2text_learns_captions_and_alignment(
    examples: list[Example], tmp_path: Path, alignment: bool
) -> None:
    folder = small_model(tmp_path / "start", "tag2text")
    start = Start(backend="tag2text:swin-b", folder=folder, captions=True, alignment=alignment)
    result = train_tagger(examples, [], TAGS, tmp_path / "run", replace(PLAN, start=start))
    row = with_own_files(find_checkpoint("tag2text:swin-b"), {"weights": result.model})
    model = GroundedRAM(
        preset="tiny", tagger="tag2text:swin-b", weights={"tagger": result.model}, device="cpu"
    )
    assert isinstance(model.tagger, CaptioningTagger)
    assert len(model.tagger.caption([_pixels(examples[0])], max_length=12)) == 1
    if alignment:
        assert load_retriever(row, **CPU)


def test_a_teacher_is_learnt_from(examples: list[Example], plan: Plan, tmp_path: Path) -> None:
    seen: list[dict[str, float]] = []
    train_tagger(
        examples,
        [],
        TAGS,
        tmp_path / "run",
        replace(plan, distil=True, steps=40),
        teacher=Seer(),
        watch=lambda step, facts: seen.append(facts),
    )
    assert seen[-1]["distillation"] < 0.5 * seen[0]["distillation"]


def test_a_teacher_is_not_asked_unless_that_is_wanted(
    examples: list[Example], plan: Plan, tmp_path: Path
) -> None:
    seen: list[dict[str, float]] = []
    train_tagger(
        examples,
        [],
        TAGS,
        tmp_path / "run",
        plan,
        teacher=Seer(),
        watch=lambda step, facts: seen.append(facts),
    )
    assert set(seen[-1]) == {"tags"}


def test_distillation_without_clip_is_refused(
    examples: list[Example], plan: Plan, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="distillation needs CLIP"):
        train_tagger(examples, [], TAGS, tmp_path / "run", replace(plan, distil=True))


def test_a_frozen_encoder_stays_as_it_is(
    examples: list[Example], plan: Plan, tmp_path: Path
) -> None:
    result = train_tagger(examples, [], TAGS, tmp_path / "run", replace(plan, freeze_encoder=True))
    assert plan.start.folder is not None
    before, after = (
        load_state_dict(folder / "weights.safetensors")
        for folder in (plan.start.folder, result.model)
    )
    moved = [name for name in after if not torch.equal(before.get(name, after[name]), after[name])]
    assert not any(name.startswith("visual_encoder") for name in moved)
    assert "fc.weight" in moved


def test_what_is_held_out_is_measured_on_the_way(
    examples: list[Example], plan: Plan, tmp_path: Path
) -> None:
    train_tagger(examples, examples[:4], TAGS, tmp_path / "run", replace(plan, evaluate_every=2))
    lines = (tmp_path / "run" / "log.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines if ",mAP," in line] == ["2", "4"]


def test_pictures_are_looked_at_once_by_a_frozen_encoder(
    examples: list[Example], plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    rows = [*examples[:5], Example(str(broken), ("red",))]
    start = Start(folder=small_model(tmp_path / "sure", dropout=False))
    usual = replace(plan, start=start, freeze_encoder=True, steps=40, batch=6)
    kept = replace(usual, features=tmp_path / "features")
    seen: list[int] = []
    forward = SwinEncoder.forward

    def counted(self: SwinEncoder, images: torch.Tensor) -> SwinFeatures:
        seen.append(len(images))
        return forward(self, images)

    monkeypatch.setattr(SwinEncoder, "forward", counted)
    result = train_tagger(rows, examples[5:8], TAGS, tmp_path / "kept", kept)
    assert sum(seen) == 8
    assert result.pictures == (6, 3, 1)
    again = train_tagger(rows, examples[5:8], TAGS, tmp_path / "again", kept)
    assert sum(seen) == 8
    for one, other in zip(_weights(result.model), _weights(again.model), strict=True):
        assert torch.equal(one, other)
    whole = replace(usual, least_crop=1.0)
    monkeypatch.setattr("grounded_ram.training.feed.Reading", lambda **_: PLAIN)
    monkeypatch.setattr("grounded_ram.training.tagger.Reading", lambda **_: PLAIN)
    looked = train_tagger(rows, examples[5:8], TAGS, tmp_path / "looked", whole)
    for one, other in zip(_weights(result.model), _weights(looked.model), strict=True):
        torch.testing.assert_close(one, other, rtol=0.05, atol=0.02)  # features are float16
    assert looked.mean_ap == pytest.approx(result.mean_ap, abs=0.1)


def test_a_picture_that_changes_is_looked_at_again(
    examples: list[Example], plan: Plan, tmp_path: Path
) -> None:
    kept = replace(plan, freeze_encoder=True, features=tmp_path / "features")
    train_tagger(examples[:2], [], TAGS, tmp_path / "one", kept)
    Path(examples[0].image).write_bytes(Path(examples[3].image).read_bytes() + b" ")
    train_tagger(examples[:2], [], TAGS, tmp_path / "two", kept)
    assert len(list((tmp_path / "features").glob("*.npy"))) == 3  # one of no held-out pictures


@pytest.mark.parametrize("change", [{"freeze_encoder": False}, {"distil": True}, {"processes": 2}])
def test_features_of_an_encoder_that_learns_are_refused(
    plan: Plan, tmp_path: Path, change: dict[str, bool]
) -> None:
    with pytest.raises(InputError, match="set freeze_encoder, no distil"):
        replace(plan, **{"freeze_encoder": True, "features": tmp_path, **change})


def test_the_most_frequent_tags_come_first() -> None:
    rows = [Example("a", ("x", "y")), Example("b", ("y", "z", "z")), Example("c", ("a",))]
    assert frequent_tags(rows) == ["y", "a", "x", "z"]
    assert frequent_tags(rows, least=2) == ["y"]
    assert frequent_tags(rows, most=2) == ["y", "a"]
    assert frequent_tags([]) == []


def test_thresholds_fit_each_tag_or_all_together() -> None:
    truth = np.zeros((20, 2), bool)
    truth[:10, 0] = True
    truth[:2, 1] = True
    scores = np.where(truth, [0.9, 0.8], [0.1, 0.2]).astype(np.float32)
    common, rare = fitted_table(["car", "rare"], scores, truth).thresholds
    assert common == pytest.approx(0.5)
    assert rare == pytest.approx(0.5)
    none = fitted_table(["car"], np.zeros((0, 1), np.float32), np.zeros((0, 1), bool))
    assert none.thresholds.tolist() == pytest.approx([0.68])
    assert none.kinds == ("object",)


def _pixels(example: Example) -> np.ndarray:
    from grounded_ram.images import load_image

    return load_image(example.image).pixels


def _weights(model: Path) -> list[torch.Tensor]:
    return list(load_state_dict(model / "weights.safetensors").values())


def test_a_training_goes_on_with_another_rate(
    examples: list[Example], plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grounded_ram.training.loop._SAVE_EVERY_S", 0.0)

    def stop(step: int, facts: dict[str, float]) -> None:
        if step == 3:
            raise StopError

    with pytest.raises(StopError):
        train_tagger(examples, [], TAGS, tmp_path / "run", plan, watch=stop)
    before = torch.cat([p.flatten() for p in _state(tmp_path / "run")])
    still = replace(plan, learning_rate=0.0)
    train_tagger(examples, [], TAGS, tmp_path / "run", still)
    assert torch.equal(torch.cat([p.flatten() for p in _state(tmp_path / "run")]), before)


def _state(folder: Path) -> list[torch.Tensor]:
    state = load_state_dict(folder / "state.safetensors")
    return [value for name, value in sorted(state.items()) if name.startswith("parameter/")]
