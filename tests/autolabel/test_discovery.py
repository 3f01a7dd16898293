from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from grounded_ram.annotation import Tags
from grounded_ram.autolabel.discovery import Discovery, Row, vocabulary_text, write_vocabulary
from grounded_ram.errors import InputError
from grounded_ram.vocabulary.edits import Edits, read_edits
from grounded_ram.vocabulary.labelling import UNJUDGED, Labelling
from grounded_ram.vocabulary.table import PLACED

KINDS = {"red": "attribute", "beach": "scene", "grass": "stuff"}


def discovery(edits: Edits | None = None) -> Discovery:
    return Discovery(Labelling((*PLACED, UNJUDGED), edits))


def tags(**scores: float) -> Tags:
    kinds = tuple(KINDS.get(name, "object") for name in scores)
    return Tags(tuple(scores), np.array(list(scores.values()), np.float32), kinds)


@pytest.fixture
def street() -> Discovery:
    """Four pictures: cars in three, a dog in two, a cat in one."""
    found = discovery()
    found.add("1.jpg", tags(car=0.5, dog=0.75, red=1.0))
    found.add("2.jpg", tags(car=1.0, cat=0.5))
    found.add("3.jpg", tags())
    found.add("4.jpg", tags(dog=0.75, car=0.75, beach=0.25))
    return found


def read(text: str, tmp_path: Path) -> Edits:
    path = tmp_path / "read.yaml"
    path.write_text(text, encoding="utf-8")
    return read_edits(path)


def labels(edits: Edits, *seen: str) -> dict[str, str]:
    """Return what is looked for with a file, and what it is called."""
    labelling = Labelling((*PLACED, UNJUDGED), edits)
    wanted = [name for name in seen if labelling.reason_against(name, "object") is None]
    return {name: labelling.label(name) for name in wanted}


def test_rows_count_what_was_added(street: Discovery) -> None:
    assert street.pictures == 4
    assert street.rows() == [
        Row("car", "object", True, 3, 0.75, 1.0, (("dog", 2), ("cat", 1)),
            ("2.jpg", "4.jpg", "1.jpg")),
        Row("dog", "object", True, 2, 0.75, 0.75, (("car", 2),), ("1.jpg", "4.jpg")),
        Row("cat", "object", True, 1, 0.5, 0.5, (("car", 1),), ("2.jpg",)),
        Row("beach", "scene", False, 1, 0.25, 0.25, (("car", 1), ("dog", 1)), ("4.jpg",)),
        Row("red", "attribute", False, 1, 1.0, 1.0, (("car", 1), ("dog", 1)), ("1.jpg",)),
    ]  # fmt: skip


def test_rows_do_not_depend_on_the_order_of_pictures_or_tags() -> None:
    pictures = {
        "a": tags(dog=0.5, cat=0.5, car=0.5, grass=0.5, bus=0.5),
        "b": tags(dog=0.5, cat=0.25, red=0.5),
        "c": tags(dog=0.5, grass=0.5),
        "d": tags(dog=0.5, bus=0.75),
    }
    forth, back = discovery(), discovery()
    for name, of_picture in pictures.items():
        forth.add(name, of_picture)
    for name, of_picture in reversed(pictures.items()):
        back.add(name, of_picture.take(list(range(len(of_picture)))[::-1]))
    assert forth.rows() == back.rows()
    assert forth.rows()[0].examples == ("a", "b", "c")
    assert forth.rows()[0].comes_with == (("bus", 2), ("cat", 2), ("grass", 2))
    assert vocabulary_text(forth) == vocabulary_text(back)


def test_memory_does_not_grow_with_pictures() -> None:
    found = discovery()
    for number in range(500):
        found.add(f"{number:03}.jpg", tags(dog=(number % 7) / 10, car=0.5))
    assert all(len(seen.best) == 3 for seen in found._seen.values())
    assert found.rows()[1].examples == ("006.jpg", "013.jpg", "020.jpg")


def test_edits_say_what_is_looked_for() -> None:
    found = discovery(Edits(block=("animal",), ground=("object",)))
    found.add("1.jpg", tags(dog=0.5, grass=0.5, car=0.5))
    assert {row.label: row.looked_for for row in found.rows()} == {
        "car": True,
        "dog": False,
        "grass": False,
    }


