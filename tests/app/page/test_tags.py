from __future__ import annotations

import numpy as np

from grounded_ram.annotation import Tags
from grounded_ram.app.page.tags import MOST_BELOW, OWN, switches, tags_html
from tests.app.page.test_stage import HOSTILE, SIZE, Page
from tests.hand_annotation import annotate, rectangle

DOGS = annotate(
    [("dog", rectangle(SIZE, 0, 0, 20, 30)), ("dog", rectangle(SIZE, 30, 0, 60, 30))],
    size_hw=SIZE,
    ungrounded=("cat",),
)


def known(*rows: tuple[str, float, str]) -> Tags:
    names, scores, kinds = zip(*rows, strict=True)
    return Tags(names, np.array(scores, np.float32), kinds)


def test_tags_are_grouped_by_kind_those_that_are_on_first() -> None:
    tags = known(
        ("red", 0.9, "attribute"), ("cat", 0.8, "object"), ("dog", 0.7, "object"), ("new", 0.5, "x")
    )
    groups = switches(tags, ["zebra"], {"dog", "red", "zebra"}, DOGS)
    assert list(groups) == [OWN, "object", "attribute", "x"]
    assert [(one.name, one.on) for one in groups["object"]] == [("dog", True), ("cat", False)]
    assert groups[OWN][0].score is None


def test_a_switch_names_its_objects_or_says_why_there_is_none() -> None:
    tags = known(("dog", 0.7, "object"), ("cat", 0.6, "object"))
    dog, cat = switches(tags, [], {"dog", "cat"}, DOGS)["object"]
    assert (dog.keys, dog.reason) == (("o0", "o1"), "")
    assert (cat.keys, cat.reason) == ((), "no box was found")
    off = switches(tags, [], {"cat"}, DOGS)["object"][1]
    assert (off.name, off.keys) == ("dog", ())


def test_of_many_tags_below_their_thresholds_the_best_are_offered_first() -> None:
    tags = known(*((f"tag {n}", 0.5 - n / 100, "object") for n in range(MOST_BELOW + 3)))
    listed = switches(tags, [], {"tag 1"}, DOGS)["object"]
    assert [one.name for one in listed if one.extra] == ["tag 7", "tag 8"]
    page = Page(tags_html({"object": listed}))
    assert "Show 2 more below the threshold" in page.text
    assert len(page.of("chip")) == len(tags)


def test_switches_of_strangers_names_are_text_and_carry_them_unchanged() -> None:
    tags = known(*((name, 0.5, "object") for name in HOSTILE))
    page = Page(tags_html(switches(tags, ["a\u202eb"], {"a\u202eb", *HOSTILE[:2]}, DOGS)))
    chips = page.of("chip")
    assert {chip["data-tag"] for chip in chips} == {"a\u202eb", *HOSTILE}
    assert r"a\u202eb" in page.text
    assert [chip["aria-pressed"] for chip in chips] == ["true"] * 3 + ["false"] * 5
    assert {tag for tag, _ in page.tags} == {
        "div",
        "section",
        "h3",
        "p",
        "button",
        "i",
        "bdi",
        "small",
    }
    assert not [key for _, a in page.tags for key in a if key.startswith("on")]


def test_no_tag_at_all_says_what_to_do() -> None:
    assert "Add words of your own" in Page(tags_html({})).text
