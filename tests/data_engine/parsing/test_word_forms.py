import pytest

from grounded_ram.data_engine.parsing.word_forms import (
    american,
    guessed_infinitive,
    infinitive,
    positive,
    singular,
)

NOUNS = frozenset(
    {"cookie", "movie", "pie", "box", "bus", "glass", "dish", "house", "horse", "shoe", "potato"}
    | {"berry", "wave", "knife", "lens", "gas", "harbor", "color"}
)


@pytest.mark.parametrize(
    ("plural", "expected"),
    [
        *(("cookies", "cookie"), ("movies", "movie"), ("pies", "pie"), ("berries", "berry")),
        *(("boxes", "box"), ("buses", "bus"), ("dishes", "dish"), ("houses", "house")),
        *(("horses", "horse"), ("shoes", "shoe"), ("potatoes", "potato"), ("waves", "wave")),
        *(("knives", "knife"), ("geese", "goose"), ("people", "person"), ("men", "man")),
        *(("snowmen", "snowman"), ("grandchildren", "grandchild"), ("zorps", "zorp")),
        *(("zorches", "zorch"), ("zorpies", "zorpy"), ("zorpoes", "zorpo")),
    ],
)
def test_plurals_become_singular(plural: str, expected: str) -> None:
    assert singular(plural, NOUNS) == (expected, True)


@pytest.mark.parametrize(
    "word", ["bus", "glass", "tennis", "jeans", "scissors", "gas", "dog", "", "s"]
)
def test_other_nouns_stay_as_they_are(word: str) -> None:
    assert singular(word, NOUNS) == (word, False)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        *(("running", ("run", "ing")), ("riding", ("ride", "ing")), ("hopping", ("hop", "ing"))),
        *(("tying", ("tie", "ing")), ("lying", ("lie", "ing")), ("skiing", ("ski", "ing"))),
        *(
            ("staring", ("stare", "ing")),
            ("filling", ("fill", "ing")),
            ("gliding", ("glide", "ing")),
        ),
        *(("carried", ("carry", "ed")), ("stopped", ("stop", "ed")), ("tied", ("tie", "ed"))),
        *(("sat", ("sit", "ed")), ("worn", ("wear", "ed")), ("parked", ("park", "ed"))),
        *(("watches", ("watch", "s")), ("flies", ("fly", "s")), ("plays", ("play", "s"))),
        *(("walk", ("walk", "base")), ("read", ("read", "base")), ("zorping", None), ("", None)),
    ],
)
def test_verbs_become_infinitives(word: str, expected: tuple[str, str] | None) -> None:
    assert infinitive(word) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        *(("zorping", ("zorp", "ing")), ("blicked", ("blick", "ed"))),
        *(("zapping", ("zap", "ing")), ("blazoning", ("blazon", "ing"))),
        *(("grating", ("grate", "ing")), ("ring", None), ("bed", None), ("breed", None)),
    ],
)
def test_unknown_verbs_are_guessed(word: str, expected: tuple[str, str] | None) -> None:
    assert guessed_infinitive(word) == expected


def test_degrees_become_positives() -> None:
    known = frozenset(["big", "happy", "large", "tall", "good"])
    words = ["bigger", "happiest", "larger", "tallest", "best", "tall", "water", "er", ""]
    expected = ["big", "happy", "large", "tall", "good", "tall", "", "", ""]
    assert [positive(word, known) for word in words] == expected


def test_british_spelling_becomes_american_only_where_that_is_known() -> None:
    words = ["harbour", "colours", "tour", "four", "grey", "zorpour"]
    assert [american(word, NOUNS) for word in words] == [
        *("harbor", "colors", "tour", "four", "gray", "zorpour")
    ]
