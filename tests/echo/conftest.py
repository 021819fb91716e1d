"""A small beating ellipse in a sector, its ECG, and what a measurer would say of it."""

from types import SimpleNamespace

import numpy as np
import pytest

from echopulse.echo import Clip


def sector_clip(t: int = 10, size: int = 64, fps: float = 25.0, start_s: float = 0.0) -> Clip:
    """A sector of 80 degrees with speckle and an ellipse that shrinks to 60 % and grows again; synthetic."""
    y, x = np.mgrid[0:size, 0:size] / size
    sector = (np.abs(np.arctan2(x - 0.5, y + 1e-9)) < 0.7) & (np.hypot(x - 0.5, y) < 0.97)
    speckle = 70 + 20 * np.random.default_rng(0).standard_normal((size, size)).clip(-2, 2)
    width = 0.13 * (0.8 + 0.2 * np.cos(2 * np.pi * np.arange(t) / 10))[:, None, None]
    chamber = np.hypot((x - 0.55) / width, (y - 0.5) / 0.25) < 1  # [t, h, w]
    frames = np.where(chamber, 15, speckle) * sector
    return Clip(
        frames.astype(np.uint8), start_s + np.arange(t) / fps, view="a4c", pixel_spacing_cm=16.0 / size, sector=sector,
        synthetic=True, provenance={"made": "in a test"},
    )  # fmt: skip


@pytest.fixture
def clip() -> Clip:
    return sector_clip()


@pytest.fixture
def ecg() -> SimpleNamespace:
    times = np.arange(400) / 200.0
    wave = sum(np.exp(-0.5 * ((times - peak) / 0.012) ** 2) for peak in (0.1, 0.5, 0.9, 1.3, 1.7))
    return SimpleNamespace(samples=wave[None].astype(np.float32), rate_hz=200.0, leads=("II",), start_s=0.0)


@pytest.fixture
def beats() -> SimpleNamespace:
    return SimpleNamespace(r_peaks_s=np.array([0.1, 0.5, 0.9, 1.3, 1.7]), heart_rate_bpm=150.0)


@pytest.fixture
def measurement(clip: Clip) -> SimpleNamespace:
    masks = (clip.frames == 15) & clip.sector
    return SimpleNamespace(
        masks=masks, volumes=masks.sum(axis=(1, 2)) / 4.0, volume_unit="ml", ed_frames=np.array([0]),
        es_frames=np.array([5]), ef=0.4, heart_rate_bpm=150.0,
    )  # fmt: skip


@pytest.fixture
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Films with a picture of 128 pixels, so that encoding takes no time."""
    monkeypatch.setattr("echopulse.echo.write.PICTURE_PX", 128)
    monkeypatch.setattr("echopulse.echo.write.PICTURE_PX_GIF", 128)
