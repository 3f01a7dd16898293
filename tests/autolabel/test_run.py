from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from grounded_ram.autolabel.engines import Here
from grounded_ram.autolabel.items import Item
from grounded_ram.autolabel.journal import Part
from grounded_ram.autolabel.labeller import Labeller
from grounded_ram.autolabel.outcomes import Failed, Labelled
from grounded_ram.autolabel.run import label, label_dataset, todo
from grounded_ram.autolabel.run_folder import Share
from grounded_ram.errors import InputError
from grounded_ram.export.dataset import key_of
from tests.colours import colours_model, draw, draw_many

NAMES = [f"{number}.png" for number in range(200)]
ITEMS = [Item(name, name) for name in NAMES]


@pytest.fixture
def part(tmp_path: Path) -> Iterator[Part]:
    opened = Part(tmp_path / "part")
    yield opened
    opened.close()


def test_only_what_is_not_done_is_to_do(part: Part) -> None:
    part.commit([Labelled("3.png", "0" * 64, 0, b"{}\n"), Failed("5.png", "damaged")])
    assert [one.name for one in todo(part, ITEMS)] == [
        name for name in NAMES if name not in {"3.png", "5.png"}
    ]
    again = [one.name for one in todo(part, ITEMS, retry_failed=True)]
    assert again == [name for name in NAMES if name != "3.png"]


def test_shares_are_about_equal_and_have_each_picture_once(part: Part) -> None:
    shares = [list(todo(part, ITEMS, share=Share(number, 4))) for number in range(1, 5)]
    assert sorted(one.name for one in chain(*shares)) == sorted(NAMES)
    assert all(30 < len(share) < 70 for share in shares)
    fewer = list(todo(part, ITEMS[::2], share=Share(2, 4)))
    assert set(fewer) <= set(shares[1])  # others that come or go change nothing


def test_a_run_that_is_stopped_finishes_what_it_began(part: Part, tmp_path: Path) -> None:
    draw_many(tmp_path / "photos", 12)
    paths = sorted((tmp_path / "photos").rglob("*.png"))
    items = [Item(path.name, str(path)) for path in paths]
    done: list[str] = []
    labelled = label(
        part,
        items,
        labeller=Labeller(colours_model()),
        engine=Here(0),
        stop=lambda: len(done) >= 2,
        batch=2,
    )
    for outcomes in labelled:
        assert {one.name for one in outcomes} <= part.labelled
        done += [one.name for one in outcomes]
    assert done == [item.name for item in items[: len(done)]]
    assert 2 <= len(done) <= 6


def test_a_dataset_is_labelled_from_python_and_gone_on_with(tmp_path: Path) -> None:
    draw_many(tmp_path / "photos", 6)
    run = label_dataset(colours_model(), [tmp_path / "photos"], tmp_path / "run", threads=1)
    dataset = run.dataset()
    assert [key_of(one.image) for one in dataset] == [
        *("0/000.png", "0/003.png", "1/001.png", "1/004.png", "2/002.png", "2/005.png")
    ]
    assert dataset.objects == {"apple": 4, "car": 2, "tree": 1}
    assert [name for name, _ in run.failures()] == ["damaged.jpg"]

    draw(tmp_path / "photos/new.png", "tree")
    again = label_dataset(colours_model(), [tmp_path / "photos"], tmp_path / "run", threads=1)
    assert again.dataset().objects == {"apple": 4, "car": 2, "tree": 2}
    with pytest.raises(InputError, match=r'tags: null then, \["tree"\] now'):
        label_dataset(
            colours_model(), [tmp_path / "photos"], tmp_path / "run", tags=["tree"], threads=1
        )
