"""A real apical clip through the bundled measurer: the outline stays with the heart, the rate is that of its beats."""

from pathlib import Path

import numpy as np
import pytest

from echopulse.echo import read_clip
from echopulse.measure import Segmenter, SegmenterConfig, measure_clip
from echopulse.model.checkpoint import load_config, load_weights
from echopulse.model.config import config_from_dict
from echopulse.pipeline import BUNDLED

pytestmark = pytest.mark.skipif(not (BUNDLED / "config.json").exists(), reason="no bundled weights yet")


@pytest.fixture(scope="module")
def measured(samples: Path):
    clip = samples / "echo" / "dicom" / "pydicom_examples_ybr_color.dcm"
    if not clip.exists():
        pytest.skip(f"sample {clip.name} is not here")
    config = config_from_dict(SegmenterConfig, load_config(BUNDLED)["measurer"])
    return measure_clip(read_clip(clip), load_weights(Segmenter(config), BUNDLED / "measurer"))


def test_the_view_is_guessed_and_every_frame_has_one_smooth_outline(measured):
    assert measured.view == "a4c" and measured.view_confidence > 0.9
    assert np.isfinite(measured.volumes).all() and measured.confidence.min() > 0.9
    # the apex stays, the annulus moves; no frame leaps away from its neighbours
    assert np.ptp(measured.apex[:, 1]) < 6 and 8 < np.ptp(measured.annulus[:, 1]) < 25
    steps = np.abs(np.diff(measured.areas_cm2)) / measured.areas_cm2.mean()
    assert steps.max() < 0.35 and np.median(steps) < 0.05


def test_the_heart_rate_is_that_of_the_pictures_that_come_again(measured):
    # seen: frame 27 of 30 at 30/s looks as frame 0 did, the mitral valve closed, the cavity as large and shrinking
    assert measured.heart_rate_bpm == pytest.approx(60 * 30 / 27, abs=3)
    fall = 1 - measured.volumes.min() / measured.volumes.max()
    assert 0.4 < fall < 0.65
