"""A clip in, a measurement out."""

import numpy as np
import pytest
import torch

from echopulse.echo.types import Clip
from echopulse.errors import InputError
from echopulse.measure import measure_clip, measure_masks
from echopulse.measure.segmenter import SegmenterConfig

TIMES = np.arange(100) * 0.04


class Threshold(torch.nn.Module):
    """Stands in for a trained network: dark is cavity."""

    def __init__(self):
        super().__init__()
        self.config = SegmenterConfig()
        self.head = torch.nn.Conv2d(1, 1, 1)

    def encode(self, frames):
        return [frames[:, 0]]

    def ascend(self, levels):
        return levels[0]

    def outline(self, frames):
        return 20 * (0.5 - frames[:, None])


def beating_masks(rate: float, ejection_fraction: float) -> np.ndarray:
    """A half ellipse whose width follows a cosine so that its volume has the given fraction: bool [100, 128, 128]."""
    y, x = np.mgrid[:128, :128]
    systole = (1 - np.cos(2 * np.pi * rate / 60 * (TIMES - 0.1))) / 2
    half_widths = 22 * np.sqrt(1 - ejection_fraction * systole)
    return np.stack([(y <= 95) & (((y - 70) / 50) ** 2 + ((x - 66) / a) ** 2 <= 1) for a in half_widths])


def test_a_clip_is_measured_in_ml_with_a_spacing_and_relatively_without():
    masks = beating_masks(75, 0.6)
    frames = np.where(masks, 10, 240).astype(np.uint8)
    measured = measure_clip(Clip(frames, TIMES, view="a4c", pixel_spacing_cm=0.12), Threshold())
    assert measured.volume_unit == "ml"
    assert measured.ef == pytest.approx(0.6, abs=0.025)
    assert measured.heart_rate_bpm == pytest.approx(75, abs=2)
    solid = np.pi * 22**2 * 50 * (1.5 - (0.5**3 + 1) / 3) * 0.12**3
    assert measured.volumes.max() == pytest.approx(solid, rel=0.03)
    assert len(measured.ed_frames) == len(measured.es_frames) == len(measured.ef_per_beat) >= 4
    assert (measured.ed_frames < measured.es_frames).all()
    assert measured.confidence.shape == (100,) and measured.confidence.min() > 0.9
    relative = measure_clip(Clip(frames, TIMES), Threshold())
    assert relative.volume_unit == "relative"
    assert relative.ef == pytest.approx(measured.ef)
    assert relative.areas_cm2.max() == pytest.approx(masks[0].sum() / 128**2, rel=0.05)


def test_outlines_alone_are_enough():
    measured = measure_masks(beating_masks(60, 0.35), TIMES, pixel_spacing_cm=0.12)
    assert measured.ef == pytest.approx(0.35, abs=0.02)
    assert measured.heart_rate_bpm == pytest.approx(60, abs=1.5)
    assert (measured.confidence == 1).all()


def test_a_clip_without_a_ventricle_measures_as_nothing():
    measured = measure_clip(Clip(np.full((100, 128, 128), 255, np.uint8), TIMES), Threshold())
    assert np.isnan(measured.ef) and np.isnan(measured.heart_rate_bpm) and np.isnan(measured.volumes).all()
    assert len(measured.ed_frames) == 0


def test_weights_that_know_apical_views_alone_refuse_others():
    with pytest.raises(InputError, match="psax"):
        measure_clip(Clip(np.zeros((2, 128, 128), np.uint8), TIMES[:2], view="psax"), Threshold())
    with pytest.raises(InputError, match="sideways.*expected one of a4c"):
        measure_clip(Clip(np.zeros((2, 128, 128), np.uint8), TIMES[:2], view="sideways"), Threshold())


def test_a_short_axis_has_an_area_change_but_no_volume():
    y, x = np.mgrid[:128, :128]
    systole = (1 - np.cos(2 * np.pi * 75 / 60 * (TIMES - 0.1))) / 2
    masks = np.stack([(y - 64) ** 2 + (x - 64) ** 2 <= r**2 for r in 30 * np.sqrt(1 - 0.5 * systole)])
    found = measure_masks(masks, TIMES, pixel_spacing_cm=0.1, view="psax_mitral")
    assert found.area_change == pytest.approx(0.5, abs=0.02) and len(found.ed_frames) >= 4
    assert np.isnan(found.volumes).all() and np.isnan(found.ef) and found.heart_rate_bpm == pytest.approx(75, abs=2)


def test_an_ellipse_that_thins_has_its_area_change_strain_and_annulus():
    found = measure_masks(beating_masks(75, 0.6), TIMES, pixel_spacing_cm=0.12, view="a4c")
    assert found.area_change == pytest.approx(1 - np.sqrt(0.4), abs=0.02)
    assert found.annulus_descent_per_beat == pytest.approx(np.zeros(len(found.ed_frames)), abs=0.1)
    assert found.apex[0] == pytest.approx([66, 20], abs=1) and found.annulus[0] == pytest.approx([66, 95.5], abs=1)
    assert -0.1 < found.gls < -0.01 and found.volumes_calibrated is None and np.isnan(found.ef_calibrated)
