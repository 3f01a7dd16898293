from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from grounded_ram.data_engine.examples import Caption, Example, joined
from grounded_ram.data_engine.reading.merging import Merged
from grounded_ram.data_engine.reading.rows import BadRow, Row


def row(image: str, number: int) -> Example:
    return Example(image, (f"tag {number}",), (Caption(f"caption {number}"),))


def merge(rows: list[Row]) -> list[Row]:
    return list(Merged(lambda: iter(rows)).rows())


@pytest.mark.parametrize("seed", range(20))
def test_each_image_comes_once_with_all_that_is_told(seed: int) -> None:
    chance = random.Random(seed)
    rows = [row(f"{chance.randrange(12)}.jpg", number) for number in range(30)]
    by_image: dict[str, list[Example]] = {}
    for one in rows:
        by_image.setdefault(one.image, []).append(one)
    last = {one.image: place for place, one in enumerate(rows)}
    expected = [joined(by_image[name]) for name in sorted(by_image, key=last.__getitem__)]
    assert merge(list(rows)) == expected


def test_single_rows_and_bad_ones_go_through_as_they_stand() -> None:
    rows: list[Row] = [row("a", 1), BadRow("x:2", "gone"), row("b", 3), BadRow("x:4", "gone")]
    assert [one for one in merge(rows) if isinstance(one, Example)] == [rows[0], rows[2]]
    assert [one for one in merge(rows) if isinstance(one, BadRow)] == [rows[1], rows[3]]
    assert merge([]) == []
    assert merge([BadRow("x:2", "gone")]) == [BadRow("x:2", "gone")]


def test_a_picture_does_not_wait_for_its_last_row_where_rows_follow_one_another() -> None:
    read = 0

    def rows() -> Iterator[Row]:
        nonlocal read
        for number in range(100):
            read += 1
            yield row(f"{number // 2}", number)

    merged = Merged(rows)
    stream = merged.rows()
    assert next(stream) == joined([row("0", 0), row("0", 1)])
    assert read == 100 + 3  # all to count them, then only as far as needed
    assert len(list(stream)) == 49
    read = 0
    assert len(list(merged.rows())) == 50
    assert read == 100  # they are counted once


def test_a_source_that_changed_meanwhile_loses_nothing() -> None:
    rows: list[Row] = [row("a", 1), row("b", 2), row("a", 3)]
    merged = Merged(lambda: iter(rows))
    assert len(list(merged.rows())) == 2
    del rows[2]
    assert list(merged.rows()) == [row("b", 2), row("a", 1)]
    rows += [row("a", 4), row("c", 5), row("a", 6)]
    assert {one.image for one in merged.rows()} == {"a", "b", "c"}


def test_images_whose_hashes_collide_are_not_mixed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import grounded_ram.data_engine.reading.merging as module

    monkeypatch.setattr(module, "hash", len, raising=False)
    rows: list[Row] = [row("a", 1), row("b", 2), row("a", 3), row("cc", 4)]
    found = {one.image: one for one in merge(rows) if isinstance(one, Example)}
    assert found == {"a": joined([row("a", 1), row("a", 3)]), "b": row("b", 2), "cc": row("cc", 4)}
