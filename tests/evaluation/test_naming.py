import pytest

from grounded_ram.errors import InputError
from grounded_ram.evaluation.naming import Naming, labelling_of, match_pictures
from grounded_ram.vocabulary.edits import Edits


def naming(*true: str, edits: Edits | None = None) -> Naming:
    record = {} if edits is None else {"vocabulary": edits.record()}
    return Naming(true, labelling_of({"ground_kinds": ["object"], **record}))


def test_what_means_the_same_is_the_same() -> None:
    found = naming("automobile", "Traffic_Light", "TREE")
    assert found.true_name("car") == "automobile"
    assert found.true_name("traffic light") == "Traffic_Light"
    assert found.true_name("tree") == "TREE"
    assert found.true_name("dog") is None
    assert found.kinds() == {}


def test_a_kind_counts_as_the_nearest_thing_above_it_and_never_the_other_way() -> None:
    found = naming("vehicle", "car")
    assert found.true_name("sedan") == "car"
    assert found.true_name("car") == "car"
    assert found.true_name("truck") == "vehicle"
    assert naming("animal", "dog").true_name("puppy") == "dog"  # not the first in the alphabet
    assert naming("sedan").true_name("car") is None
    assert found.kinds() == {"sedan": "car", "truck": "vehicle"}


def test_labels_of_the_users_own_are_seen_through() -> None:
    renamed = naming("dog", edits=Edits(rename={"dog": "hound"}))
    assert renamed.true_name("hound") == "dog"
    classes = Edits(classes={"ride": ("car", "truck"), "dog": ("dog",)})
    assert naming("vehicle", edits=classes).true_name("ride") == "vehicle"
    assert naming("car", edits=classes).true_name("ride") is None


def test_true_names_spelt_alike_are_one() -> None:
    found = naming("Car", "car", "CAR")
    assert {found.same_as[name] for name in ("Car", "car", "CAR")} == {found.true_name("car")}


def test_names_that_nobody_knows_are_told_unless_a_label_is_spelt_so() -> None:
    found = naming("gizmo", "whatsit", "car")
    assert found.unknown() == ("gizmo", "whatsit")
    assert found.true_name("gizmo") == "gizmo"
    assert found.unknown() == ("whatsit",)


@pytest.mark.parametrize(
    ("names", "true", "pairs", "way"),
    [
        (["a/1.jpg", "b/1.jpg"], ["b/1.jpg", "c/1.jpg"], {"b/1.jpg": "b/1.jpg"}, ""),
        (["t/1.jpg", "t/2.jpg"], ["t/1", "t/3"], {"t/1.jpg": "t/1"}, "without their endings"),
        (["a/1.jpg", "a/2.jpg"], ["1.jpg"], {"a/1.jpg": "1.jpg"}, "without their folders"),
        (["a/1.jpg"], ["b/1.png"], {"a/1.jpg": "b/1.png"}, "without folders and endings"),
        # Which of the two pictures is meant cannot be known.
        (["a/1.jpg", "b/1.jpg", "2.jpg"], ["1.jpg", "x/2.jpg"], {"2.jpg": "x/2.jpg"}, "folders"),
    ],
)
def test_pictures_are_found_by_the_strictest_way_that_finds_any(
    names: list[str], true: list[str], pairs: dict[str, str], way: str
) -> None:
    found, told = match_pictures(names, true)
    assert found == pairs
    assert way in told
    assert bool(way) == bool(told)


def test_no_picture_in_common_is_refused_with_examples_of_both() -> None:
    with pytest.raises(InputError, match=r"none of the 1 pictures.*'a\.jpg'.*the 1.*'b\.jpg'"):
        match_pictures(["a.jpg"], ["b.jpg"])
    with pytest.raises(InputError, match="none of the 0 pictures of the run is among the 0"):
        match_pictures([], [])
