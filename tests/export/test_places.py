from __future__ import annotations

import pytest

from grounded_ram.export.places import Places


def test_a_key_is_its_own_place() -> None:
    places = Places()
    for key in ("a.jpg", "day 1/a.jpg", "day 1/Ünï & 'x'.b.png", "no ending", "images/a.jpg"):
        assert str(places.of(key)) == key


def test_places_differ_in_more_than_endings_and_case() -> None:
    places = Places()
    keys = ["a.jpg", "a.png", "A.jpg", "a-2.jpg", "x/a.jpg", "X/a.gif", "a"]
    found = [str(places.of(key)) for key in keys]
    assert found == ["a.jpg", "a-2.png", "A-3.jpg", "a-2-2.jpg", "x/a.jpg", "X/a-2.gif", "a-4"]


@pytest.mark.parametrize(
    ("key", "place"),
    [
        (" a.jpg", "_a.jpg"),
        ("a .jpg", "a_.jpg"),
        ("#1.jpg", "_1.jpg"),
        ("a\nb.jpg", "a_b.jpg"),
        ("a\u2028b.jpg", "a_b.jpg"),
        ("#x/a#.jpg", "_x/a#.jpg"),
        ("images/images2/images.jpg", "images_/images2/images.jpg"),
    ],
)
def test_what_breaks_lists_is_replaced(key: str, place: str) -> None:
    assert str(Places(reserved={"images"}).of(key)) == place
