"""The last resort: a photo or scan of an ECG strip (PNG, JPEG). The grid is found, then the trace is followed.

25 mm a second and 10 mm a millivolt are assumed, as printed ECGs have them; what was found and how far it can be
trusted is told in the provenance. One strip a picture: the leads of a page with several cannot be told apart.
"""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np

from echopulse.ecg.limits import check_size
from echopulse.ecg.readers.drawn_trace import Trace, calibration_pulse, follow_trace
from echopulse.ecg.readers.grid import Spacing, line_spacing, paper_angle
from echopulse.ecg.readers.source import Reader, Source, Wanted
from echopulse.ecg.types import ECG
from echopulse.errors import InputError

MOST_PIXELS = 40_000_000
# Larger pictures are made smaller: ten pixels to a millimetre of a ten-second strip are enough.
LONGEST_SIDE, MOST_LOOKED_AT = 2600, 4_000_000
SHORTEST_SIDE = 60
SPEED, GAIN = 25.0, 10.0  # mm a second, mm a millivolt
COARSEST_GRID = 2.5  # pixels to a millimetre: less, and a QRS complex is a smear
LEAST_CONTRAST = 0.12  # of trace over grid, of the paper's brightness
LEAST_CONFIDENCE = 0.3  # below this it may be anything: a page of handwriting in a school book reaches 0.2

NO_UNIT = "the unit that was given does not apply, a drawing has no numbers"
CROP = "photograph one strip of ECG paper from above, with its grid, or give the recording itself"


def looks_like_picture(source: Source) -> bool:
    return source.head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"))


def read_picture(source: Source, wanted: Wanted) -> ECG:
    """The one lead that the picture shows, millivolts."""
    from PIL import Image

    kind = "PNG" if source.head.startswith(b"\x89PNG") else "JPEG"
    data = source.data
    try:
        with Image.open(BytesIO(data), formats=["PNG", "JPEG"]) as image:
            _check_pixels(source.name, *image.size)
            image.load()
            return read_image(source.name, image, wanted, f"a picture ({kind})")
    except InputError:
        raise
    except (Exception, Image.DecompressionBombError) as error:  # Pillow raises many kinds on a damaged file
        raise InputError(
            f"{source.name}: the picture ({kind}) cannot be read ({type(error).__name__}); save it again."
        ) from error


def read_image(name: str, image, wanted: Wanted, what: str) -> ECG:
    """The ECG in a picture of Pillow's; `what` it came from is told in the provenance."""
    _check_pixels(name, *image.size)
    depth = _ink(image)
    angle = paper_angle(_without_trace(depth.max(0)))
    if angle is None:
        raise InputError(f"{name}: {what} without the grid of ECG paper, so no ECG can be read from it; {CROP}.")
    turned, disagreement = angle
    if abs(turned) > 0.03:
        depth = np.stack([_turned(channel, turned) for channel in depth])
    ink = depth.max(0)
    across, down = line_spacing(ink), line_spacing(ink.T)
    if across is None or down is None:
        raise InputError(f"{name}: {what} without the even grid of ECG paper, so no ECG can be read from it; {CROP}.")
    across, down = _agreed(across, down)
    wide, high = across.pixels_per_mm, down.pixels_per_mm
    if abs(np.log(wide / high)) > np.log(1.25) or min(wide, high) < COARSEST_GRID:
        raise InputError(
            f"{name}: {what} with a grid of {wide:.1f} by {high:.1f} pixels a mm; a square one of {COARSEST_GRID:g} or "
            f"more is needed: {CROP}."
        )
    channel, threshold, contrast = _trace_channel(depth, across, down)
    trace = follow_trace(channel, threshold, high) if contrast >= LEAST_CONTRAST else None
    if trace is None or trace.width < 2.0 * SPEED * wide:
        raise InputError(f"{name}: {what} with a grid, but no trace of 2 s or more could be followed on it; {CROP}.")
    if trace.strips > 1:
        raise InputError(f"{name}: {what} with several strips, one below the other; cut out one of them.")
    return _as_ecg(name, wanted, what, trace, (across, down), (turned, disagreement, contrast))


