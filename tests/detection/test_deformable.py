"""The layer beside that of ``groundingdino``, with the same weights."""

from __future__ import annotations

import warnings
from copy import deepcopy
from functools import partial
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from grounded_ram.detection import deformable
from grounded_ram.detection.deformable import SummedAttention, sample
from grounded_ram.runtime import recast
from tests.segmentation.small_networks import shake

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports timm by an old name
    from groundingdino.models.GroundingDINO.ms_deform_attn import (
        MultiScaleDeformableAttention,
        multi_scale_deformable_attn_pytorch,
    )

LEVELS = ((4, 7), (2, 3), (1, 1))
CELLS, QUERIES, WIDTH = 35, 11, 32
SAMPLES = 4 * 3 * 2
"""Points that a query of ``layer`` looks at: heads, levels, points."""

close = partial(torch.testing.assert_close, rtol=1e-5, atol=1e-5)
same = partial(torch.testing.assert_close, rtol=0, atol=0)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def layer(heads: int = 4, levels: int = 3, points: int = 2) -> nn.Module:
    return MultiScaleDeformableAttention(WIDTH, heads, levels, points, batch_first=True)


def pair(one: nn.Module, *, reach: float = 1.0) -> tuple[nn.Module, nn.Module]:
    """Return a published layer with random weights, and the copy that is faster.

    Args:
        one: its offsets start as a star that no query moves; here they are drawn, too,
        reach: and then multiplied.
    """
    published = shake(one, seed=1)
    with torch.no_grad():
        published.sampling_offsets.weight *= reach
    faster = deepcopy(published)
    recast(faster, {MultiScaleDeformableAttention: SummedAttention})
    return published, faster


def inputs(
    batch: int,
    columns: int = 2,
    *,
    shapes: tuple[tuple[int, int], ...] = LEVELS,
    padded: bool = False,
    queries: int = QUERIES,
) -> dict[str, Tensor | None]:
    """Return queries at points (2 columns) or boxes (4), some a little outside of the image."""
    sizes = torch.tensor(shapes)
    cells = sizes.prod(1)
    total = int(cells.sum())
    generator = torch.Generator().manual_seed(2)
    references = torch.rand(batch, queries, len(shapes), columns, generator=generator)
    references[..., :2] = references[..., :2] * 1.4 - 0.2
    references[:, ::4, :, 2:] = 0  # boxes without a side
    padding = torch.zeros(batch, total, dtype=torch.bool)
    padding[-1, 2::3] = True
    return {
        "query": noise(batch, queries, WIDTH),
        "value": noise(batch, total, WIDTH, seed=1),
        "reference_points": references,
        "spatial_shapes": sizes,
        "level_start_index": cells.cumsum(0) - cells,
        "key_padding_mask": padding if padded else None,
    }


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("columns", [2, 4])
@pytest.mark.parametrize("batch", [1, 2])
@torch.inference_mode()
def test_queries_see_what_they_see_in_the_published_layer(
    batch: int, columns: int, padded: bool
) -> None:
    published, faster = pair(layer())
    given = inputs(batch, columns, padded=padded)
    close(faster(**given), published(**given))


@pytest.mark.parametrize("columns", [2, 4])
@torch.inference_mode()
def test_points_far_outside_see_nothing_as_in_the_published_layer(columns: int) -> None:
    published, faster = pair(layer(), reach=40.0)
    given = inputs(2, columns)
    close(faster(**given), published(**given))


@pytest.mark.parametrize(
    "shapes", [((1, 1),), ((1, 9),), ((6, 1), (1, 2)), ((5, 8), (3, 3), (2, 2), (1, 1))]
)
@pytest.mark.parametrize(("heads", "points", "queries"), [(1, 1, 1), (8, 4, 5)])
@torch.inference_mode()
def test_maps_of_any_size_agree_and_inputs_stay_as_they_were(
    shapes: tuple[tuple[int, int], ...], heads: int, points: int, queries: int
) -> None:
    published, faster = pair(layer(heads, len(shapes), points))
    given = inputs(2, 4, shapes=shapes, padded=True, queries=queries)
    before = deepcopy(given)
    close(faster(**given), published(**given))
    for name, tensor in given.items():
        same(tensor, before[name])


