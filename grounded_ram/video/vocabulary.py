"""Which things are looked for in a video: the tags of some of its frames, in all of them.

A tagger asked anew for each frame sees a dog in one and none in the next, and labels flicker.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from grounded_ram.annotation import Tags
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.video.clip import Clip, Reading


def tags_of(
    model: GroundedRAM, clip: Clip, frames: int, *, told: Callable[[int, int], bool]
) -> Tags:
    """Return all tags of frames that are spread evenly over a video, best first.

    Args:
        model: its tagger is asked.
        clip: the video.
        frames: how many are asked about, at most; the first and the last are among them.
        told: told how many are done, of how many; tells whether to go on.
    """
    numbers = set(np.linspace(0, clip.count() - 1, frames).round().astype(int).tolist())
    best: dict[str, tuple[float, str]] = {}
    done = 0
    for batch in Reading(clip, numbers.__contains__).batches(model.batch_size):
        for tags in model.tag_batch([frame.pixels for frame in batch], color="rgb"):
            for name, score, kind in zip(tags.names, tags.scores.tolist(), tags.kinds, strict=True):
                best[name] = max(best.get(name, (0.0, kind)), (score, kind))
        done += len(batch)
        if not told(done, len(numbers)):
            break
    ranked = sorted(best.items(), key=lambda item: (-item[1][0], item[0]))
    return Tags(
        tuple(name for name, _ in ranked),
        np.array([score for _, (score, _) in ranked], np.float32),
        tuple(kind for _, (_, kind) in ranked),
    )
