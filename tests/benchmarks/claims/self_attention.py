"""Claim 5: the queries of the tag decoder need not look at each other."""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn

from grounded_ram.data_engine.examples import Example
from grounded_ram.evaluation.tagging import mean_average_precision
from grounded_ram.ram.model import RAM
from grounded_ram.ram.tag_decoder import HeadSizes, TagDecoder
from grounded_ram.training.networks import make_networks
from grounded_ram.training.objectives import Objective, Parts
from grounded_ram.training.trained import Measure
from tests.benchmarks.claims.book import NAMES
from tests.benchmarks.claims.study import CPU, Row, Study


class SelfAttending(nn.Module):
    """A layer of the tagging head, with attention of the queries to each other before it."""

    def __init__(self, layer: nn.Module, sizes: HeadSizes) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(sizes.width, sizes.heads, batch_first=True)
        self.norm = nn.LayerNorm(sizes.width)
        self.layer = layer

    def forward(self, queries: Tensor, memory: Tensor) -> Tensor:
        attended, _ = self.attention(queries, queries, queries, need_weights=False)
        out: Tensor = self.layer(self.norm(queries + attended), memory)
        return out


def without_self_attention(study: Study) -> Row:
    """Claim 5: queries need not look at each other."""
    exact = [Example(page.image, page.truth) for page in study.pages]
    plan = study.plan()
    without = study.train("exact", exact, plan).mean_ap
    torch.manual_seed(plan.seed)
    networks = make_networks(plan.start, NAMES)
    network = networks.network
    assert isinstance(network, RAM)
    _add_self_attention(network.tagging_head, network.config.head_sizes())
    study.learn("self-attention", networks, Objective(network, Parts()), exact)
    held_out = [Example(page.image, page.truth) for page in study.test]
    measured = Measure(networks, held_out, CPU, study.kept(networks))()
    return {
        "without self-attention": without,
        "with it": mean_average_precision(*measured),
        **_times(),
    }


def _add_self_attention(head: TagDecoder, sizes: HeadSizes) -> None:
    layers = head.encoder.layer
    for i, layer in enumerate(list(layers)):
        layers[i] = SelfAttending(layer, sizes)


@torch.inference_mode()
def _times() -> Row:
    """Return seconds of the official tagging head over one picture, for more and more queries."""
    sizes = HeadSizes(layers=2, width=768, memory_dim=512, heads=4, ffn=3072, dropout=0.0)
    plain, crossed = TagDecoder(sizes).eval(), TagDecoder(sizes).eval()
    _add_self_attention(crossed, sizes)
    memory = torch.randn(1, 145, 512)
    row = {}
    for count in (1000, 4000, 16000):
        queries = torch.randn(1, count, 768)
        for title, head in (("without", plain), ("with", crossed)):
            row[f"{count} queries, s, {title}"] = _seconds(head, queries, memory)
    return row


def _seconds(head: nn.Module, queries: Tensor, memory: Tensor) -> float:
    spent = []
    for _ in range(3):
        begin = time.perf_counter()
        head(queries, memory)
        spent.append(time.perf_counter() - begin)
    return min(spent)
