"""How right and how fast the caption parsers are: python -m tests.benchmarks.parsers [NAME...]

Names are those of ``find_parser``; without any, all that can run here. The captions are those of
tests/data_engine/captions.csv. Speed is that of one core, on these captions time and again, with
all that is kept from one caption to the next.
"""

import sys
import time
from collections.abc import Iterable

from grounded_ram.data_engine.parsing.parser import CaptionParser, find_parser
from grounded_ram.errors import GroundedRAMError
from tests.data_engine.annotated import HALVES, Annotated, read_half, scores

PARSERS = ("rules", "spacy")
LEAST_SECONDS = 3.0


def main(names: Iterable[str]) -> None:
    halves = {half: read_half(half) for half in HALVES}
    for name in names:
        try:
            parser = find_parser(name)
        except GroundedRAMError as error:
            print(f"{name}: {error}\n")
            continue
        for half, annotated in halves.items():
            print(f"{name}, {half} half ({len(annotated)} captions)")
            print(f"  {'':10} {'P':>6} {'R':>6} {'F1':>6} {'true':>6}")
            for kind, score in scores(parser, annotated).items():
                shares = f"{score.precision:6.3f} {score.recall:6.3f} {score.f1:6.3f}"
                print(f"  {kind:10} {shares} {score.true:6}")
        every = [one for annotated in halves.values() for one in annotated]
        print(f"  {captions_per_second(parser, every):,.0f} captions/s\n")


def captions_per_second(parser: CaptionParser, annotated: list[Annotated]) -> float:
    captions = [one.caption for one in annotated]
    read, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < LEAST_SECONDS:
        read += sum(1 for _ in parser.parse(captions * 4))
    return read / spent


if __name__ == "__main__":
    main(sys.argv[1:] or PARSERS)
