"""What a frozen image encoder makes of pictures: it looks at each once, however often it is learnt.

Learning the rest then takes seconds where it took hours, at the price of pictures that are never
cut or mirrored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from grounded_ram.data_engine.pictures import pixels_of
from grounded_ram.ram.swin import SwinEncoder
from grounded_ram.runtime import to_device
from grounded_ram.tagging.ram import prepare

_AT_ONCE = 8
"""Pictures that are looked at together."""


class Features:
    """Keeps what an encoder makes of pictures in a folder, a file for each list of pictures.

    Args:
        folder: made if absent.
        encoder: on ``device``; what it learns later is not seen.
        device: where it computes.
    """

    def __init__(self, folder: Path, encoder: SwinEncoder, device: torch.device) -> None:
        self.folder, self.encoder, self.device = folder, encoder, device
        self._digest = hashlib.sha256()
        for name, value in encoder.state_dict().items():
            self._digest.update(name.encode())
            self._digest.update(value.cpu().contiguous().numpy().tobytes())

    def of(
        self, paths: Sequence[str], on_bad: Callable[[str, str], None]
    ) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
        """Look at pictures, but for those that an earlier call has looked at.

        Args:
            paths: N files.
            on_bad: told the path and the reason of each that cannot be read.

        Returns:
            The (N, 1 + cells, C) tokens, from the disk as they are needed; and (N,) which of them
            are a picture's.
        """
        digest = self._digest.copy()
        for path in paths:
            digest.update(json.dumps([path, *_facts(path)]).encode())
        file = self.folder / f"{digest.hexdigest()[:24]}.npy"
        known = file.with_suffix(".json")
        if not known.exists():
            bad = self._look(paths, file)
            known.write_text(json.dumps(bad), encoding="utf-8")  # last: the file is whole
        bad = json.loads(known.read_text("utf-8"))
        for path, reason in bad.items():
            on_bad(path, reason)
        tokens: NDArray[np.float16] = np.load(file, mmap_mode="r")
        return tokens, np.array([path not in bad for path in paths], bool)

    @torch.inference_mode()
    def _look(self, paths: Sequence[str], file: Path) -> dict[str, str]:
        """Write the tokens of pictures, and return why some cannot be read."""
        config = self.encoder.config
        cells = config.stage_side(len(config.depths) - 1) ** 2
        self.folder.mkdir(parents=True, exist_ok=True)
        shape = (len(paths), 1 + cells, config.out_dim)
        out = np.lib.format.open_memmap(file, "w+", np.float16, shape)
        bad: dict[str, str] = {}
        for start in range(0, len(paths), _AT_ONCE):
            rows, pictures = [], []
            for row, path in enumerate(paths[start : start + _AT_ONCE], start):
                pixels = pixels_of(path, bad.__setitem__)
                if pixels is not None:
                    pictures.append(prepare(pixels, config.image_size))
                    rows.append(row)
            if rows:
                batch = to_device(torch.stack(pictures), self.device)
                out[rows] = self.encoder(batch).tokens.half().cpu().numpy()
        out.flush()
        return bad


def _facts(path: str) -> tuple[int, int]:
    """Return the size and the time of change of a file; zeros where there is none."""
    try:
        told = Path(path).stat()
    except OSError:
        return 0, 0
    return told.st_size, told.st_mtime_ns
