import pickle
from collections.abc import Sequence
from copy import deepcopy

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from grounded_ram import runtime
from grounded_ram.errors import InputError
from grounded_ram.runtime import (
    MOST_BY_PILLOW,
    groups,
    in_batches,
    in_pieces,
    pick_device,
    pick_dtype,
    recast,
    resize,
    torch_threads,
)

CPU = torch.device("cpu")


def pretend_machine(patch: pytest.MonkeyPatch, *, gpus: int, mps: bool = False) -> None:
    patch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    patch.setattr(torch.cuda, "device_count", lambda: gpus)
    patch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("gpus", "mps", "expected"),
    [(0, False, "cpu"), (2, False, "cuda"), (0, True, "mps"), (1, True, "cuda")],
)
def test_auto_takes_the_best_device_there_is(
    monkeypatch: pytest.MonkeyPatch, gpus: int, mps: bool, expected: str
) -> None:
    pretend_machine(monkeypatch, gpus=gpus, mps=mps)
    assert pick_device("auto") == torch.device(expected)


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_the_cpu_is_always_there(device: str | torch.device) -> None:
    assert pick_device(device) == CPU


def test_a_numbered_device_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_machine(monkeypatch, gpus=2)
    assert pick_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(InputError, match=r"'cuda:2' is not on this machine.*cuda:0-1"):
        pick_device("cuda:2")


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_an_absent_device_is_named_with_what_is_there(
    monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    pretend_machine(monkeypatch, gpus=0)
    with pytest.raises(InputError, match=rf'{device}.*here are: cpu.*device="auto"'):
        pick_device(device)


@pytest.mark.parametrize("device", ["gpu", "", "cuda:x", "CUDA"])
def test_a_device_that_nobody_knows_is_refused(device: str) -> None:
    with pytest.raises(InputError, match=r'"cuda:1".*got'):
        pick_device(device)


def test_dtypes_by_name_and_as_they_are() -> None:
    assert pick_dtype("float32", CPU) is torch.float32
    assert pick_dtype("bfloat16", CPU) is torch.bfloat16
    assert pick_dtype(torch.bfloat16, CPU) is torch.bfloat16


@pytest.mark.parametrize(
    ("capability", "expected"), [((8, 0), torch.bfloat16), ((7, 5), torch.float32)]
)
def test_auto_is_bfloat16_only_where_it_is_computed_in(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert pick_dtype("auto", torch.device("cuda")) is expected
    assert pick_dtype("auto", CPU) is torch.float32


@pytest.mark.parametrize("dtype", ["float16", "", torch.float64])
def test_a_dtype_that_networks_do_not_run_in_is_refused(dtype: str | torch.dtype) -> None:
    with pytest.raises(InputError, match="'float32' or 'bfloat16'"):
        pick_dtype(dtype, CPU)


def test_groups_hold_equal_keys_in_order() -> None:
    keys = ["b", "a", "b", "b", "a", "b"]
    assert groups(keys, 2) == [[0, 2], [3, 5], [1, 4]]
    assert groups(keys, 1) == [[0], [2], [3], [5], [1], [4]]
    assert groups([], 4) == []


@given(keys=st.lists(st.integers(0, 3), max_size=20), size=st.integers(1, 6))
def test_groups_lose_and_mix_nothing(keys: list[int], size: int) -> None:
    found = groups(keys, size)

    assert sorted(i for group in found for i in group) == list(range(len(keys)))
    for group in found:
        assert 1 <= len(group) <= size
        assert len({keys[i] for i in group}) == 1
        assert group == sorted(group)


def test_a_batch_size_below_one_is_refused() -> None:
    with pytest.raises(InputError, match="batch_size"):
        groups([1], 0)


def test_threads_are_as_asked_meanwhile_and_as_before_afterwards() -> None:
    before = torch.get_num_threads()
    with torch_threads(before + 2):
        assert torch.get_num_threads() == before + 2
    with torch_threads(None):
        assert torch.get_num_threads() == before
    with pytest.raises(KeyError), torch_threads(before + 1):
        raise KeyError
    assert torch.get_num_threads() == before


class Doubled(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


class Other(nn.Linear):
    """A subclass that someone else made."""


def test_recast_modules_compute_anew_with_the_weights_and_keys_they_had() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.Sequential(Other(4, 4), nn.Linear(4, 2)))
    before = dict(network.named_parameters())
    recast(network, {nn.Linear: Doubled})
    assert [type(network[0]), type(network[1][0]), type(network[1][1])] == [Doubled, Other, Doubled]
    assert list(network.state_dict()) == list(before)
    assert all(network.get_parameter(name) is one for name, one in before.items())

    inputs = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    hidden = 2 * (inputs @ before["0.weight"].T + before["0.bias"])
    hidden = hidden @ before["1.0.weight"].T + before["1.0.bias"]
    expected = 2 * (hidden @ before["1.1.weight"].T + before["1.1.bias"])
    for copy in (network, deepcopy(network), pickle.loads(pickle.dumps(network))):
        torch.testing.assert_close(copy(inputs), expected)


def test_a_single_layer_is_recast_and_recast_back() -> None:
    layer = nn.Linear(3, 4)
    recast(layer, {nn.Linear: Doubled})
    assert type(layer) is Doubled
    recast(layer, {Doubled: nn.Linear})
    assert type(layer) is nn.Linear


def taking(calls: list[int]) -> nn.Module:
    """Return a part of a network that notes how many rows it takes at a time."""
    layer = nn.Linear(3, 5)
    layer.register_forward_hook(lambda *call: calls.append(call[2].shape[1]))
    return layer


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        (1, [1] * 11),  # one row is the least, however wide
        (2 * 7, [1] * 11),
        (2 * 7 * 4 + 1, [4, 4, 3]),
        (2 * 7 * 10, [10, 1]),
        (2 * 7 * 11, [11]),
        (2**22, [11]),
    ],
)
@torch.inference_mode()
def test_rows_in_pieces_come_out_in_order_and_no_more_are_taken_at_once(
    numbers: int, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    layer, rows = taking(calls), torch.randn(2, 11, 3)
    monkeypatch.setattr(runtime, "PIECE_NUMBERS", numbers)
    found = in_pieces(layer, rows, 7)
    assert calls == expected
    torch.testing.assert_close(found, layer(rows))


def test_pieces_are_of_the_type_that_the_part_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "PIECE_NUMBERS", 8)
    with torch.inference_mode():
        found = in_pieces(Tensor.bfloat16, torch.ones(1, 11, 3), 3)
    assert found.dtype == torch.bfloat16
    assert found.eq(1).all()