def _as_ecg(
    name: str,
    wanted: Wanted,
    what: str,
    trace: Trace,
    grid: tuple[Spacing, Spacing],
    found: tuple[float, float, float],
) -> ECG:
    """The trace as millivolts; `found`: degrees turned, degrees of disagreement, contrast of trace and grid."""
    across, down = grid
    turned, disagreement, contrast = found
    drawn_hz = SPEED * across.pixels_per_mm
    rate_hz = wanted.rate_hz or drawn_hz
    check_size(name, 1, len(trace.heights), rate_hz)
    samples = (np.median(trace.heights) - trace.heights) / (GAIN * down.pixels_per_mm)
    pulse = calibration_pulse(samples, drawn_hz)
    gain, gain_how = GAIN, "assumed, not read from the page"
    if pulse is not None:
        end, height = pulse
        gain, gain_how = GAIN * height, "as the calibration pulse shows"
        samples = samples[end:] / height
        samples = samples - np.median(samples)
    ragged = float(np.median(np.abs(np.diff(trace.heights, 2)))) / down.pixels_per_mm  # mm; drawn cleanly, 0.03
    doubts = {
        "the grid is faint": min(1.0, 0.25 + (across.clarity + down.clarity) / 2),
        "the paper is not flat": float(np.clip(1 - disagreement / 2, 0.3, 1)),
        "the boxes are not square": float(
            np.clip(1 - 4 * abs(np.log(across.pixels_per_mm / down.pixels_per_mm)), 0.3, 1)
        ),
        "no line is bolder, so the millimetre is a guess": 1.0 if across.bold or down.bold else 0.75,
        "the trace is faint": float(np.clip(0.4 + 1.5 * contrast, 0.3, 1)),
        "the trace is ragged": float(np.clip(1.25 - 8 * ragged, 0.3, 1)),
        "the trace has gaps": float(np.clip(trace.covered, 0, 1)) ** 2,
        "few pixels to a millimetre": float(np.clip(0.55 + across.pixels_per_mm / 12, 0, 1)),
    }
    confidence = 0.95 * float(np.prod(list(doubts.values())))
    if confidence < LEAST_CONFIDENCE:
        raise InputError(
            f"{name}: {what} with a grid, but no trace that could be followed with any confidence; {CROP}."
        )
    worst = [words for words, value in sorted(doubts.items(), key=lambda doubt: doubt[1]) if value < 0.9]
    provenance = {
        "format": f"traced from {what}, confidence {confidence:.2f}" + (f": {'; '.join(worst)}" if worst else ""),
        "rate": f"{rate_hz:.4g} Hz, "
        + ("as given" if wanted.rate_hz else f"a sample a column; {SPEED:g} mm/s assumed, not read from the page"),
        "unit": f"mV, {gain:g} mm each: {gain_how}; zero is the median",
        "leads": "one strip, its lead not read from the page",
        "grid": f"{across.pixels_per_mm:.2f} by {down.pixels_per_mm:.2f} pixels a mm, turned by {turned:.1f} degrees",
    }
    if wanted.unit is not None:
        provenance["unit"] += f"; {NO_UNIT}"
    if pulse is not None:
        provenance["start"] = "behind the calibration pulse"
    return ECG(samples[None], rate_hz, ("ECG",), provenance=provenance)


