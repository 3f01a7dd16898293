import pytest

from grounded_ram.data_engine.reading.separators import TagText, common_separator, mark_in
from grounded_ram.errors import InputError


def texts(*given: str) -> list[TagText]:
    return [TagText(f"t.csv:{line}", text) for line, text in enumerate(given, 2)]


@pytest.mark.parametrize(
    ("given", "separator"),
    [
        ([], None),
        (["hot dog", "cat", ""], None),
        (["hot dog", "a|b"], "|"),
        (["a, b|c; d", "e|f", "g"], "|"),
        (["a, b; c", "d;e"], ";"),
        (["dog", "a, b"], ","),
    ],
)
def test_one_mark_parts_the_tags_of_all_texts(given: list[str], separator: str | None) -> None:
    assert common_separator(texts(*given), "tags") == separator


def test_two_marks_are_refused_with_a_place_for_each() -> None:
    with pytest.raises(InputError) as caught:
        common_separator(texts("dog", "a, b", "c, d", "e|f", "g;h"), "label")
    told = str(caught.value)
    assert "in 'label', got several: by ',' in t.csv:3 ('a, b'), by '|' in t.csv:5" in told
    assert "by ';' in t.csv:6" in told
    assert "t.csv:4" not in told
    assert "separator= (--separator on the command line)" in told


def test_of_several_marks_in_one_text_the_first_parts_it() -> None:
    assert [mark_in(text) for text in ("a,b|c", "a,b;c", "a,b", "a b")] == ["|", ";", ",", None]
