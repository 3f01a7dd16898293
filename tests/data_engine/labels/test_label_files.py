import csv
from pathlib import Path

import pytest

from grounded_ram.data_engine.labels.counting import TagCount
from grounded_ram.data_engine.labels.label_files import COUNT_COLUMNS, write_counts, write_system
from grounded_ram.data_engine.labels.label_system import LabelSystem, Tag
from grounded_ram.vocabulary.edits import Edits, read_edits
from grounded_ram.vocabulary.labelling import UNJUDGED, Labelling
from grounded_ram.vocabulary.table import PLACED

THINGS = (
    Tag("car", "object", ("automobile", "jalopy"), 9),
    Tag("hound", "object", ("dog", "puppy"), 8),
    Tag("zorb", "object", ("zorb ball",), 7),
    Tag("crème: brûlée", "object", (), 6),
    Tag("sky", "stuff", (), 5),
)
OTHERS = (Tag("running", "action", ("run",), 4), Tag("kitchen", "scene", (), 3))


def labels(tmp_path: Path, *tags: Tag, edits: Edits | None = None) -> Labelling:
    write_system(LabelSystem(tags), tmp_path, edits)
    return Labelling((*PLACED, UNJUDGED), read_edits(tmp_path / "vocabulary.yaml"))


def test_tags_are_a_line_each_the_most_frequent_first(tmp_path: Path) -> None:
    write_system(LabelSystem((*OTHERS, *THINGS)), tmp_path)
    lines = (tmp_path / "tags.txt").read_text("utf-8").splitlines()
    assert lines == [tag.name for tag in (*THINGS, *OTHERS)]


def test_labelling_with_the_file_gives_these_labels_and_no_others(tmp_path: Path) -> None:
    found = labels(tmp_path, *THINGS, *OTHERS)
    assert list(found.edits.classes) == [tag.name for tag in THINGS]
    called = {
        **{"automobile": "car", "jalopy": "car", "dog": "hound", "puppy": "hound"},
        **{"zorb": "zorb", "zorb ball": "zorb", "sky": "sky", "crème: brûlée": "crème: brûlée"},
    }
    for name, label in called.items():
        assert found.label(name) == label
        assert found.reason_against(name, found.vocabulary.kind(name) or "object") is None
    for name in ("elephant", "kitchen", "run"):
        assert found.reason_against(name, found.vocabulary.kind(name) or "object") is not None


def test_of_what_the_vocabulary_holds_for_one_the_most_frequent_is_the_label(
    tmp_path: Path,
) -> None:
    found = labels(tmp_path, Tag("automobile", "object", (), 9), Tag("car", "object", (), 2))
    assert list(found.edits.classes) == ["automobile"]
    assert found.label("car") == "automobile"


def test_what_has_no_shape_is_no_class(tmp_path: Path) -> None:
    assert list(
        labels(tmp_path, Tag("equipment", "object"), Tag("dog", "object")).edits.classes
    ) == ["dog"]


def test_a_kind_of_thing_may_be_merged_with_what_is_above_it(tmp_path: Path) -> None:
    assert labels(tmp_path, Tag("dog", "object", ("animal",))).label("animal") == "dog"


@pytest.mark.parametrize("tags", [(), OTHERS])
def test_a_system_without_things_is_a_file_that_can_be_read(
    tmp_path: Path, tags: tuple[Tag, ...]
) -> None:
    assert labels(tmp_path, *tags).edits == Edits()
    assert (tmp_path / "tags.txt").read_text() == "".join(f"{tag.name}\n" for tag in tags)


def test_the_user_s_own_edits_come_along_where_they_still_mean_something(tmp_path: Path) -> None:
    edits = Edits(
        synonyms={"car": ("jalopy",), "zorb": ()},
        parents={"zorb": ("toy",)},
        thresholds={"car": 0.7},
        block=("person",),
        rename={"car": "auto"},
    )
    tags = (Tag("auto", "object", ("car", "jalopy", "old banger")), Tag("zorb", "object"))
    found = labels(tmp_path, *tags, edits=edits)
    assert {found.label(name) for name in ("car", "jalopy", "old banger")} == {"auto"}
    assert found.vocabulary.is_a("zorb", "toy")
    assert found.edits.thresholds == {"car": 0.7}
    assert found.edits.block == ()


def test_counts_are_a_table(tmp_path: Path) -> None:
    counts = [TagCount("car", 3, (2, 0, 0, 1), {"automobile": 2, "auto": 1}, ())]
    write_counts(counts, 12, tmp_path / "counts.csv")
    with (tmp_path / "counts.csv").open(newline="") as file:
        head, row = csv.reader(file)
    assert tuple(head) == COUNT_COLUMNS
    assert row == ["car", "3", "25.0000%", "2", "0", "0", "1", "automobile 2; auto 1"]
    write_counts([], 0, tmp_path / "counts.csv")
    assert len((tmp_path / "counts.csv").read_text().splitlines()) == 1
