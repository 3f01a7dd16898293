"""Captions a second, and memory, of counting: python tests/benchmarks/label_system.py [COUNT].

Makes COUNT captions (a million), with as many junk words of its own, into a temporary file, reads
and counts them on one core as ``grounded-ram vocabulary build`` does, and proposes a label system.
Captions are those of our scenes and lists of random words; none comes from anywhere else.
"""

import random
import resource
import sys
import tempfile
import time
from functools import partial
from itertools import product
from pathlib import Path

from grounded_ram.data_engine.labels.caption_files import CaptionFile
from grounded_ram.data_engine.labels.counting import TagCounter, counted
from grounded_ram.data_engine.labels.folding import Folding
from grounded_ram.data_engine.labels.label_system import most_frequent, propose
from grounded_ram.data_engine.labels.limits import Limits
from grounded_ram.data_engine.parsing.parser import find_parser
from grounded_ram.scenes.scene import make_scene
from grounded_ram.vocabulary.table import official_vocabulary

SCENES = 200
"""Scenes that are drawn for their captions; more of them would only take longer."""

_SYLLABLES = ["".join(pair) for pair in product("bdfgklmnprstvz", "aeiou")]
_TEMPLATES = (
    "A {a} {o} next to a {p} {o}",
    "Two people {v} in front of the {p} while a {o} is {v}",
    "{o}, {o} and {p} on a {a} {p}",
    "Stock photo of the {a} {p} {o} with {o}s",
)


def write_captions(path: Path, count: int) -> None:
    """Write captions; every other one names a thing that no other does."""
    rng = random.Random(0)
    table = official_vocabulary()
    words = {
        "o": [name for name, entry in table.items() if entry.kind == "object"],
        "p": [name for name, entry in table.items() if entry.kind in ("stuff", "scene", "part")],
        "a": [name for name, entry in table.items() if entry.kind == "attribute"],
        "v": [name for name, entry in table.items() if entry.kind == "action"],
    }
    ranks = {key: [1 / (i + 1) for i in range(len(listed))] for key, listed in words.items()}
    drawn: dict[str, list[str]] = {key: [] for key in words}

    def word(key: str) -> str:
        if not drawn[key]:
            drawn[key] = rng.choices(words[key], ranks[key], k=10_000)
        return drawn[key].pop()

    ours = [make_scene(seed).caption for seed in range(SCENES)]
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            if number % 4 == 3:
                file.write(rng.choice(ours) + "\n")
                continue
            template = rng.choice(_TEMPLATES)
            for key in words:
                while f"{{{key}}}" in template:
                    template = template.replace(f"{{{key}}}", word(key), 1)
            junk = "".join(rng.choices(_SYLLABLES, k=4)) if number % 2 else ""
            file.write(f"{template}{' and a ' if junk else ''}{junk}.\n")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder, TagCounter() as counter:
        path = Path(folder) / "captions.txt"
        write_captions(path, count)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        folding, limits = Folding(), Limits()
        start, cpu = time.perf_counter(), time.process_time()
        for size, counts in counted(CaptionFile(path), partial(find_parser, "rules"), folding.tags):
            counter.add(size, counts)
        spent = time.process_time() - cpu
        print(
            f"{counter.captions:,} captions in {time.perf_counter() - start:.0f} s, "
            f"{counter.captions / spent:,.0f} a second of CPU time"
        )
        cpu = time.process_time()
        frequent = most_frequent(counter.rows(), folding, limits)
        rows = propose(frequent, counter.captions, folding, limits)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{counter.tags:,} different tags, {sum(row.keep for row in rows):,} kept, proposed in "
            f"{time.process_time() - cpu:.1f} s; peak memory {peak:,.0f} MB, of which "
            f"{before:,.0f} MB before the first caption"
        )


if __name__ == "__main__":
    main()
