"""How many scenes a second one core draws: python tests/benchmarks/scenes_per_second.py [COUNT]."""

import sys
import time

from grounded_ram.scenes.scene import make_scene

count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
make_scene(0)
start = time.process_time()
for seed in range(count):
    make_scene(seed)
print(f"{count / (time.process_time() - start):.1f} scenes of 256 px a second of CPU time")
