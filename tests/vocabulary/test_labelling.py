from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from grounded_ram.annotation import Reason, Tags
from grounded_ram.errors import InputError, UnknownNameError
from grounded_ram.vocabulary.edits import Edits
from grounded_ram.vocabulary.labelling import Labelling, Words, choose

KINDS = ("object", "stuff", "part", "unjudged")


def seen(scores: Mapping[str, float], **kinds: str) -> Tags:
    """Tags of kind object, but for those whose kind is given, in the order given."""
    return Tags(
        tuple(scores),
        np.array(list(scores.values()), np.float32),
        tuple(kinds.get(name, "object") for name in scores),
    )


def chosen(tags: Tags, edits: Edits | None = None) -> tuple[str, ...]:
    return choose(tags, Labelling(KINDS, edits)).names


def test_synonyms_become_one_tag_with_the_better_score() -> None:
    labelling = Labelling(KINDS)
    tags = seen({"car": 0.5, "tree": 0.8, "automobile": 0.9, "children": 0.4})
    merged = labelling.merge_synonyms(tags)
    assert merged.names == ("car", "tree", "children")
    np.testing.assert_array_equal(merged.scores, np.float32([0.9, 0.8, 0.4]))


def test_a_broken_plural_is_mended_and_an_action_stays() -> None:
    tags = seen({"maple leave": 0.9, "running": 0.8}, running="action")
    assert Labelling(KINDS).merge_synonyms(tags).names == ("maple leaf", "running")


def test_what_has_no_place_or_is_too_general_is_not_looked_for() -> None:
    tags = seen(
        {"car": 0.9, "blue": 0.8, "kitchen": 0.7, "equipment": 0.6, "sea": 0.5, "gnome": 0.4},
        **{"blue": "attribute", "kitchen": "scene", "sea": "stuff", "gnome": "unjudged"},
    )
    assert chosen(tags) == ("car", "sea", "gnome")
    assert chosen(tags, Edits(ground=("stuff",))) == ("sea", "gnome")


def test_allowing_and_blocking_reach_kinds_of_things_and_synonyms() -> None:
    tags = seen({"sedan": 0.9, "automobile": 0.8, "puppy": 0.7, "tree": 0.6, "policeman": 0.5})
    assert chosen(tags, Edits(allow=("car", "dog"))) == ("sedan", "automobile", "puppy")
    assert chosen(tags, Edits(block=("vehicle", "person"))) == ("puppy", "tree")
    assert chosen(tags, Edits(allow=("vehicle",), block=("car",))) == ()


def test_labels_are_renamed_with_their_synonyms() -> None:
    labelling = Labelling(KINDS, Edits(rename={"automobile": "Pkw"}))
    assert [labelling.label(name) for name in ("car", "automobile", "tree")] == [
        "Pkw",
        "Pkw",
        "tree",
    ]
    tags = seen({"tree": 0.9, "car": 0.8})
    tags = labelling.labelled(tags, tags)
    assert tags.names == ("tree", "Pkw")


def test_classes_collect_kinds_of_things_and_the_rest_is_dropped() -> None:
    edits = Edits(classes={"vehicle": ("vehicle",), "car": ("car",), "person": ("person",)})
    labelling = Labelling(KINDS, edits)
    tags = seen(
        {"sedan": 0.9, "bus": 0.8, "truck": 0.7, "tree": 0.6, "woman": 0.5, "blue": 0.4},
        blue="attribute",
    )
    assert choose(tags, labelling).names == ("sedan", "bus", "truck", "woman")
    labels = [labelling.label(name) for name in ("sedan", "bus", "woman")]
    assert labels == ["car", "vehicle", "person"]  # the nearest class wins
    found = labelling.labelled(tags, choose(tags, labelling))
    assert found.names == ("car", "vehicle", "tree", "person", "blue")
    np.testing.assert_array_equal(found.scores, np.float32([0.9, 0.8, 0.6, 0.5, 0.4]))


@pytest.mark.parametrize(
    ("edits", "reasons"),
    [
        ({}, {"kitchen": Reason.KIND, "equipment": Reason.POOR, "car": None, "whatsit": None}),
        ({"ground": ("part",)}, {"car": Reason.KIND, "wheel": None}),
        ({"block": ("vehicle",)}, {"car": Reason.BLOCKED, "tree": None}),
        ({"allow": ("vehicle",)}, {"car": None, "tree": Reason.NOT_ALLOWED}),
        ({"classes": {"vehicle": ("car",)}}, {"car": None, "tree": Reason.NO_CLASS}),
    ],
)
def test_it_is_told_why_a_tag_is_not_looked_for(
    edits: dict[str, Any], reasons: dict[str, Reason | None]
) -> None:
    kinds = {"kitchen": "scene", "wheel": "part"}
    labelling = Labelling(KINDS, Edits(**edits))
    found = {name: labelling.reason_against(name, kinds.get(name, "object")) for name in reasons}
    assert found == reasons
    assert all(Words().reason_against(name, "scene") is None for name in reasons)


