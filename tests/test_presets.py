from dataclasses import replace

import pytest

from grounded_ram.errors import InputError, UnknownNameError
from grounded_ram.presets import PRESETS, resolve_preset
from grounded_ram.registry import adapters
from grounded_ram.weights import CHECKPOINTS

BACKENDS = [
    pytest.param(stage, getattr(row, stage), id=f"{row.name}-{stage}")
    for row in PRESETS.values()
    for stage in ("tagger", "detector", "segmenter")
]


def test_the_four_presets_are_there_under_their_own_names() -> None:
    assert list(PRESETS) == ["tiny", "fast", "standard", "best"]
    assert all(name == row.name for name, row in PRESETS.items())


@pytest.mark.parametrize(("stage", "backend"), BACKENDS)
def test_every_backend_has_an_adapter_and_a_checkpoint(stage: str, backend: str) -> None:
    assert backend.split(":")[0] in adapters(stage)  # type: ignore[arg-type]
    assert backend in CHECKPOINTS


@pytest.mark.parametrize("row", PRESETS.values(), ids=lambda row: row.name)
def test_a_preset_says_the_licence_of_its_weights(row: object) -> None:
    backends = [getattr(row, stage) for stage in ("tagger", "detector", "segmenter")]
    assert {CHECKPOINTS[backend].licence for backend in backends} == {getattr(row, "licence")}  # noqa: B009


def test_only_tiny_warns_of_what_it_knows() -> None:
    assert [name for name, row in PRESETS.items() if row.caution] == ["tiny"]


def test_none_means_the_environments_preset_else_standard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GROUNDED_RAM_PRESET", raising=False)
    assert resolve_preset() is PRESETS["standard"]
    monkeypatch.setenv("GROUNDED_RAM_PRESET", "")
    assert resolve_preset() is PRESETS["standard"]
    monkeypatch.setenv("GROUNDED_RAM_PRESET", "tiny")
    assert resolve_preset() is PRESETS["tiny"]


def test_what_the_caller_says_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDED_RAM_PRESET", "tiny")
    mine = replace(PRESETS["best"], name="mine", box_threshold=0.5)
    assert resolve_preset("fast") is PRESETS["fast"]
    assert resolve_preset(mine) is mine


@pytest.mark.parametrize("name", ["standart", ""])
def test_an_unknown_preset_lists_the_known_ones(name: str) -> None:
    with pytest.raises(UnknownNameError, match="best, fast, standard, tiny"):
        resolve_preset(name)


def test_a_bad_name_in_the_environment_is_traced_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDED_RAM_PRESET", "tinny")
    with pytest.raises(UnknownNameError, match=r"GROUNDED_RAM_PRESET.*did you mean 'tiny'"):
        resolve_preset()


@pytest.mark.parametrize("field", ["tag_threshold", "box_threshold", "nms_iou"])
@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_thresholds_outside_0_to_1_are_refused(field: str, value: float) -> None:
    with pytest.raises(InputError, match=field):
        replace(PRESETS["tiny"], **{field: value})  # type: ignore[arg-type]
