from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from grounded_ram.errors import InputError, TrainingError
from grounded_ram.training.loop import Loss, Schedule, StepLoss, make_optimizers, train

SCHEDULE = Schedule(steps=12, learning_rate=0.05, batch=4, warmup=3)


def _line() -> nn.ModuleDict:
    """A line to learn, after a square matrix, so that both optimisers have something to do."""
    torch.manual_seed(0)
    return nn.ModuleDict({"square": nn.Linear(16, 16, bias=False), "line": nn.Linear(16, 1)})


def _fit(modules: nn.ModuleDict, *, fail_at: int | None = None) -> StepLoss:
    steps = iter(range(1000))

    def loss(rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        if next(steps) == fail_at:
            raise KeyboardInterrupt
        x = torch.from_numpy(rng.normal(size=(8, 16)).astype(np.float32))
        miss = (
            (modules["line"](modules["square"](x))[:, 0] - (3 * x[:, 0] - x[:, 1])).square().mean()
        )
        return miss, {"miss": miss.item()}

    return loss


def test_the_rate_warms_up_and_falls_to_zero() -> None:
    factors = [SCHEDULE.factor(step) for step in range(13)]
    assert factors[:3] == pytest.approx([1 / 3, 2 / 3, 1])
    assert factors[3] == pytest.approx(1)
    assert sorted(factors[3:], reverse=True) == factors[3:]
    assert factors[12] == pytest.approx(0)


def test_matrices_go_to_muon_and_all_else_to_adamw() -> None:
    inner, table, head = (
        nn.Parameter(torch.ones(*shape)) for shape in ((32, 16), (32, 16), (1, 32))
    )
    vector = nn.Parameter(torch.ones(32))
    named = [
        ("a.weight", inner),
        ("embed.weight", table),
        ("backbone.fc", head),
        ("a.bias", vector),
    ]
    muon, adamw = make_optimizers(named, SCHEDULE, {"backbone": 0.5})
    assert isinstance(muon, torch.optim.Muon)
    assert [group["params"] for group in muon.param_groups] == [[inner]]
    facts = {
        id(group["params"][0]): (group["lr"], group["weight_decay"]) for group in adamw.param_groups
    }
    assert facts == {id(table): (0.05, 0.01), id(head): (0.025, 0.01), id(vector): (0.05, 0.0)}


def test_training_learns(tmp_path: Path) -> None:
    modules = _line()
    schedule = Schedule(steps=200, learning_rate=0.02, batch=8, warmup=3, weight_decay=0)
    loss = _fit(modules)
    before = loss(np.random.default_rng(9))[1]["miss"]
    train(modules, loss, schedule, state_path=tmp_path / "state.pt", seed=1)
    assert loss(np.random.default_rng(9))[1]["miss"] < 0.02 * before


def test_a_run_cut_off_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grounded_ram.training.loop._SAVE_EVERY_S", 0.0)
    whole = _line()
    train(whole, _fit(whole), SCHEDULE, state_path=tmp_path / "whole.pt", seed=1)

    cut = _line()
    with pytest.raises(KeyboardInterrupt):
        train(cut, _fit(cut, fail_at=5), SCHEDULE, state_path=tmp_path / "cut.pt", seed=1)
    resumed = _line()
    train(resumed, _fit(resumed), SCHEDULE, state_path=tmp_path / "cut.pt", seed=1)
    assert torch.equal(resumed["line"].weight, whole["line"].weight)


def test_a_finished_run_is_read_back(tmp_path: Path) -> None:
    first, second = _line(), _line()
    train(first, _fit(first), SCHEDULE, state_path=tmp_path / "state.pt", seed=1)
    train(second, _fit(second, fail_at=0), SCHEDULE, state_path=tmp_path / "state.pt", seed=1)
    assert torch.equal(first["line"].weight, second["line"].weight)


def test_chance_in_a_step_is_the_same_after_a_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout draws from torch's own generator, which each step seeds anew."""
    monkeypatch.setattr("grounded_ram.training.loop._SAVE_EVERY_S", 0.0)

    def dropping(modules: nn.ModuleDict, fail_at: int | None = None) -> StepLoss:
        inner = _fit(modules, fail_at=fail_at)

        def loss(rng: np.random.Generator) -> Loss:
            miss, facts = inner(rng)
            return miss * torch.rand(()), facts

        return loss

    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    whole = _line()
    torch.manual_seed(1)
    train(whole, dropping(whole), SCHEDULE, state_path=tmp_path / "whole", seed=1)
    assert torch.equal(torch.rand(1), expected)  # the caller's generator is where it was
    cut = _line()
    with pytest.raises(KeyboardInterrupt):
        train(cut, dropping(cut, fail_at=5), SCHEDULE, state_path=tmp_path / "cut", seed=1)
    resumed = _line()
    train(resumed, dropping(resumed), SCHEDULE, state_path=tmp_path / "cut", seed=1)
    assert torch.equal(resumed["line"].weight, whole["line"].weight)


def test_a_step_without_a_finite_loss_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    modules = _line()
    steps = iter(range(100))
    inner = _fit(modules)

    def loss(rng: np.random.Generator) -> Loss:
        miss, facts = inner(rng)
        return (miss * float("nan") if next(steps) == 4 else miss), facts

    train(modules, loss, SCHEDULE, state_path=tmp_path / "state", seed=1)
    assert all(bool(p.isfinite().all()) for p in modules.parameters())
    assert [record.message for record in caplog.records if "finite" in record.message] == [
        "step 5: its loss is not finite; it is left out"
    ]


def test_a_training_that_has_broken_down_stops_with_advice(tmp_path: Path) -> None:
    modules = _line()
    before = modules["line"].weight.clone()

    def loss(rng: np.random.Generator) -> Loss:
        return modules["line"].weight.sum() * float("inf"), {}

    with pytest.raises(TrainingError, match=r"10 steps in a row.*--learning-rate 0\.0125"):
        train(modules, loss, SCHEDULE, state_path=tmp_path / "state", seed=1)
    assert torch.equal(modules["line"].weight, before)


class Pieces:
    """A lesson of four examples for which the memory is too small at first."""

    def __init__(self, modules: nn.ModuleDict, fits: int) -> None:
        self.modules, self.fits, self.at_once = modules, fits, 4

    def draw(self, step: int, rng: np.random.Generator) -> Sequence[Callable[[], Loss]]:
        x = torch.from_numpy(rng.normal(size=(4, 16)).astype(np.float32))
        return [lambda part=part: self._loss(part) for part in x.split(self.at_once)]

    def _loss(self, part: Tensor) -> Loss:
        if len(part) > self.fits:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        out = self.modules["line"](self.modules["square"](part))
        return (out - 1).square().sum() / 4, {"seen": len(part)}

    def halve(self) -> bool:
        self.at_once //= 2
        return self.at_once > 0


def test_where_memory_is_short_smaller_parts_give_the_same_training(tmp_path: Path) -> None:
    weights = []
    for fits in (4, 1):
        modules = _line()
        lesson = Pieces(modules, fits)
        facts: list[dict[str, float]] = []
        train(
            modules,
            lesson,
            SCHEDULE,
            state_path=tmp_path / str(fits),
            seed=1,
            watch=lambda step, told, facts=facts: facts.append(told),
        )
        assert [told["seen"] for told in facts] == [4] * 12
        assert lesson.at_once == fits
        weights.append(modules["line"].weight)
    torch.testing.assert_close(*weights)


def test_memory_that_is_too_small_for_one_picture_is_told(tmp_path: Path) -> None:
    modules = _line()
    with pytest.raises(TrainingError, match=r"step 1: out of memory; .*--dtype bfloat16"):
        train(modules, Pieces(modules, 0), SCHEDULE, state_path=tmp_path / "state", seed=1)


def test_a_step_without_examples_changes_nothing_it_should_not(tmp_path: Path) -> None:
    class Nothing:
        def draw(self, step: int, rng: np.random.Generator) -> Sequence[Callable[[], Loss]]:
            return []

        def halve(self) -> bool:
            return False

    modules = _line()
    before = modules["line"].weight.clone()
    train(modules, Nothing(), SCHEDULE, state_path=tmp_path / "state", seed=1)
    assert torch.equal(modules["line"].weight, before)


def test_the_state_of_another_training_is_refused(tmp_path: Path) -> None:
    modules = _line()
    train(modules, _fit(modules), SCHEDULE, state_path=tmp_path / "state", seed=1)
    other = nn.ModuleDict({"line": nn.Linear(16, 1)})
    with pytest.raises(InputError, match="other networks or settings"):
        train(other, _fit(_line()), SCHEDULE, state_path=tmp_path / "state", seed=1)