def test_labels_are_kin_under_whatever_name() -> None:
    renamed = Labelling(KINDS, Edits(rename={"dog": "hound", "wheel": "Rad"}))
    assert renamed.is_a("hound", "animal")
    assert renamed.is_a("puppy", "hound")
    assert not renamed.is_a("animal", "hound")
    assert renamed.is_part("Rad")
    assert not renamed.is_part("hound")
    assert Words().is_a("automobile", "car")
    assert Words().is_a("car", "automobile")
    assert Words().is_a("car", "vehicle")
    assert not Words().is_a("my own word", "car")
    assert Words().is_a("CAR", "Vehicle")
    assert Words().is_part("Wheel")
    assert not Words().is_part("my own word")


def test_a_label_takes_the_score_of_what_was_looked_for() -> None:
    """A tag that happens to be called like a label is another thing."""
    labelling = Labelling(KINDS, Edits(classes={"kitchen": ("sink",), "animal": ("dog",)}))
    tags = seen({"kitchen": 0.95, "animal": 0.9, "sink": 0.6, "dog": 0.3}, kitchen="scene")
    assert choose(tags, labelling).names == ("sink", "dog")
    found = labelling.labelled(tags, choose(tags, labelling))
    assert (found.names, found.kinds) == (("kitchen", "animal"), ("object", "object"))
    np.testing.assert_array_equal(found.scores, np.float32([0.6, 0.3]))


def test_the_user_s_own_words_are_judged_by_the_user_s_own_edits() -> None:
    edits = Edits(
        ground=("object",), synonyms={"car": ("motorcar",)}, parents={"gnome": ("person",)}
    )
    labelling = Labelling(KINDS, edits)
    tags = seen(
        {"motorcar": 0.9, "car": 0.5, "gnome": 0.4, "whatsit": 0.3},
        motorcar="unjudged",
        gnome="unjudged",
        whatsit="unjudged",
    )
    merged = labelling.merge_synonyms(tags)
    assert merged.names == ("car", "gnome", "whatsit")
    assert merged.kinds == ("object", "object", "unjudged")
    assert choose(merged, labelling).names == ("car", "gnome", "whatsit")


def test_a_threshold_holds_for_synonyms() -> None:
    limits = Labelling(KINDS, Edits(thresholds={"automobile": 0.9})).thresholds()
    assert limits == {"automobile": 0.9, "car": 0.9}


def test_labels_may_stand_for_their_tags() -> None:
    edits = Edits(
        block=("headphones",), synonyms={"double-decker bus": ("routemaster",)}, allow=("vehicle",)
    )
    labelling = Labelling(KINDS, edits)
    assert chosen(seen({"headphone": 0.9, "decker bus": 0.8}), edits) == ("decker bus",)
    assert labelling.vocabulary.is_a("routemaster", "vehicle")


def test_all_of_the_classes_are_asked_for_as_the_vocabulary_calls_them() -> None:
    edits = Edits(
        classes={"leaf": ("maple leave", "leaf"), "gnome": ("garden gnome",)}, ask="classes"
    )
    labelling = Labelling(KINDS, edits)
    tags = labelling.all_of_classes()
    assert tags.names == ("maple leaf", "leaf", "garden gnome")
    assert choose(labelling.merge_synonyms(tags), labelling).names == tags.names
    assert [labelling.label(name) for name in tags.names] == ["leaf", "leaf", "gnome"]


@pytest.mark.parametrize("order", [1, -1])
def test_new_words_may_stand_above_one_another_in_any_order(order: int) -> None:
    pairs = [("forklift truck", ("fork lifter",)), ("fork lifter", ("vehicle",))][::order]
    vocabulary = Labelling(KINDS, Edits(parents=dict(pairs))).vocabulary
    assert vocabulary.ancestors("forklift truck") == ("fork lifter", "vehicle")
    assert vocabulary["forklift truck"].kind == "object"


