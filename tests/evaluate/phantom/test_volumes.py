"""Errors of measured volumes against true ones."""

import numpy as np
import pytest

from echopulse.evaluate.phantom.volumes import volume_errors


def test_errors_of_volumes_and_ejection_fraction():
    found = volume_errors(np.array([102.0, 70, 44]), np.array([100.0, 70, 40]))
    assert found.volume == pytest.approx([0.02, 0, 0.1])
    assert found.ef_points == pytest.approx(100 * ((1 - 44 / 102) - 0.6))
