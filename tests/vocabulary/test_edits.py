import json
from pathlib import Path

import pytest

from grounded_ram.errors import InputError
from grounded_ram.vocabulary.edits import Edits, read_edits

ALL = """\
ground: [object, stuff]
allow: [car, dog]
block: person
synonyms:
  car: [motorcar, horseless carriage]
parents:
  hovercar: [car, vehicle]
rename: {person: somebody}
classes:
  vehicle: [car, motorcar, hovercar]
  person:
ask: tagger
thresholds:
  dog: 0.7
  French: 1
box_thresholds:
  somebody: 0.25
  vehicle: 0
"""


def read(tmp_path: Path, text: str) -> Edits:
    path = tmp_path / "vocabulary.yaml"
    path.write_text(text, encoding="utf-8")
    return read_edits(path)


def test_every_part_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, ALL) == Edits(
        ground=("object", "stuff"),
        allow=("car", "dog"),
        block=("person",),
        synonyms={"car": ("motorcar", "horseless carriage")},
        parents={"hovercar": ("car", "vehicle")},
        rename={"person": "somebody"},
        classes={"vehicle": ("car", "motorcar", "hovercar"), "person": ("person",)},
        thresholds={"dog": 0.7, "French": 1.0},
        box_thresholds={"somebody": 0.25, "vehicle": 0.0},
    )


def test_edits_come_back_from_their_record_also_through_json(tmp_path: Path) -> None:
    edits = read(tmp_path, ALL)
    assert Edits.of_record(edits.record()) == edits
    assert Edits.of_record(json.loads(json.dumps(edits.record()))) == edits
    assert Edits.of_record({}) == Edits()


def test_every_part_may_be_left_out(tmp_path: Path) -> None:
    assert read(tmp_path, "") == Edits()
    with pytest.raises(InputError, match=r"line 2: classes: names no class"):
        read(tmp_path, "\nclasses:\n")
    assert read(tmp_path, "ground: []").ground == ()


def test_words_that_yaml_takes_for_truth_values_are_words(tmp_path: Path) -> None:
    found = read(tmp_path, "ask: classes\nclasses:\n  no: [on, off]\n  yes:\n")
    assert found.classes == {"no": ("on", "off"), "yes": ("yes",)}


def test_without_a_tagger_classes_may_collect_any_words(tmp_path: Path) -> None:
    text = "classes:\n  gnome: [garden gnome]\n"
    assert read(tmp_path, f"ask: classes\n{text}").classes == {"gnome": ("garden gnome",)}
    with pytest.raises(InputError, match="line 2: garden gnome: unknown tag 'garden gnome'"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("renmae: {}", r"line 1: renmae: unknown setting 'renmae'; did you mean 'rename'"),
        ("ask: tagger\nground: [objetc]", r"line 2: objetc: unknown kind .* mean 'object'"),
        ("allow:\n- car\n- dogg", r"line 3: dogg: unknown tag 'dogg'; did you mean 'dog'"),
        ("block: [umbrela]", r"did you mean 'umbrella'"),
        ("rename: {sedann: car}", r"did you mean 'sedan'"),
        ("rename: {sedan: [car]}", r"line 1: sedan: expected one name, got \['car'\]"),
        ("parents: {gnome: [persn]}", r"did you mean 'person'"),
        ("ask: me", r"unknown source of tags 'me'.*classes, tagger"),
        ("thresholds:\n\n  dog: 7", r"line 3: dog: expected a number in \[0, 1\], got 7"),
        ("thresholds: {dog: high}", r"expected a number in \[0, 1\], got 'high'"),
        ("thresholds: {dgo: 0.5}", r"unknown tag 'dgo'"),
        ("box_thresholds:\n  car: 1\n  dog: 7", r"line 3: dog: expected a number in \[0, 1\]"),
        ("box_thresholds: {umbrela: 0.5}", r"line 1: umbrela: unknown label .* mean 'umbrella'"),
        ("box_thresholds: 0.4", r"line 1: box_thresholds: expected names with values, got 0.4"),
        (
            "classes: [car, dog]",
            r"line 1: classes: expected names with values, got \['car', 'dog'\]",
        ),
        ("classes: {1: [car]}", r"expected names, in quotes if need be, got 1"),
        ("allow: [[car]]", r"expected names, in quotes if need be, got \['car'\]"),
        ("allow: {car: 1}", r"expected names, in quotes if need be, got {'car': 1}"),
        ("allow: ['race  car']", r"in quotes if need be, got 'race  car'"),
        ("rename: {car: ''}", r"in quotes if need be, got ''"),
        ("classes: {dog: 0}", r"in quotes if need be, got 0"),
        ("block: [car]\nblock: [dog]", r"'block' comes twice"),
        ("ground: [scene]", r"unknown kind of what can be boxed 'scene'"),
        ("ask: [tagger, classes]", r"expected one name"),
        ("ask: classes", r"there are no classes to look for"),
        ("parents: {animal: [puppy]}", r"its own ancestor"),
        ("x: !!int abc", r"invalid literal"),
        ("- car", r"expected names with values, got \['car'\]"),
        ("allow: [car", r"line 1"),
        ("a: b: c", r"line 1, column 5"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_is_near(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(InputError, match=rf"vocabulary\.yaml(?s:.*){message}") as error:
        read(tmp_path, text)
    assert len(str(error.value)) < 1600


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.yaml"):
        read_edits(tmp_path / "gone.yaml")
    path = tmp_path / "picture.yaml"
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(InputError, match=r"picture\.yaml"):
        read_edits(path)
