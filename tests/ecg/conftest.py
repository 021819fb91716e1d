"""A small heart that is known exactly: Gaussian waves at chosen times."""

import numpy as np
import pytest

from echopulse.ecg.types import ECG

P_PEAK, P_WIDTH = -0.15, 0.020  # seconds from the R peak; a Gaussian is over after about 2.5 widths
T_PEAK, T_WIDTH = 0.26, 0.035


def draw_ecg(
    r_peaks,
    seconds,
    rate_hz=250.0,
    *,
    leads=("II",),
    p_mv=0.12,
    t_mv=0.3,
    ectopic=(),
    noise_mv=0.005,
    scale=1.0,
    seed=0,
    provenance=None,
):
    """ECG with R peaks at the given times; beats whose index is in `ectopic` are wide, discordant and without P."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz

    def wave(at, height, width):
        return height * np.exp(-0.5 * ((times - at) / width) ** 2)

    signal = np.zeros_like(times)
    for i, r in enumerate(r_peaks):
        if i in ectopic:
            signal += wave(r, -1.4, 0.035) + wave(r + 0.30, 0.5, 0.05)
        else:
            signal += wave(r - 0.025, -0.2, 0.008) + wave(r, 1.0, 0.010) + wave(r + 0.028, -0.25, 0.010)
            signal += wave(r + P_PEAK, p_mv, P_WIDTH) + wave(r + T_PEAK, t_mv, T_WIDTH)
    noise = np.random.default_rng(seed).normal(0, noise_mv, (len(leads), len(times)))
    heights = np.linspace(1.0, 0.6, len(leads))[:, None]
    return ECG(scale * (heights * signal + noise), rate_hz, leads, provenance=provenance or {"path": "heart"})


@pytest.fixture
def heart():
    return draw_ecg


@pytest.fixture
def regular():
    """Ten seconds at 75/min."""
    return draw_ecg(np.arange(0.5, 10, 0.8), 10)
