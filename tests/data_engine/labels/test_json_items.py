import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grounded_ram.data_engine.labels import json_items
from grounded_ram.data_engine.labels.json_items import JsonItems

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def items(text: str) -> list[tuple[str, Any]]:
    return list(JsonItems(io.StringIO(text)))


@given(
    document=st.lists(VALUES) | st.dictionaries(st.text(), VALUES),
    chunk=st.integers(1, 20),
    indent=st.sampled_from([None, 1]),
)
def test_items_are_those_of_the_whole_document(
    document: Any, chunk: int, indent: int | None
) -> None:
    lists = document if isinstance(document, dict) else {"": document}
    expected = [
        (k, item) for k, found in lists.items() if isinstance(found, list) for item in found
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_items, "CHUNK", chunk)
        assert items(json.dumps(document, indent=indent)) == expected


def test_a_large_document_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_items, "CHUNK", 100)
    reader = JsonItems(io.StringIO(json.dumps({"annotations": [{"caption": "x"}] * 1000})))
    assert sum(1 for _ in reader if len(reader._text) < 1000) == 1000


@pytest.mark.parametrize(
    "text", ["", "3", "[1, 2", "[1 2]", '{"a": [1]', '{"a" [1]}', "[1] 2", "{1: 2}", "[1,]"]
)
def test_what_is_no_json_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        items(text)


def test_an_endless_item_is_not_read_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_items, "CHUNK", 10)
    monkeypatch.setattr(json_items, "LARGEST", 100)
    file = io.StringIO('["' + "x" * 100_000)
    with pytest.raises(ValueError, match=r"\w"):
        list(JsonItems(file))
    assert file.tell() < 1000
