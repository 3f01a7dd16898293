"""The five claims, each measured once for a seed; ``__main__`` puts runs together."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.claims.captions import guided_captions
from tests.benchmarks.claims.new_names import of_new_names
from tests.benchmarks.claims.self_attention import without_self_attention
from tests.benchmarks.claims.study import Row, Study
from tests.benchmarks.claims.tagging import by_data_engine, from_captions


@dataclass(frozen=True)
class Claim:
    """A claim of the papers.

    Args:
        title: what it says.
        measure: finds its numbers for one seed.
    """

    title: str
    measure: Callable[[Study], Row]


CLAIMS: Mapping[str, Claim] = {
    "1": Claim("Tags parsed from captions suffice to learn tagging", from_captions),
    "2": Claim("The data engine: generation, cleaning, a second model", by_data_engine),
    "3": Claim("Names that were never trained", of_new_names),
    "4": Claim("Captions guided by tags", guided_captions),
    "5": Claim("No self-attention among the queries", without_self_attention),
}


def measure(study: Study, path: Path, wanted: Iterable[str] = CLAIMS) -> dict[str, Row]:
    """Return a row for each claim wanted; each is written down once it is known."""
    rows: dict[str, Row] = json.loads(path.read_text()) if path.exists() else {}
    for number in wanted:
        if number not in rows:
            rows[number] = CLAIMS[number].measure(study)
            path.write_text(json.dumps(rows, indent=1))
    return rows
