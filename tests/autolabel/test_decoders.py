from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from grounded_ram.autolabel.decoders import Decoders
from grounded_ram.autolabel.items import Item
from grounded_ram.images import LoadedImage
from tests.colours import draw


@dataclass(frozen=True)
class Deadly(Item):
    """An item that kills every other process that it reaches, as a broken decoder may."""

    def __reduce__(self) -> tuple[Any, ...]:
        return arrive, (os.getpid(), self.name, self.path)


def arrive(sender: int, name: str, path: str) -> Item:
    if os.getpid() != sender:
        os.kill(os.getpid(), signal.SIGKILL)
    return Item(name, path)


@pytest.fixture
def items(tmp_path: Path) -> list[Item]:
    for name in "abc":
        draw(tmp_path / f"{name}.png", "apple")
    (tmp_path / "b.png").write_bytes(b"no picture")
    return [Item(name, str(tmp_path / f"{name}.png")) for name in "abc"]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_pictures_come_in_order_and_what_is_wrong_is_told(items: list[Item], count: int) -> None:
    with Decoders(count) as decoders:
        first, second = decoders.start(items), decoders.start(items[::-1])
        found = [*first.pictures(), *second.pictures()]
    assert [one.item.name for one in found] == list("abccba")
    for one in found:
        if one.item.name == "b":
            assert "expected a picture such as JPEG" in str(one.picture)
        else:
            assert isinstance(one.picture, LoadedImage)
            assert one.picture.path == one.item.path


@pytest.mark.parametrize("count", [0, 1])
def test_larger_pictures_than_allowed_fail(items: list[Item], count: int) -> None:
    with Decoders(count, max_pixels=40 * 40 - 1) as decoders:
        (found,) = decoders.start(items[:1]).pictures()
    assert "expected at most 1599 pixels" in str(found.picture)


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_a_picture_that_kills_its_process_fails_alone(items: list[Item]) -> None:
    deadly = Deadly("deadly", "nowhere")
    with Decoders(1) as decoders:
        first = decoders.start([items[0], deadly, items[2]])
        found = first.pictures()
        after = decoders.start(items[:1]).pictures()
    assert isinstance(found[0].picture, LoadedImage)
    assert "the process that decoded it died" in str(found[1].picture)
    assert isinstance(found[2].picture, LoadedImage)
    assert isinstance(after[0].picture, LoadedImage)
