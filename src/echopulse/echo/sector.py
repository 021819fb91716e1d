"""Where in a picture the scanner draws, and the square around it that the models see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

COLOUR_LIMIT = 40  # distance of a channel from the tint of its grey level, of 255, that counts as colour


@dataclass(frozen=True)
class Square:
    """A square of a picture, in its pixels; what lies outside the picture is black."""

    left: int
    top: int
    side: int


def to_grey(picture: np.ndarray) -> np.ndarray:
    """uint8 [h, w] or [h, w, 3] RGB -> uint8 [h, w], luma weights of ITU-R BT.601."""
    from PIL import Image

    return picture if picture.ndim == 2 else np.asarray(Image.fromarray(picture).convert("L"))


def coloured_share(picture: np.ndarray, inside: np.ndarray) -> float:
    """Share of the pixels `inside` (bool [h, w]) that are coloured: Doppler, a photograph.

    A tinted scanner picture (sepia, blue) has one tint per grey level, which changes slowly with the level;
    only what departs from it counts.
    """
    from scipy.ndimage import median_filter

    if picture.ndim == 2 or not inside.any():
        return 0.0
    pixels = picture[inside].astype(np.float32)  # [n, 3]
    chroma = pixels - pixels.mean(axis=1, keepdims=True)
    level = (pixels.mean(axis=1) / 8).astype(int)
    tints = [median_filter(_median_by(level, chroma[:, c]), 9, mode="nearest") for c in range(3)]
    return float((np.abs(chroma - np.stack(tints, axis=1)[level]).max(axis=1) > COLOUR_LIMIT).mean())


def _median_by(level: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Median of `values` for each of 32 levels; empty levels lie between their neighbours."""
    filled = np.unique(level)
    return np.interp(np.arange(32), filled, [np.median(values[level == k]) for k in filled])


def find_sector(frames: np.ndarray) -> np.ndarray | None:
    """Grey frames uint8 [t, h, w] -> bool [h, w], the convex hull of the largest bright patch; None when blank.

    A sector is convex (for opening angles under 180 degrees), so the hull takes in its dark cavities;
    text, scales and the ECG strip are other patches and stay outside.
    """
    from PIL import Image, ImageDraw
    from scipy import ndimage
    from scipy.spatial import ConvexHull, QhullError

    brightest = frames.max(axis=0).astype(np.float32)
    threshold = max(10.0, 0.06 * float(np.percentile(brightest, 99.5)))
    bright = ndimage.median_filter(brightest, 3) > threshold
    reach = max(1, round(min(bright.shape) / 120))
    joined = ndimage.binary_closing(np.pad(bright, 2 * reach), iterations=reach)  # padded: edges stay closed
    joined = joined[2 * reach : -2 * reach, 2 * reach : -2 * reach]
    labels, count = ndimage.label(joined)
    if count == 0:
        return None
    sizes = np.bincount(labels.ravel())
    patch = labels == 1 + int(sizes[1:].argmax())
    if patch.sum() < 0.02 * patch.size:
        return None
    rows, columns = np.nonzero(patch)
    points = np.stack([columns, rows], axis=1)
    try:
        corners = points[ConvexHull(points).vertices]
    except QhullError:  # all in one line: no area
        return None
    image = Image.new("L", patch.shape[::-1])
    ImageDraw.Draw(image).polygon([(int(x), int(y)) for x, y in corners], fill=1, outline=1)
    return np.asarray(image, dtype=bool)


def sector_square(sector: np.ndarray) -> Square:
    """The square around a sector (bool [h, w]): its top edge at the top, its middle in the middle.

    A square picture that its sector fills is taken whole, so that what was cropped once stays as it is.
    """
    height, width = sector.shape
    rows, columns = np.nonzero(sector)
    top, bottom = int(rows.min()), int(rows.max()) + 1
    left, right = int(columns.min()), int(columns.max()) + 1
    if abs(height - width) <= 0.02 * width and bottom - top >= 0.75 * height:
        return Square(0, 0, max(height, width))
    side = max(bottom - top, right - left)
    return Square((left + right - side) // 2, top, side)


def take_square(picture: np.ndarray, square: Square, size: int) -> np.ndarray:
    """Grey uint8 [h, w] -> uint8 [size, size]: area averages when shrinking, cubic when enlarging."""
    from PIL import Image

    if (square.left, square.top) == (0, 0) and picture.shape == (size, size) == (square.side, square.side):
        return picture
    image = Image.fromarray(picture)
    image = image.crop((square.left, square.top, square.left + square.side, square.top + square.side))
    how = Image.Resampling.BOX if square.side >= size else Image.Resampling.BICUBIC
    return np.asarray(image.resize((size, size), how))
