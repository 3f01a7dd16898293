import psutil
import pytest
import torch

from grounded_ram.benchmark import machine
from grounded_ram.benchmark.machine import (
    Machine,
    copy_rates,
    gemm_rate,
    measure_machine,
    peak_device_bytes,
    peak_host_bytes,
    processor_name,
)

CPU = torch.device("cpu")


def made(gemm: float, copy: float) -> Machine:
    return Machine(
        processor="p", device="d", threads=1, gemm_gflops={"float32": gemm}, copy_gb_s={"a": copy}
    )


def test_every_number_type_and_way_has_a_rate() -> None:
    found = measure_machine(CPU)
    assert set(found.gemm_gflops) == {"float32", "bfloat16"}
    assert set(found.copy_gb_s) == {"host to host"}
    assert all(rate > 0 for rate in (*found.gemm_gflops.values(), *found.copy_gb_s.values()))
    assert found.threads == torch.get_num_threads()
    assert found.device == found.processor == processor_name() != ""


def test_a_product_and_a_sum_are_two_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_least_seconds", lambda run, device: 0.5)
    assert gemm_rate(CPU, torch.float32) == 2 * 64**3 / 0.5  # of the larger of two sides
    assert copy_rates(CPU) == {"host to host": 2**12 / 0.5}


def test_the_fastest_of_several_runs_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([0.0, 1.0, 4.0, 5.0, 7.0, 8.0])  # begun; two runs, of 3 s and of 2 s; done
    monkeypatch.setattr(machine.time, "perf_counter", lambda: next(readings))
    runs: list[int] = []
    assert machine._least_seconds(lambda: runs.append(1), CPU) == 2.0
    assert len(runs) == 3  # the first one warms up


def test_of_two_measurements_the_better_rates_count() -> None:
    best = made(3, 5).faster(made(4, 2))
    assert (best.gemm_gflops, best.copy_gb_s) == ({"float32": 4}, {"a": 5})


def test_peak_memory_is_told_in_bytes() -> None:
    now = psutil.Process().memory_info().rss
    peak = peak_host_bytes()
    if peak is None:
        pytest.skip("this system tells no peak")
    assert 0.9 * now < peak < 50 * now
    assert peak_device_bytes(CPU) is None
