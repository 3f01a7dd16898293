from pathlib import Path

import pytest

from grounded_ram.errors import InputError, UnknownNameError
from grounded_ram.scenes.catalog import CATEGORIES
from grounded_ram.vocabulary.table import (
    KINDS,
    PLACED,
    Entry,
    Vocabulary,
    official_vocabulary,
    read_vocabulary,
)

SWITCHED_OFF = (
    "body",
    "cocktail table",
    "French",
    "group",
    "lie",
    "show",
    "see",
    "set",
    "stop",
    "use",
)
"""Tags whose threshold in RAM's list is 1."""


def thing(name: str, **facts: object) -> Entry:
    usual = {"kind": "object", "groundable": True, "singular": name}
    return Entry(name=name, **{**usual, **facts})  # type: ignore[arg-type]


def test_every_tag_of_both_lists_is_judged_and_nothing_else(shared: Path) -> None:
    lists = ("ram_tag_list.txt", "tag_list.txt")
    tags = {
        tag for name in lists for tag in (shared / "assets" / name).read_text("utf-8").splitlines()
    }
    assert set(official_vocabulary()) == tags


def test_every_row_is_whole() -> None:
    for entry in official_vocabulary().values():
        assert entry.kind in KINDS
        assert entry.singular == " ".join(entry.singular.split()) != ""
        assert not entry.groundable or entry.kind in PLACED
        assert len(entry.parents) <= 2


def test_what_can_be_cut_out_is_worth_it_more_often_than_not() -> None:
    entries = official_vocabulary().values()
    for kind in PLACED:
        worth = [entry.groundable for entry in entries if entry.kind == kind]
        assert sum(worth) > 0.75 * len(worth)


def test_a_kind_of_something_is_above_no_other_kind_of_thing() -> None:
    vocabulary = official_vocabulary()
    for name, entry in vocabulary.items():
        for parent in vocabulary.ancestors(name):
            if entry.groundable:
                assert vocabulary[parent].kind in PLACED, (name, parent)
            assert vocabulary[parent].same_as == ""


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("automobile", "car"),
        ("sedan", "vehicle"),
        ("puppy", "animal"),
        ("bike", "bicycle"),
        ("woman", "person"),
        ("oak tree", "plant"),
        ("armchair", "furniture"),
    ],
)
def test_what_everybody_knows(name: str, other: str) -> None:
    assert official_vocabulary().is_a(name, other)
    assert not official_vocabulary().is_a(other, "umbrella")


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("action", "stand run tennis wedding"),
        ("attribute", "blue striped sunny"),
        ("scene", "kitchen airport city"),
        ("stuff", "sea sky grass snow"),
        ("part", "wheel wing hand"),
        ("object", "car dog person tree"),
    ],
)
def test_kinds_that_everybody_knows(kind: str, names: str) -> None:
    found = {name: official_vocabulary()[name] for name in names.split()}
    assert {name: entry.kind for name, entry in found.items()} == dict.fromkeys(found, kind)
    assert {entry.groundable for entry in found.values()} == {kind in PLACED}


def test_tags_that_ram_switches_off_are_judged_for_those_who_wake_them() -> None:
    vocabulary = official_vocabulary()
    groundable = {name for name in SWITCHED_OFF if vocabulary[name].groundable}
    assert groundable == {"cocktail table"}
    assert vocabulary.head("cocktail table") == "coffee table"


def test_the_things_of_our_own_scenes_are_worth_grounding() -> None:
    vocabulary = official_vocabulary()
    assert all(vocabulary.is_worth_grounding(name, "object") for name in CATEGORIES)
    assert not vocabulary.is_worth_grounding("accessory", "object")
    assert vocabulary.is_worth_grounding("a word of mine", "object")


def test_relatives() -> None:
    vocabulary = Vocabulary(
        [
            thing("vehicle"),
            thing("car", parents=("vehicle",)),
            thing("automobile", same_as="car"),
            thing("auto", same_as="car"),
            thing("sedan", parents=("automobile",)),
            thing("amphibian", parents=("sedan", "vehicle")),
        ]
    )
    assert vocabulary.head("auto") == "car"
    assert vocabulary.synonyms("automobile") == ("car", "auto")
    assert vocabulary.synonyms("car") == ("auto", "automobile")
    assert vocabulary.synonyms("vehicle") == ()
    assert vocabulary.parents("sedan") == ("car",)
    assert vocabulary.parents("auto") == ("vehicle",)
    assert vocabulary.ancestors("amphibian") == ("sedan", "vehicle", "car")
    assert vocabulary.is_a("sedan", "automobile")
    assert not vocabulary.is_a("car", "sedan")
    assert vocabulary.head("unheard of") == "unheard of"
    assert vocabulary.ancestors("unheard of") == vocabulary.synonyms("unheard of") == ()


def test_a_name_is_found_in_any_case_and_a_wrong_one_is_told_what_is_near() -> None:
    vocabulary = official_vocabulary()
    assert vocabulary.find("EIFFEL TOWER").name in {"Eiffel tower", "eiffel tower"}
    with pytest.raises(UnknownNameError, match=r"'automobil'; did you mean 'automobile'") as error:
        vocabulary.find("automobil")
    assert len(str(error.value)) < 1500


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([thing("a"), thing("a")], "'a' comes twice"),
        ([thing("a", parents=("b",))], "relative of 'a' 'b'"),
        ([thing("a", same_as="b")], "relative of 'a' 'b'"),
        ([thing("a", parents=("b",)), thing("b", parents=("a",))], "'[ab]' is its own ancestor"),
        ([thing("a", parents=("a",))], "'a' is its own ancestor"),
        (
            [thing("a", same_as="b"), thing("b", same_as="c"), thing("c")],
            "'b', which must be a head",
        ),
        ([thing("a", same_as="b", parents=("b",)), thing("b")], "no parents of its own"),
        ([thing("a", same_as="b"), thing("b", kind="part")], "'a' and 'b' are of two kinds"),
        ([thing("a", kind="thing")], "unknown kind of 'a' 'thing'"),
        ([thing("a", kind="action")], "'a' is groundable, but action"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(entries: list[Entry], message: str) -> None:
    with pytest.raises((InputError, UnknownNameError), match=message):
        Vocabulary(entries)


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("name,kind\ncar,object\n")
    with pytest.raises(InputError, match=r"mine\.csv: .*groundable"):
        read_vocabulary(path)
    with pytest.raises(InputError, match=r"gone\.csv"):
        read_vocabulary(tmp_path / "gone.csv")
    path.write_text("name,kind,groundable,singular,same_as,parents\nCar,object,yes,car,,\n")
    assert read_vocabulary(path)["Car"] == Entry("Car", "object", groundable=True, singular="car")
