"""The part of a recording that belongs to a clip."""

import numpy as np
import pytest

from echopulse.ecg.stretch import clip_start, stretch
from echopulse.ecg.types import ECG
from echopulse.errors import InputError

TEN_S = ECG(np.sin(np.arange(2000) / 7)[None].astype(np.float32), 200.0, ("I",), start_s=5.0, provenance={"path": "x"})


def test_a_stretch_ends_where_the_recording_ends():
    part = stretch(TEN_S, 6.0, 7.0)
    assert part.start_s == 6.0 and np.array_equal(part.samples, TEN_S.samples[:, 200:400])
    assert stretch(TEN_S, 0.0, 99.0).samples.shape == (1, 2000) and stretch(TEN_S, 14.5, 99.0).samples.shape == (1, 100)


def test_a_clip_begins_where_it_is_told_or_with_some_ecg_before_it():
    assert clip_start(TEN_S, 3.0, 2.0) == 7.0 and clip_start(TEN_S, 3.0) == pytest.approx(6.6)
    assert clip_start(TEN_S, 9.5) == pytest.approx(5.5)


def test_more_than_there_is_is_refused():
    with pytest.raises(InputError, match="11 s asked for, but the ECG has 10.0 s"):
        clip_start(TEN_S, 11.0)
    with pytest.raises(InputError, match="from 0 to 7.0 s; got --at 8"):
        clip_start(TEN_S, 3.0, 8.0)
