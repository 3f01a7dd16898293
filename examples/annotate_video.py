"""Follow the objects of a video: each keeps one number, one label and one colour.

    python examples/annotate_video.py                              # a drawn video, offline
    python examples/annotate_video.py street.mp4 labels --preset standard

Frames are read, annotated and written one by one, so that a video of any length fits in memory.
`grounded-ram video street.mp4 -o labels` does the same from the command line.
"""

import argparse
from pathlib import Path

from grounded_ram import GroundedRAM
from grounded_ram.video.annotate import annotate_video
from grounded_ram.video.drawn import write_drawn
from grounded_ram.video.result import Choices

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("video", nargs="?", type=Path, help="a file; one is drawn if left out")
parser.add_argument("output", nargs="?", type=Path, default=Path("annotate-video-output"))
parser.add_argument("--preset", default="tiny")
parser.add_argument("--every", type=int, default=2, help="annotate each so-many-th frame")
arguments = parser.parse_args()

video = arguments.video or write_drawn(Path("drawn.mp4"), 12)
model = GroundedRAM(arguments.preset)
result = annotate_video(model, video, arguments.output, choices=Choices(every=arguments.every))
for track in result.tracks:
    seconds = f"{track.first_second:.1f} to {track.last_second:.1f} s"
    print(f"#{track.id} {track.label} {track.score:.2f}, {seconds}, {track.frames} frames")
for what, path in result.files().items():
    print(f"{what}: {path}")
