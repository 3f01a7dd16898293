import pytest

from grounded_ram.errors import InputError
from grounded_ram.names import is_inside, split_backend, unknown_name


def test_backend_names_are_split_at_their_colon() -> None:
    assert split_backend("grounding-dino:swin-t") == ("grounding-dino", "swin-t")


@pytest.mark.parametrize("name", ["", "sam", "sam:", ":vit-b", "sam:vit:b", ":"])
def test_anything_else_is_refused_and_the_form_is_shown(name: str) -> None:
    with pytest.raises(InputError, match=r"'adapter:checkpoint'.*got"):
        split_backend(name)


def test_an_unknown_name_is_answered_with_what_is_near_and_all_there_is() -> None:
    message = str(unknown_name("preset", "Standart", ["tiny", "standard", "fast"]))

    assert "unknown preset 'Standart'" in message
    assert "did you mean 'standard'?" in message
    assert "fast, standard, tiny" in message


def test_a_name_far_from_all_gets_no_guess() -> None:
    assert "did you mean" not in str(unknown_name("preset", "qqq", ["tiny", "standard"]))


def test_an_empty_table_says_so() -> None:
    assert "Known: none" in str(unknown_name("plug-in", "x", []))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.jpg", True),
        ("a/b c/ü.jpg", True),
        ("..a/b", True),
        ("", False),
        ("/a", False),
        ("a/", False),
        ("a//b", False),
        ("../a", False),
        ("a/./b", False),
        ("a\\b", False),
        ("a\0b", False),
    ],
)
def test_a_path_inside_a_folder_leads_nowhere_else(path: str, expected: bool) -> None:
    assert is_inside(path) is expected
