from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from grounded_ram.errors import InputError
from grounded_ram.tagging.retrieval import ImageEmbeddings
from grounded_ram.tagging.retrieval_index import Seen, digest_of, key_of, read_seen, write_seen

KEYS = tuple(json.dumps([f"/{name}.png", 10, 1]) for name in "abc")


def embeddings(count: int, first: int = 0) -> ImageEmbeddings:
    rows = torch.arange(first, first + count).float()
    return ImageEmbeddings(
        np.repeat(rows.numpy()[:, None], 4, 1).astype(np.float32),
        rows[:, None, None].expand(count, 3, 2).contiguous(),
        (frozenset[str](),) * count,
    )


NONE = embeddings(0)


def test_what_is_written_comes_back_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "new" / "index"
    for count in (0, 3):
        write_seen(Seen(KEYS[:count], embeddings(count, 5)), "m", path)
        seen, is_other = read_seen(path, "m", NONE)
        assert (seen.keys, is_other, len(seen.images)) == (KEYS[:count], False, count)
        np.testing.assert_array_equal(seen.images.directions, embeddings(count, 5).directions)
        assert torch.equal(seen.images.tokens, embeddings(count, 5).tokens)
    assert [one.name for one in path.parent.iterdir()] == ["index"]


def test_no_file_and_one_of_another_model_hold_nothing(tmp_path: Path) -> None:
    seen, is_other = read_seen(tmp_path / "index", "m", NONE)
    assert (seen.keys, is_other) == ((), False)
    write_seen(Seen(KEYS, embeddings(3)), "m", tmp_path / "index")
    seen, is_other = read_seen(tmp_path / "index", "other", NONE)
    assert (seen.keys, len(seen.images), is_other) == ((), 0, True)


def test_pictures_come_in_the_order_that_is_asked_for() -> None:
    seen = Seen(KEYS, embeddings(3))
    assert seen.of(KEYS) is seen.images
    found = seen.of([KEYS[2], KEYS[0]])
    assert found.directions[:, 0].tolist() == [2, 0]
    assert found.tokens[:, 0, 0].tolist() == [2, 0]
    assert len(seen.of([])) == 0


def test_a_picture_seen_anew_takes_the_place_of_the_old_one() -> None:
    changed = json.dumps(["/a.png", 99, 2])
    more = Seen(KEYS, embeddings(3)).with_more([changed], [embeddings(1, 7)])
    assert more.keys == (KEYS[1], KEYS[2], changed)
    assert more.images.directions[:, 0].tolist() == [1, 2, 7]
    assert more.images.tokens[:, 0, 0].tolist() == [1, 2, 7]


@pytest.mark.parametrize(
    ("pictures", "directions", "tokens"),
    [
        (KEYS, torch.zeros(2, 4), torch.zeros(3, 3, 2)),
        (KEYS, torch.zeros(3, 5), torch.zeros(3, 3, 2)),
        (KEYS, torch.zeros(3, 4), torch.zeros(3, 3, 9)),
        (KEYS, torch.zeros(3, 4).double(), torch.zeros(3, 3, 2)),
        (KEYS, torch.zeros(3, 4), torch.zeros(3, 3, 2).half()),
        ((*KEYS[:2], KEYS[1]), torch.zeros(3, 4), torch.zeros(3, 3, 2)),
        (("a", "b", "c"), torch.zeros(3, 4), torch.zeros(3, 3, 2)),
        (7, torch.zeros(3, 4), torch.zeros(3, 3, 2)),
    ],
)
def test_files_that_contradict_themselves_are_refused(
    tmp_path: Path, pictures: object, directions: torch.Tensor, tokens: torch.Tensor
) -> None:
    facts = {"grounded_ram_pictures": json.dumps({"model": "m", "pictures": pictures})}
    save_file({"directions": directions, "tokens": tokens}, tmp_path / "index", metadata=facts)
    with pytest.raises(InputError, match="index"):
        read_seen(tmp_path / "index", "m", NONE)


def test_a_key_changes_with_the_file_and_a_digest_with_files_and_number_type(
    tmp_path: Path,
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    key, digest = key_of(str(path)), digest_of({"weights": path}, torch.float32)
    assert digest_of({"weights": path}, torch.bfloat16) != digest
    path.write_bytes(b"three")
    assert key_of(str(path)) != key
    assert digest_of({"weights": path}, torch.float32) != digest
    assert key_of("https://example.org/a.png") == '["https://example.org/a.png"]'
    with pytest.raises(OSError, match="nowhere"):
        key_of(str(tmp_path / "nowhere"))
