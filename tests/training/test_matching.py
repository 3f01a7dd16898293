import torch

from grounded_ram.detection.network import Grounding
from grounded_ram.training.matching import Truth, grounding_loss, match, near_cells

BOXES = torch.tensor([[0.2, 0.2, 0.1, 0.1], [0.7, 0.6, 0.3, 0.2], [0.5, 0.5, 0.8, 0.8]])
TOKENS = torch.tensor([[1.0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]])


def _perfect(order: list[int]) -> Grounding:
    logits = torch.where(TOKENS[order] > 0, 12.0, -12.0)
    return Grounding(logits[None], BOXES[order][None])


def test_each_object_gets_its_own_query() -> None:
    queries, rows = match(_perfect([2, 0, 1]), 0, Truth(BOXES, TOKENS))
    assert dict(zip(queries.tolist(), rows.tolist(), strict=True)) == {0: 2, 1: 0, 2: 1}


def test_matching_tells_twins_apart_by_their_name() -> None:
    found = Grounding(
        torch.tensor([[[-5.0, 5, 5, -5], [5, -5, -5, -5]]]), BOXES[:1].expand(1, 2, 4)
    )
    queries, rows = match(found, 0, Truth(BOXES[:1].expand(2, 4), TOKENS[:2]))
    assert dict(zip(queries.tolist(), rows.tolist(), strict=True)) == {0: 1, 1: 0}


def test_padding_of_a_longer_prompt_in_the_batch_changes_nothing() -> None:
    perfect = _perfect([2, 0, 1])
    padded = torch.nn.functional.pad(perfect.logits, (0, 3), value=-torch.inf)
    queries, rows = match(Grounding(padded, perfect.boxes), 0, Truth(BOXES, TOKENS))
    assert dict(zip(queries.tolist(), rows.tolist(), strict=True)) == {0: 2, 1: 0, 2: 1}


def test_no_object_no_pairs() -> None:
    queries, rows = match(_perfect([0]), 0, Truth(BOXES[:0], TOKENS[:0]))
    assert len(queries) == len(rows) == 0


def test_a_perfect_answer_costs_nothing_and_a_wrong_one_does() -> None:
    truth = Truth(BOXES, TOKENS)
    counted = torch.ones(1, 3, 4, dtype=torch.bool)
    right = [(torch.arange(3), torch.arange(3))]
    swapped = [(torch.arange(3), torch.tensor([1, 0, 2]))]
    good = grounding_loss(_perfect([0, 1, 2]), [truth], right, counted)
    bad = grounding_loss(_perfect([0, 1, 2]), [truth], swapped, counted)
    assert float(good) < 1e-3
    assert float(bad) > 1


def test_what_is_not_counted_costs_nothing() -> None:
    logits = torch.tensor([[[-12.0, -12, 12, torch.inf]]])
    counted = torch.tensor([[[True, True, False, False]]])
    none = [(torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long))]
    loss = grounding_loss(
        Grounding(logits, BOXES[None, :1]), [Truth(BOXES[:0], TOKENS[:0])], none, counted
    )
    assert float(loss) < 1e-3


def _grid(side: int, width: float) -> torch.Tensor:
    centre = (torch.arange(side) + 0.5) / side
    y, x = torch.meshgrid(centre, centre, indexing="ij")
    return torch.stack([x.flatten(), y.flatten(), *torch.full((2, side * side), width)], 1)


def test_an_object_gets_the_four_cells_around_its_middle_on_each_level() -> None:
    anchors = torch.cat([_grid(8, 0.05), _grid(4, 0.1)])
    cells, rows = near_cells(anchors, Truth(torch.tensor([[0.5, 0.5, 0.1, 0.1]]), TOKENS[:1]))
    assert cells.tolist() == [27, 28, 35, 36, 64 + 5, 64 + 6, 64 + 9, 64 + 10]
    assert rows.tolist() == [0] * 8


def test_a_cell_claimed_twice_goes_to_the_smaller_object() -> None:
    boxes = torch.tensor([[0.5, 0.5, 0.2, 0.2], [0.5, 0.5, 0.9, 0.9]])
    _, rows = near_cells(_grid(8, 0.05), Truth(boxes, TOKENS[:2]))
    assert rows.tolist() == [0] * 4