def test_each_label_is_a_class_of_its_own_most_frequent_first(
    street: Discovery, tmp_path: Path
) -> None:
    text = vocabulary_text(street, preset="tiny")
    assert list(read(text, tmp_path).classes.items()) == [
        ("car", ("car",)),
        ("dog", ("dog",)),
        ("cat", ("cat",)),
    ]
    assert (
        "  car: [car]  # in 3 of 4 pictures, score 0.75; with dog, cat; see 2.jpg, 4.jpg, 1.jpg\n"
        in text
    )
    assert "grounded-ram annotate FOLDER --preset tiny --vocabulary FILE" in text
    assert "#   scene: beach 1\n#   attribute: red 1\n" in text


def test_rare_labels_wait_in_comments(street: Discovery, tmp_path: Path) -> None:
    text = vocabulary_text(street, least=2)
    assert list(read(text, tmp_path).classes) == ["car", "dog"]
    assert list(read(text.replace("# cat:", "cat:"), tmp_path).classes) == ["car", "dog", "cat"]


def test_what_a_thing_is_a_kind_of_is_no_company() -> None:
    found = discovery()
    found.add("1.jpg", tags(dog=0.5, animal=0.5, puppy=0.5, car=0.5))
    told = {row.label: [name for name, _ in row.comes_with] for row in found.rows()}
    assert told["dog"] == ["car"]
    assert told["animal"] == ["car"]
    assert told["car"] == ["animal", "dog", "puppy"]


def test_a_rare_word_that_nobody_judged_can_be_let_in_too(tmp_path: Path) -> None:
    found = discovery()
    found.add("1.jpg", tags(gizmo=0.5))
    text = vocabulary_text(found, least=2)
    with pytest.raises(InputError, match="classes: names no class"):
        read(text, tmp_path)
    assert read(text.replace("# gizmo:", "gizmo:"), tmp_path).classes == {"gizmo": ("gizmo",)}


def test_a_line_taken_out_falls_to_the_nearest_kind_above(tmp_path: Path) -> None:
    found = discovery()
    found.add("1.jpg", tags(dog=0.5, animal=0.5, car=0.5))
    text = vocabulary_text(found)
    everything = {"dog": "dog", "animal": "animal", "car": "car"}
    assert labels(read(text, tmp_path), "dog", "animal", "car", "chair") == everything
    lines = text.splitlines()
    no_dog = "\n".join(line for line in lines if not line.startswith("  dog:"))
    assert labels(read(no_dog, tmp_path), "dog", "animal") == {"dog": "animal", "animal": "animal"}
    no_car = "\n".join(line for line in lines if not line.startswith("  car:"))
    assert labels(read(no_car, tmp_path), "car") == {}


def test_names_move_and_keys_change_as_the_head_of_the_file_promises(
    street: Discovery, tmp_path: Path
) -> None:
    text = vocabulary_text(street).replace("  dog: [dog]", "  hound: [dog]")
    lines = [line for line in text.splitlines() if not line.startswith("  cat:")]
    merged = "\n".join(lines).replace("car: [car]", "mine: [car, cat]")
    assert labels(read(merged, tmp_path), "dog", "cat", "car") == {
        "dog": "hound",
        "cat": "mine",
        "car": "mine",
    }


def test_the_edits_it_began_with_come_along(tmp_path: Path) -> None:
    edits = Edits(
        ground=("object",),
        parents={"forklift truck": ("vehicle",)},
        rename={"dog": "hound"},
        synonyms={"no": ("nope", "on")},
        thresholds={"dog": 0.25},
    )
    found = discovery(edits)
    found.add("1.jpg", tags(dog=0.5, no=0.5, grass=0.5, gizmo=0.5, **{"forklift truck": 0.5}))
    again = read(vocabulary_text(found), tmp_path)
    classes = {name: (name,) for name in ("dog", "forklift truck", "gizmo", "no")}
    assert again == Edits(
        ground=edits.ground,
        parents=edits.parents,
        rename=edits.rename,
        synonyms={**edits.synonyms, "gizmo": ()},
        thresholds=edits.thresholds,
        classes=classes,
    )
    assert labels(again, "dog")["dog"] == "hound"


