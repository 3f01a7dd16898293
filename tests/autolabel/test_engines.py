from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from grounded_ram.autolabel.engines import Engine, Here, Items, Processes
from grounded_ram.autolabel.items import Item
from grounded_ram.autolabel.labeller import Labeller
from grounded_ram.autolabel.outcomes import Failed, Labelled, Outcome
from grounded_ram.errors import WeightsError
from grounded_ram.pipeline import GroundedRAM
from tests.colours import DEADLY, POISON, Colours, colours_model, draw, draw_many


@pytest.fixture
def items(tmp_path: Path) -> list[Item]:
    draw_many(tmp_path, 10)
    paths = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    return [Item(path.relative_to(tmp_path).as_posix(), str(path)) for path in paths]


def batches(items: list[Item], size: int = 3) -> list[Items]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def outcomes(engine: Engine, items: list[Item], model: GroundedRAM | None = None) -> list[Outcome]:
    labeller = Labeller(model or colours_model(), threads=1)
    found = [one for batch in engine(labeller, batches(items)) for one in batch]
    return sorted(found, key=lambda one: one.name)


def test_all_engines_give_the_same(items: list[Item]) -> None:
    expected = outcomes(Here(0), items)
    assert [one.name for one in expected] == sorted(item.name for item in items)
    assert [type(one) for one in expected].count(Failed) == 1
    assert sum(one.objects for one in expected if isinstance(one, Labelled)) == 13
    assert outcomes(Here(2), items) == expected
    assert outcomes(Processes(["cpu", "cpu"], decoders=0), items) == expected
    assert outcomes(Processes(["cpu"], decoders=1), items) == expected


@pytest.mark.parametrize("engine", [Here(1), Processes(["cpu"])])
def test_no_items_are_no_work(engine: Engine) -> None:
    assert outcomes(engine, []) == []


def test_one_picture_spoils_no_other_of_its_batch(items: list[Item], tmp_path: Path) -> None:
    expected = outcomes(Here(0), items)
    draw(tmp_path / "poison.png", "car", first=POISON)
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    more = [Item("!poison.png", str(tmp_path / "poison.png")), *items]
    more.insert(2, Item("!gone.png", str(tmp_path / "gone.png")))
    gone, poison, *rest = outcomes(Here(0), more)
    assert rest == expected
    assert poison == Failed("!poison.png", "RuntimeError: poisoned")
    assert isinstance(gone, Failed)
    assert "there is no file" in gone.reason


def test_a_picture_that_kills_its_process_fails_alone(items: list[Item], tmp_path: Path) -> None:
    expected = outcomes(Here(0), items)
    draw(tmp_path / "deadly.png", "car", first=DEADLY)
    more = [Item("!deadly.png", str(tmp_path / "deadly.png")), *items]
    deadly, *rest = outcomes(Processes(["cpu", "cpu"]), more)
    assert rest == expected
    assert isinstance(deadly, Failed)
    assert "died twice (exit code -9)" in deadly.reason


class KillsItself(Colours):
    """Dies at its first picture, once: the next process finds the mark that it left."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def tag(self, images, *, threshold=None):  # type: ignore[no-untyped-def]
        if not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().tag(images, threshold=threshold)


def test_a_process_that_is_killed_from_outside_costs_no_picture(
    items: list[Item], tmp_path: Path
) -> None:
    stage = KillsItself(tmp_path / "mark")
    model = GroundedRAM("tiny", tagger=stage, detector=stage, segmenter=stage)
    found = outcomes(Processes(["cpu", "cpu"]), items, model)
    assert (tmp_path / "mark").exists()
    assert found == outcomes(Here(0), items)


class Absent(Colours):
    def tag(self, images, *, threshold=None):  # type: ignore[no-untyped-def]
        raise WeightsError("they are absent")


@pytest.mark.parametrize("engine", [Here(0), Processes(["cpu"])])
def test_what_would_fail_for_all_stops_the_run(engine: Engine, items: list[Item]) -> None:
    stage = Absent()
    model = GroundedRAM("tiny", tagger=stage, detector=stage, segmenter=stage)
    with pytest.raises(WeightsError, match="they are absent"):
        outcomes(engine, items, model)


def test_batches_are_taken_as_they_are_needed(items: list[Item]) -> None:
    taken = 0

    def counted() -> Iterator[Items]:
        nonlocal taken
        for batch in batches(items, 1):
            taken += 1
            yield batch

    def ahead(engine: Engine, source: Iterable[Items]) -> int:
        results = engine(Labeller(colours_model()), source)
        next(results)
        results.close()  # type: ignore[attr-defined]
        return taken

    assert ahead(Here(0), counted()) <= 2
    taken = 0
    assert ahead(Processes(["cpu"]), counted()) <= 3
