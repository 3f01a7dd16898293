import pytest

from grounded_ram.data_engine.labels.folding import Folding
from grounded_ram.errors import InputError
from grounded_ram.vocabulary.edits import Edits
from grounded_ram.vocabulary.table import official_vocabulary


def test_known_synonyms_and_plurals_become_the_label_and_others_stay() -> None:
    folding = Folding()
    assert [folding.tag(name) for name in ("automobile", "car", "jalopy", "leave")] == [
        "car",
        "car",
        "jalopy",
        official_vocabulary().label("leave"),
    ]


def test_every_name_of_the_table_counts_as_its_label() -> None:
    folding, table = Folding(), official_vocabulary()
    assert all(folding.tag(name) == table.label(name) for name in table)
    assert all(folding.tag(table.label(name)) == table.label(name) for name in table)


def test_lower_case_names_are_found_as_parsers_write_them() -> None:
    table = official_vocabulary()
    proper = next(n for n in table if n != n.lower() and n.lower() not in table)
    assert Folding().tag(proper.lower()) == table.label(proper)


def test_what_it_maps_is_what_it_names() -> None:
    folding = Folding()
    assert "automobile" in folding.names("car")
    for name in folding.names("car"):
        assert folding.tag(name) == "car" != name
    assert folding.names("no such tag") == ()


def test_tags_to_start_from_stay_as_they_are_beside_their_synonyms() -> None:
    folding = Folding(start=["automobile", "car", "Zorb", "zorb"])
    assert folding.start == ("automobile", "car", "Zorb")
    assert [folding.tag(name) for name in ("automobile", "car", "ZORB".lower())] == [
        "automobile",
        "car",
        "Zorb",
    ]
    others = [n for n in official_vocabulary().synonyms("car") if n != "automobile"]
    assert {folding.tag(name) for name in others} <= {"car"}
    assert Folding(start=["automobile"]).tag("car") == "automobile"
    assert folding.is_start("zorb")
    assert not folding.is_start("dog")


def test_a_synonym_counts_as_the_head_before_the_label_before_the_others() -> None:
    table = official_vocabulary()
    assert (table.head("earphone"), table.label("earphone")) == ("headphone", "headphones")
    assert Folding(start=["headphones", "headphone"]).tag("earphone") == "headphone"
    assert Folding(start=["headphones"]).tag("earphone") == "headphones"
    assert Folding(start=["earphone"]).tag("headphones") == "earphone"


def test_the_user_s_synonyms_and_names_count() -> None:
    folding = Folding(Edits(synonyms={"car": ("jalopy",)}, rename={"car": "auto"}))
    assert [folding.tag(name) for name in ("jalopy", "automobile", "car")] == ["auto"] * 3
    assert folding.kind("auto") == "object"
    assert folding.knows("auto")
    assert folding.head("auto") == "car"


def test_what_the_user_blocks_is_told_with_kinds_of_it() -> None:
    blocking = Folding(Edits(block=("animal",), rename={"dog": "hound"}))
    assert "blocks" in blocking.reason_against("hound")
    assert blocking.reason_against("car") == ""
    allowing = Folding(Edits(allow=("animal",)))
    assert allowing.reason_against("dog") == ""
    assert "not allow" in allowing.reason_against("car")


def test_classes_are_refused() -> None:
    with pytest.raises(InputError, match="classes"):
        Folding(Edits(classes={"vehicle": ("car",)}))
