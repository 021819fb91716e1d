"""The correction of single-plane volumes: what it sees, and that it learns what it is shown."""

import numpy as np
import pytest
import torch

from echopulse.echo.ventricle import find_chords
from echopulse.measure import measure_masks
from echopulse.measure.calibration import (
    FEATURES,
    VolumeCorrection,
    corrected_volumes,
    learn_correction,
    shape_features,
)
from echopulse.phantom.types import LABELS


def heart(scale: float = 1.0, frames: int = 3) -> np.ndarray:
    """Labels uint8 [t, 128, 128]: half an ellipse in a wall, thinner from frame to frame, an atrium below."""
    y, x = np.mgrid[:128, :128] - 64
    labels = np.zeros((frames, 128, 128), np.uint8)
    for t in range(frames):
        wide = 20 - 3 * t
        wall = (y < 20 * scale) & ((y / (46 * scale)) ** 2 + (x / ((wide + 7) * scale)) ** 2 <= 1)
        cavity = (y < 20 * scale) & ((y / (40 * scale)) ** 2 + (x / (wide * scale)) ** 2 <= 1)
        labels[t][(y >= 20 * scale) & (y < 40 * scale) & (np.abs(x) < 12 * scale)] = LABELS.index("la")
        labels[t][wall] = LABELS.index("myocardium")
        labels[t][cavity] = LABELS.index("lv")
    return labels


def features_of(labels: np.ndarray, view: str = "a4c") -> np.ndarray:
    return shape_features(labels, find_chords(labels == LABELS.index("lv")), view)


def test_features_know_no_scale():
    small, large = features_of(heart()), features_of(heart(1.4))
    assert small.shape == (3, FEATURES) and small.dtype == np.float32
    assert np.abs(small - large).max() < 0.12


def test_features_tell_phase_and_view():
    found = features_of(heart())
    assert found[0, 40:43] == pytest.approx([0, 0, 0]) and (np.diff(found[:, 40]) < -0.1).all()  # volume falls
    assert (found[:, 20:40] == found[0, :20]).all()  # the fullest frame's diameters, in every frame
    assert found[0, -3:].tolist() == [1, 0, 0] and features_of(heart(), "a3c")[0, -3:].tolist() == [0, 0, 1]
    assert not features_of(np.zeros((2, 64, 64), np.uint8)).any()


def test_a_correction_that_has_learned_nothing_stays_within_a_factor_of_two():
    correction = VolumeCorrection()
    with torch.no_grad():
        correction.layers[-1].bias.fill_(100.0)
    volumes = np.array([100.0, np.nan, 50.0])
    found = corrected_volumes(correction, features_of(heart()), volumes)
    assert found[0] == pytest.approx(100 * np.exp(0.7), rel=1e-4) and np.isnan(found[1])


def test_it_learns_that_systole_is_overrated():
    draw = np.random.default_rng(0)
    features = draw.normal(size=(80, 4, FEATURES)).astype(np.float32)
    features[:, 0, 40] = 0.0
    features[:, 1:, 40] = draw.uniform(-1, -0.2, (80, 3))
    true = np.stack([100 * np.exp(one[:, 40].astype(float)) for one in features])
    found = true * np.exp(-0.2 * features[..., 40])  # too large by a fifth of the fall
    correction = learn_correction(list(features), list(found), list(true),
                                  generator=torch.Generator().manual_seed(0), steps=150)  # fmt: skip
    before = np.abs(np.log(found / true)).mean()
    mended = [corrected_volumes(correction, one, plain) for one, plain in zip(features, found, strict=True)]
    assert np.abs(np.log(np.array(mended) / true)).mean() < 0.4 * before


def test_too_few_clips_teach_nothing():
    with pytest.raises(ValueError, match="at least 64"):
        learn_correction([], [], [], generator=torch.Generator())


def test_a_measurement_carries_both_volumes():
    labels = np.concatenate([heart(), heart()[::-1]])
    times = np.arange(6) * 0.04
    found = measure_masks(labels == LABELS.index("lv"), times, labels=labels, view="a2c",
                          correction=VolumeCorrection().eval())  # fmt: skip
    assert found.volumes_calibrated.shape == (6,) and np.isfinite(found.volumes_calibrated).all()
    unknown = measure_masks(labels == LABELS.index("lv"), times, labels=labels, correction=VolumeCorrection())
    assert unknown.volumes_calibrated is None
