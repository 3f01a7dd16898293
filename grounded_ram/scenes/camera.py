"""What a camera does to a scene: light, blur, noise, JPEG."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def photograph(rng: np.random.Generator, canvas: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the (H, W, 3) RGB canvas as a camera might have taken it; geometry stays as it is."""
    cast = 1 + rng.normal(0, 0.03, 3)
    ramp = (np.arange(256) / 255) ** rng.uniform(0.8, 1.25) * 255 * rng.uniform(0.85, 1.1)
    table = np.clip(ramp[:, None] * cast, 0, 255).astype(np.uint8).reshape(256, 1, 3)
    image = np.asarray(cv2.LUT(canvas, table), np.uint8)
    if rng.random() < 0.3:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.1)), np.uint8)
    if rng.random() < 0.5:
        noise = rng.standard_normal(image.shape, dtype=np.float32) * rng.uniform(2, 9)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        quality = int(rng.integers(40, 96))
        _, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)
    return image
