import pytest

from grounded_ram.data_engine.labels.spelling import alike


def told(counts: dict[str, int], *sure: str) -> dict[str, tuple[str, str]]:
    return alike(counts, set(sure).__contains__)


@pytest.mark.parametrize(
    ("tag", "other", "why"),
    [
        ("trees", "tree", "singular and plural"),
        ("ponies", "pony", "singular and plural"),
        ("wine glasses", "wine glass", "singular and plural"),
        ("wolves", "wolf", "singular and plural"),
        ("women", "woman", "singular and plural"),
        ("t shirt", "t-shirt", "hyphen"),
        ("tshirt", "t-shirt", "hyphen"),
        ("colour", "color", "British"),
        ("jewellery box", "jewelry box", "British"),
        ("movie theatre", "movie theater", "British"),
        ("tyres", "tire", "another spelling"),
        ("elepahnt", "elephant", "one letter off"),
        ("elephnt", "elephant", "one letter off"),
        ("elephannt", "elephant", "one letter off"),
        ("elephent", "elephant", "one letter off"),
    ],
)
def test_spellings_of_one_tag_are_found(tag: str, other: str, why: str) -> None:
    found = told({other: 100, tag: 3, "sky": 50})
    assert set(found) == {tag}
    assert found[tag][0] == other
    assert why in found[tag][1]


@pytest.mark.parametrize(
    "pair", [("glass", "grass"), ("bus", "buses off"), ("planter", "painter"), ("dress", "dres")]
)
def test_short_or_equally_frequent_tags_are_not_taken_for_slips(pair: tuple[str, str]) -> None:
    assert told({pair[0]: 100, pair[1]: 60}) == {}


def test_of_a_group_the_one_that_is_known_is_right_even_if_it_is_rare() -> None:
    assert told({"grey": 100, "gray": 2}, "gray") == {
        "grey": ("gray", "British and American spelling")
    }
    assert told({"grey": 100, "gray": 2})["gray"][0] == "grey"


def test_two_known_tags_are_two_tags() -> None:
    assert told({"glasses": 9, "glass": 100}, "glass", "glasses") == {}
    assert told({"batter": 1, "batters": 2, "battery": 500}, "batter", "battery") == {
        "batters": ("batter", "singular and plural")
    }


def test_nobody_is_sent_on_to_what_is_sent_on_itself() -> None:
    assert told({"elephnt": 500, "elephn": 5})["elephn"][0] == "elephnt"
    found = told({"elephant": 10_000, "elephnt": 500, "elephn": 5})
    assert {tag: other for tag, (other, _) in found.items()} == {"elephnt": "elephant"}


def test_no_tags_have_no_spellings() -> None:
    assert told({}) == {}


def test_tags_that_are_never_counted_are_no_trouble() -> None:
    assert told({"elephants": 0, "elephant": 0})["elephants"][0] == "elephant"