def test_a_new_kind_of_a_scene_is_a_scene() -> None:
    entry = Labelling(KINDS, Edits(parents={"my kitchen": ("kitchen",)})).vocabulary["my kitchen"]
    assert (entry.kind, entry.groundable) == ("scene", False)


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ({"block": "dog"}, r"expected a list of names, got 'dog'"),
        ({"rename": {"dog": ""}}, r"dog: expected a name, got ''"),
        ({"classes": ["dog"]}, r"classes: expected names with values"),
        ({"block": ("doog",)}, r"unknown tag 'doog'; did you mean .*'dog'"),
        ({"rename": {"sedann": "x"}}, r"did you mean 'sedan'"),
        ({"thresholds": {"car": 2.0}}, r"car: expected a number in \[0, 1\], got 2.0"),
        ({"ask": "class"}, r"unknown source of tags 'class'"),
        ({"ask": "classes"}, r"there are no classes"),
        ({"ground": ("scene",)}, r"unknown kind of what can be boxed 'scene'"),
        ({"classes": {"a": ("car",), "b": ("car",)}}, r"'car' stands under 'a' and 'b'"),
        ({"classes": {"a": ("car",), "b": ("automobile",)}}, r"'automobile' stands under two"),
        ({"synonyms": {"a": ("x",), "b": ("x",)}}, r"'x' stands under 'a' and 'b'"),
        ({"parents": {"aa": ("bb",), "bb": ("aa",)}}, r"its own ancestor"),
        ({"parents": {"aa": ("aa",)}}, r"its own ancestor"),
        ({"parents": {"hover": ("xx",)}}, r"unknown relative of 'hover' 'xx'"),
    ],
)
def test_edits_that_cannot_be_are_refused(edits: dict[str, Any], message: str) -> None:
    with pytest.raises((InputError, UnknownNameError), match=message):
        Labelling(KINDS, Edits(**edits))


def test_new_words_and_parents_of_the_user_s_own() -> None:
    edits = Edits(
        synonyms={"car": ("motorcar",), "widget": ("thingummy",)},
        parents={"hovercar": ("car",), "gnome": ("person",)},
    )
    vocabulary = Labelling(KINDS, edits).vocabulary
    assert vocabulary.head("motorcar") == "car"
    assert vocabulary.head("automobile") == "car"
    assert vocabulary.is_a("motorcar", "vehicle")
    assert vocabulary.is_a("hovercar", "vehicle")
    assert vocabulary["gnome"].kind == "object"
    assert vocabulary.label("thingummy") == "widget"


def test_the_user_s_label_heads_the_group_that_it_was_in() -> None:
    vocabulary = Labelling(KINDS, Edits(synonyms={"automobile": ("motorcar",)})).vocabulary
    assert vocabulary.label("car") == vocabulary.label("motorcar") == "automobile"
    assert vocabulary.is_a("sedan", "automobile")
    assert vocabulary.is_a("automobile", "vehicle")
    whole = Labelling(KINDS, Edits(synonyms={"ride": ("car", "bicycle")})).vocabulary
    assert whole.label("bike") == whole.label("automobile") == "ride"


def test_circles_are_refused() -> None:
    with pytest.raises(InputError, match="its own ancestor"):
        Labelling(KINDS, Edits(parents={"animal": ("puppy",)}))


def test_thresholds_of_boxes_are_those_of_labels_however_they_are_named() -> None:
    edits = Edits(
        rename={"dog": "hound", "ride": "Gefährt"},
        classes={"ride": ("car",), "dog": ("dog",), "cat": ("cat",)},
        box_thresholds={"dog": 0.2, "Gefährt": 0.6},
    )
    labelling = Labelling(KINDS, edits)
    assert labelling.box_threshold(labelling.label("puppy")) == 0.2
    assert labelling.box_threshold(labelling.label("sedan")) == 0.6
    assert labelling.box_threshold("cat") is None
    assert labelling.lowest_box_threshold(0.4) == 0.2
    assert labelling.lowest_box_threshold(0.1) == 0.1
    assert Labelling(KINDS).lowest_box_threshold(0.4) == 0.4
    assert Labelling(KINDS, Edits(box_thresholds={"automobile": 0.3})).box_threshold("car") == 0.3
    assert Words().box_threshold("dog") is None
    assert Words().lowest_box_threshold(0.4) == 0.4


def test_a_threshold_of_what_is_no_label_is_refused() -> None:
    with pytest.raises(InputError, match=r"'sedan' are called 'ride', .* write 'ride'"):
        Labelling(KINDS, Edits(classes={"ride": ("car",)}, box_thresholds={"sedan": 0.5}))
    with pytest.raises(InputError, match="'car' has two, the other as 'automobile'"):
        Labelling(KINDS, Edits(box_thresholds={"car": 0.5, "automobile": 0.6}))
    with pytest.raises(UnknownNameError, match="unknown label 'umbrela'; did you mean 'umbrella'"):
        Labelling(KINDS, Edits(box_thresholds={"umbrela": 0.5}))
    with pytest.raises(InputError, match="box_thresholds: car: expected a number"):
        Edits(box_thresholds={"car": 2})
    with pytest.raises(InputError, match="box_thresholds: expected names with values"):
        Edits(box_thresholds=0.3)  # type: ignore[arg-type]