NASTY = (
    "no", "on", "yes", "Null", "~", "3", "0x1F", "1e3", "1:30", "2020-01-01", "=", "<<", "a: b",
    "a #b", "# a", "- a", "[a]", "{a", "a, b", "'a'", '"a"', "\\", "&a", "*a", "!a", "%a", "@a",
    "`a", "?", ":", "a:", "| a", "> a", "---", "...", "\ufeffa", "\x07", "é", "日本", "\U0001f600",
    "a\u200bb", "classes", "ask",
)  # fmt: skip


def test_nasty_names_are_read_back_as_they_are(tmp_path: Path) -> None:
    found = discovery()
    found.add("1.jpg", Tags.of(NASTY, UNJUDGED))
    text = vocabulary_text(found)
    assert set(read(text, tmp_path).classes) == set(NASTY)
    assert set(yaml.safe_load(text)["classes"]) == set(NASTY)  # as tools without our rules read it
    assert set(labels(read(text, tmp_path), *NASTY)) == set(NASTY)


ANY = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
names = st.text(ANY, min_size=1, max_size=40).map(lambda text: " ".join(text.split()))


@settings(max_examples=60)
@given(st.lists(names.filter(bool), max_size=8, unique=True), st.text(max_size=20))
def test_whatever_a_tagger_and_files_are_called_the_file_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, seen: list[str], picture: str
) -> None:
    found = discovery()
    found.add(picture, found.labelling.merge_synonyms(Tags.of(seen, UNJUDGED)))
    path = tmp_path_factory.mktemp("nasty") / "vocabulary.yaml"
    write_vocabulary(vocabulary_text(found), path)
    wanted = [row.label for row in found.rows() if row.looked_for]
    if wanted:
        assert list(read_edits(path).classes) == wanted
    write_vocabulary(vocabulary_text(found, least=2), path)
    if wanted:
        with pytest.raises(InputError, match="classes: names no class"):
            read_edits(path)


@pytest.mark.parametrize("label", ["", " ", "a  b", "a\nb", " a"])
def test_what_no_file_can_name_is_not_in_the_file(label: str, tmp_path: Path) -> None:
    found = discovery()
    found.add("1.jpg", Tags.of([label, "dog"], UNJUDGED))
    assert list(read(vocabulary_text(found), tmp_path).classes) == ["dog"]


def test_a_picture_s_name_cannot_end_its_comment(tmp_path: Path) -> None:
    found = discovery()
    found.add("a\nblock: [dog]\x85\u2028\x00\ud800.jpg", tags(dog=0.5, beach=0.5))
    edits = read(vocabulary_text(found), tmp_path)
    assert edits == Edits(classes={"dog": ("dog",)})


@pytest.mark.parametrize("pictures", [0, 2])
def test_a_file_without_labels_is_refused_when_labelling(pictures: int, tmp_path: Path) -> None:
    """It says that only what stands in it is labelled, so it must not let everything be."""
    found = discovery()
    for number in range(pictures):
        found.add(f"{number}.jpg", tags())
    assert found.rows() == []
    with pytest.raises(InputError, match="names no class, so that nothing would be labelled"):
        read(vocabulary_text(found), tmp_path)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "vocabulary.yaml"
    write_vocabulary("classes:\n  dog:\n", path)
    with pytest.raises(UnicodeEncodeError):
        write_vocabulary("\ud800", path)
    assert read_edits(path).classes == {"dog": ("dog",)}
    assert [file.name for file in path.parent.iterdir()] == ["vocabulary.yaml"]


def test_the_other_tags_are_folded_between_names() -> None:
    found = discovery()
    found.add("1.jpg", Tags.of([f"very-long-attribute {n}" for n in range(40)], "attribute"))
    lines = vocabulary_text(found).splitlines()
    listed = [line for line in lines if "very-long" in line]
    assert len(listed) > 5
    assert max(map(len, listed)) <= 100
    assert "".join(listed).count("very-long-attribute") == 40
