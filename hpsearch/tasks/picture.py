"""Images in rows and columns, as one PNG."""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.typing import NDArray

GAP = 1
"""Pixels between images."""

LEAST_SIDE = 320
"""Small pictures are enlarged, pixel by pixel, until they can be seen."""


def grid_png(images: NDArray[np.floating]) -> bytes:
    """images: (rows, 1 or 3 channels, height, width) in [0, 1]; other numbers of channels show the first."""
    from PIL import Image

    if images.shape[1] != 3:
        images = images[:, :1]
    columns = math.ceil(len(images) ** 0.5)
    lines = math.ceil(len(images) / columns)
    _, channels, height, width = images.shape
    sheet = np.full((lines * (height + GAP) - GAP, columns * (width + GAP) - GAP, channels), 0.5)
    for index, image in enumerate(images):
        top, left = index // columns * (height + GAP), index % columns * (width + GAP)
        sheet[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    pixels = (sheet.clip(0, 1) * 255).round().astype(np.uint8)
    picture = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    factor = max(1, math.ceil(LEAST_SIDE / max(picture.size)))
    packed = io.BytesIO()
    picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST).save(packed, "PNG")
    return packed.getvalue()
