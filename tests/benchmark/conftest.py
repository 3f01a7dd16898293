import pytest

from tests.benchmark.quick import small_rates


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure the machine in no time."""
    small_rates(monkeypatch)
