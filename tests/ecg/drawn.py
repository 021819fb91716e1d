"""ECG strips that are drawn here, so that what a picture says is known to the millisecond and the millivolt."""

from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

RATE = 500.0


def heart(seconds=6.0, bpm=72.0, seed=3):
    """float64 [n] at RATE: P, QRS and T waves, and the times of the R peaks; intervals vary a little."""
    rng = np.random.default_rng(seed)
    times = np.arange(int(seconds * RATE)) / RATE
    beats, at = [], 0.4
    while at < seconds - 0.4:
        beats.append(at)
        at += 60 / bpm * rng.uniform(0.9, 1.1)
    wave = 0.03 * np.sin(2 * np.pi * 0.25 * times)
    parts = ((-0.16, 0.12, 0.025), (-0.028, -0.12, 0.009), (0, 1.1, 0.011), (0.03, -0.25, 0.010), (0.27, 0.3, 0.05))
    for beat in beats:
        for delay, size, width in parts:
            wave = wave + size * np.exp(-0.5 * ((times - beat - delay) / width) ** 2)
    return wave, np.array(beats)


def strip(
    wave,
    pixels_per_mm=8.0,
    *,
    height_mm=40.0,
    pink=True,
    thin=True,
    bold=True,
    trace=(25, 25, 35),
    turned=0.0,
    margin_mm=6.0,
    rows=1,
):
    """A picture of Pillow's: grid and trace at 25 mm/s and 10 mm/mV, drawn four times as large and made smaller."""
    scale = 4 * pixels_per_mm
    width_mm = len(wave) / RATE * 25 + 2 * margin_mm
    size = int(width_mm * scale), int(height_mm * rows * scale)
    picture = Image.new("RGB", size, (255, 252, 250))
    draw = ImageDraw.Draw(picture)
    light, dark = ((250, 200, 200), (235, 140, 140)) if pink else ((215, 215, 215), (170, 170, 170))
    for along, other in ((0, 1), (1, 0)):
        for i in range(int(size[along] / scale) + 1):
            strong = i % 5 == 0
            if not (strong if not thin else True):
                continue
            place = i * scale
            ends = [(place, 0), (place, size[other])] if along == 0 else [(0, place), (size[other], place)]
            draw.line(ends, fill=dark if strong and bold else light, width=max(2, int(scale * 0.12)))
    x = (margin_mm + np.arange(len(wave)) / RATE * 25) * scale
    for row in range(rows):
        y = (height_mm * (row + 0.6) - wave * 10) * scale
        draw.line(list(zip(x.tolist(), y.tolist(), strict=True)), fill=trace, width=int(0.35 * scale), joint="curve")
    picture = picture.resize((size[0] // 4, size[1] // 4), Image.Resampling.BOX)
    if turned:
        picture = picture.rotate(turned, Image.Resampling.BICUBIC, expand=True, fillcolor=(255, 252, 250))
    return picture


def photographed(picture, noise=6.0, shade=0.25, blur=0.6, seed=1):
    """The same as a phone sees it: a shadow, some blur and grain."""
    rng = np.random.default_rng(seed)
    pixels = np.asarray(picture.filter(ImageFilter.GaussianBlur(blur)), float)
    light = 1 - shade * np.linspace(0, 1, pixels.shape[1])[None, :, None] * np.linspace(0.4, 1, len(pixels))[:, None, None]
    pixels = pixels * light + rng.normal(0, noise, pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def saved(picture, kind="PNG", **options):
    out = BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def errors(ecg, wave):
    """How far what was read lies from what was drawn, once both begin together: (delay s, root mean square mV, mV 99 %).

    The place of the strip in the picture is not part of the ECG, so the delay that fits best is taken, and the level.
    """
    best = None
    times = np.arange(ecg.samples.shape[1]) / ecg.rate_hz
    grid = np.arange(len(wave)) / RATE
    for delay in np.arange(-0.2, 0.2, 0.001):
        inside = (times + delay > 0) & (times + delay < grid[-1])
        gap = ecg.samples[0][inside] - np.interp(times[inside] + delay, grid, wave)
        gap = gap - np.median(gap)
        size = float(np.sqrt(np.mean(gap**2)))
        if best is None or size < best[1]:
            best = (float(delay), size, float(np.percentile(np.abs(gap), 99)))
    return best