@torch.inference_mode()
def test_no_rows_are_an_ordinary_number_of_rows() -> None:
    assert in_pieces(nn.Linear(3, 5), torch.ones(2, 0, 3), 7).shape == (2, 0, 5)


def test_all_rows_go_at_once_with_gradients_and_off_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runtime, "PIECE_NUMBERS", 1)
    calls: list[int] = []
    layer = taking(calls)
    in_pieces(layer, torch.ones(2, 11, 3), 7).sum().backward()
    assert calls == [11]
    assert layer.weight.grad.eq(22).all()
    with torch.inference_mode():
        in_pieces(layer.to("meta"), torch.ones(2, 11, 3, device="meta"), 7)
    assert calls == [11, 11]


class Batches:
    """What takes several at once, and writes down how many."""

    def __init__(self, batch_size: int, room: int, error: RuntimeError) -> None:
        self.batch_size, self.room, self.error = batch_size, room, error
        self.seen: list[int] = []

    def run(self, batch: Sequence[int]) -> list[int]:
        self.seen.append(len(batch))
        if len(batch) > self.room:
            raise self.error
        return [10 * one for one in batch]


OUT_OF_MEMORY = (
    torch.cuda.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
)


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_where_memory_is_short_batches_are_halved_and_stay_so(error: RuntimeError) -> None:
    owner = Batches(8, 3, error)
    assert in_batches(owner, range(11), owner.run) == [10 * one for one in range(11)]
    assert owner.seen == [8, 4, 2, 2, 2, 2, 2, 1]
    assert owner.batch_size == 2
    assert in_batches(owner, [], owner.run) == []


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_one_that_does_not_fit_is_an_error(error: RuntimeError) -> None:
    owner = Batches(2, 0, error)
    with pytest.raises(RuntimeError, match="memory"):
        in_batches(owner, [1, 2], owner.run)
    assert owner.seen == [2, 1]


def test_other_errors_halve_nothing() -> None:
    owner = Batches(8, 3, RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes"):
        in_batches(owner, range(8), owner.run)
    assert (owner.seen, owner.batch_size) == ([8], 8)


def test_large_photographs_are_resized_by_torch_as_by_pillow() -> None:
    rng = np.random.default_rng(0)
    coarse = PIL.Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8))
    large = np.array(coarse.resize((3000, 2000), PIL.Image.Resampling.BICUBIC))
    assert large.shape[0] * large.shape[1] > MOST_BY_PILLOW
    for size_hw in ((384, 384), (800, 1200)):
        found = resize(large, size_hw)
        expected = PIL.Image.fromarray(large).resize(size_hw[::-1], PIL.Image.Resampling.BILINEAR)
        off = np.abs(found.astype(int) - np.array(expected, int))
        assert found.dtype == np.uint8
        assert off.max() <= 1
        assert (off > 0).mean() < 0.02
