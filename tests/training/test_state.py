import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from grounded_ram.errors import InputError
from grounded_ram.training.state import load_state, save_state


class Tied(nn.Module):
    """A parameter of two names, and a buffer."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        self.second.weight = self.first.weight
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x))


def learnt(seed: int, width: int = 4) -> tuple[Tied, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    network = Tied(width)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)
    network(torch.ones(2, width)).square().sum().backward()
    optimizer.step()
    return network, optimizer


def test_everything_comes_back(tmp_path: Path) -> None:
    network, optimizer = learnt(0)
    network.get_buffer("seen").fill_(3)
    save_state(tmp_path / "a.safetensors", network, [optimizer], {"step": 7})
    other, its_optimizer = learnt(1)
    facts = load_state(tmp_path / "a.safetensors", other, [its_optimizer])
    assert facts == {"step": 7}
    for name, value in network.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value, rtol=0, atol=0)
    for one in (network, other):
        one.zero_grad()
        one(torch.ones(2, 4)).square().sum().backward()
    optimizer.step()
    its_optimizer.step()
    torch.testing.assert_close(other.first.weight, network.first.weight, rtol=0, atol=0)
    assert other.second.weight is other.first.weight


def test_a_shared_tensor_is_written_once(tmp_path: Path) -> None:
    network, optimizer = learnt(0)
    save_state(tmp_path / "a.safetensors", network, [optimizer], {})
    names = [name for name in load_file(tmp_path / "a.safetensors") if name.startswith("param")]
    assert names == ["parameter/first.bias", "parameter/first.weight", "parameter/second.bias"]


def test_an_optimizer_that_has_not_stepped_comes_back(tmp_path: Path) -> None:
    network = Tied()
    fresh = torch.optim.AdamW(network.parameters())
    save_state(tmp_path / "a.safetensors", network, [fresh], {"step": 0})
    other, optimizer = learnt(1)
    load_state(tmp_path / "a.safetensors", other, [optimizer])
    assert optimizer.state_dict()["state"] == {}


def test_a_write_cut_off_leaves_the_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, optimizer = learnt(0)
    path = tmp_path / "a.safetensors"
    save_state(path, network, [optimizer], {"step": 1})

    def fail(number: int) -> None:
        raise OSError("no room")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no room"):
        save_state(path, network, [optimizer], {"step": 2})
    assert load_state(path, network, [optimizer]) == {"step": 1}


def test_other_networks_are_refused(tmp_path: Path) -> None:
    network, optimizer = learnt(0)
    path = tmp_path / "a.safetensors"
    save_state(path, network, [optimizer], {})
    wider, its_optimizer = learnt(0, width=5)
    before = wider.first.weight.clone()
    with pytest.raises(InputError, match="other networks or settings"):
        load_state(path, wider, [its_optimizer])
    assert torch.equal(wider.first.weight, before)
    with pytest.raises(InputError, match="other networks or settings"):
        load_state(path, network, [])


@pytest.mark.parametrize("content", [b"", b"not safetensors at all"])
def test_a_damaged_file_is_told(tmp_path: Path, content: bytes) -> None:
    network, optimizer = learnt(0)
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match="Delete it to begin anew"):
        load_state(path, network, [optimizer])