def test_points_exactly_on_cells_and_borders_see_what_grid_sample_sees() -> None:
    shapes = ((4, 8), (2, 1))  # powers of two: neither way of counting rounds
    down, across = ([step / 2 for step in range(-4, 2 * side + 5)] for side in shapes[0])
    places = torch.tensor([(x, y) for y, x in product(down, across)])  # from a map's corner
    count = len(places)
    values, weights = noise(2, 34, 3, 5), noise(2, count, 3, 2, 1, seed=1)
    offsets = places[None, :, None, None, None].expand(2, count, 3, 2, 1, 2)
    found = sample(
        values,
        shapes,
        references=torch.zeros(2, count, 2, 2),
        offsets=offsets,
        weights=weights,
    )
    locations = offsets / torch.tensor([[8, 4], [1, 2]])[:, None]
    expected = multi_scale_deformable_attn_pytorch(values, torch.tensor(shapes), locations, weights)
    close(found.flatten(2), expected)
    inside = ((places > -0.5) & (places < torch.tensor([8.5, 4.5]))).all(-1)
    assert found[:, inside].any((-1, -2)).all()
    assert not found[:, ~inside].any()


@pytest.mark.parametrize("far", [1e6, 1e12, 1e38, float("inf")])
def test_points_at_the_end_of_the_world_see_nothing(far: float) -> None:
    values, weights = noise(1, CELLS, 2, 5), torch.ones(1, 4, 2, 3, 1)
    corners = torch.tensor([[far, 1.0], [-far, 1.0], [1.0, far], [-far, -far]])
    offsets = corners[None, :, None, None, None].expand(1, 4, 2, 3, 1, 2)
    found = sample(
        values,
        LEVELS,
        references=torch.full((1, 4, 3, 2), 0.5),
        offsets=offsets,
        weights=weights,
    )
    same(found, torch.zeros(1, 4, 2, 5))


@pytest.mark.parametrize(("allowed", "queries"), [(1, 1), (SAMPLES, 1), (100, 4), (2**17, 11)])
@torch.inference_mode()
def test_samples_in_pieces_are_the_same_and_no_more_are_taken_at_once(
    allowed: int, queries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    published, faster = pair(layer())
    given, taken = inputs(2, padded=True), []
    plain = functional.embedding_bag

    def counted(rows: Tensor, table: Tensor, **others: object) -> Tensor:
        taken.append(rows.numel() // 4 // SAMPLES)  # four cells around each point
        return plain(rows, table, **others)

    monkeypatch.setattr(functional, "embedding_bag", counted)
    monkeypatch.setattr(deformable, "_SAMPLES_AT_ONCE", allowed)
    close(faster(**given), published(**given))
    assert (max(taken), sum(taken)) == (queries, 2 * QUERIES)


@pytest.mark.parametrize("columns", [2, 4])
def test_with_gradients_it_computes_as_published_to_the_bit(columns: int) -> None:
    published, faster = pair(layer())
    given = [inputs(2, columns, padded=True) for _ in range(2)]
    for tensors in given:
        for name in ("query", "value", "reference_points"):
            tensors[name].requires_grad_()
    seen = [published(**given[0]), faster(**given[1])]
    same(seen[1], seen[0])
    for out in seen:
        (out * noise(*out.shape, seed=3)).sum().backward()
    for name in ("query", "value", "reference_points"):
        same(given[1][name].grad, given[0][name].grad)
    for ours, theirs in zip(faster.parameters(), published.parameters(), strict=True):
        same(ours.grad, theirs.grad)
        assert ours.grad.any()


@pytest.mark.parametrize("columns", [2, 4])
@torch.inference_mode()
def test_bfloat16_stays_close(columns: int) -> None:
    published, faster = pair(layer())
    given = inputs(2, columns, padded=True)
    exact = published(**given)
    with torch.autocast("cpu", torch.bfloat16):
        rough = faster(**given)
    assert rough.dtype == torch.bfloat16
    assert 0 < (rough.float() - exact).abs().max() < 0.05 * exact.abs().max()
