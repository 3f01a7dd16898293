from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from grounded_ram.training.loop import Schedule, StepLoss, make_optimizers, train

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