def _check_pixels(name: str, width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise InputError(f"{name}: a picture of {width} x {height} pixels; at most 40 million are read.")
    if min(width, height) < SHORTEST_SIDE:
        raise InputError(f"{name}: a picture of {width} x {height} pixels, too small for an ECG strip; {CROP}.")


def _ink(image) -> np.ndarray:
    """float32 [4, h, w], 0..1: how much darker than the paper around it each place is; red, green, blue and grey."""
    from PIL import Image, ImageOps

    if image.mode.startswith("I"):  # 16 bits of grey
        image = Image.fromarray((np.asarray(image, np.float32) / 257).clip(0, 255).astype(np.uint8))
    elif image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    elif image.mode not in ("RGB", "L"):
        image = image.convert("RGB")
    width, height = image.size
    scale = min(1.0, LONGEST_SIDE / max(width, height), (MOST_LOOKED_AT / (width * height)) ** 0.5)
    if scale < 1:
        small = max(1, round(width * scale)), max(1, round(height * scale))
        image.thumbnail(small, Image.Resampling.LANCZOS, reducing_gap=2.0)
    image = ImageOps.exif_transpose(image).convert("RGB")
    colours = np.ascontiguousarray(np.asarray(image, np.float32).transpose(2, 0, 1)) / 255
    colours = np.concatenate((colours, colours.mean(0, keepdims=True)))
    paper = _paper(colours[3])
    return np.stack([_against_paper(channel) for channel in colours]) * paper


def _paper(grey: np.ndarray) -> np.ndarray:
    """float32 [h, w], 1 on the largest bright area but its rim, 0 on the table around it."""
    from scipy.ndimage import binary_erosion, binary_fill_holes, label

    block = 16
    height, width = grey.shape
    rows, columns = height // block, width // block
    blocks = grey[: rows * block, : columns * block].reshape(rows, block, columns, block)
    light = np.percentile(blocks[:, ::2, :, ::2], 75, axis=(1, 3))
    areas, count = label(light > 0.5 * np.percentile(light, 90))
    largest = areas == 1 + int(np.argmax(np.bincount(areas.ravel())[1:])) if count else areas == 0
    largest = binary_erosion(binary_fill_holes(largest), np.ones((3, 3), bool), border_value=1)
    whole = np.repeat(np.repeat(largest, block, axis=0), block, axis=1)
    return np.pad(whole, ((0, height - rows * block), (0, width - columns * block)), mode="edge").astype(np.float32)


def _against_paper(channel: np.ndarray) -> np.ndarray:
    """1 - brightness over that of the paper, which light and shadow change slowly."""
    from scipy.ndimage import gaussian_filter, zoom

    height, width = channel.shape
    block = max(8, min(64, min(height, width) // 4))
    rows, columns = height // block, width // block
    blocks = channel[: rows * block, : columns * block].reshape(rows, block, columns, block)
    paper = np.percentile(blocks[:, ::2, :, ::2], 90, axis=(1, 3)).astype(np.float32)  # every other pixel will do
    paper = gaussian_filter(np.maximum(paper, 0.02), 1.0, mode="nearest")
    full = zoom(np.pad(paper, 1, mode="edge"), block, order=1, grid_mode=True, mode="nearest")
    full = full[block : block + height, block : block + width]
    full = np.pad(full, ((0, height - full.shape[0]), (0, width - full.shape[1])), mode="edge")
    return np.clip(1 - channel / full, 0, 1)


def _without_trace(ink: np.ndarray) -> np.ndarray:
    """Ink with whatever is far darker than the bulk cut down, so that the grid outweighs trace and letters."""
    return np.minimum(ink, max(float(np.percentile(ink, 85)), 0.02))


def _turned(channel: np.ndarray, degrees: float) -> np.ndarray:
    from PIL import Image

    picture = Image.fromarray(channel, mode="F") if channel.dtype == np.float32 else Image.fromarray(channel)
    return np.asarray(picture.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=0.0))


def _agreed(across: Spacing, down: Spacing) -> tuple[Spacing, Spacing]:
    """Both directions with the same idea of a millimetre, where one shows bold lines and the other does not."""

    def with_mm(spacing: Spacing, other: Spacing) -> Spacing:
        mm = min((1, 5), key=lambda each: abs(np.log(spacing.pixels / each / other.pixels_per_mm)))
        return replace(spacing, mm=mm)

    if across.bold or (not down.bold and across.mm <= down.mm):
        return across, with_mm(down, across)
    return with_mm(across, down), down


def _trace_channel(depth: np.ndarray, across: Spacing, down: Spacing) -> tuple[np.ndarray, float, float]:
    """The colour in which the trace stands out most from the grid, where to cut between them, and how far apart."""
    height, width = depth.shape[1:]
    columns = np.unique(np.arange(across.first, width - 0.5, across.pixels).round().astype(int))
    rows = np.unique(np.arange(down.first, height - 0.5, down.pixels).round().astype(int))
    pen = round(0.3 * 50 * across.pixels_per_mm * down.pixels_per_mm)  # pixels of two seconds of a thin trace
    pen = max(1, min(pen, height * width // 250))
    best = None
    for channel in depth:
        lines = np.concatenate((channel[:, columns].ravel(), channel[rows].ravel()))
        grid = float(np.percentile(lines, 80))
        trace = float(np.partition(channel.ravel(), -pen)[-pen])
        if best is None or trace - grid > best[2]:
            best = (channel, grid + 0.5 * (trace - grid), trace - grid)
    return best


PICTURE = Reader("a picture (PNG, JPEG)", looks_like_picture, read_picture)
