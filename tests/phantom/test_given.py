"""Hearts that follow a recording: filled before its first beat, and refused where it makes no sense."""

import numpy as np
import pytest
import torch

from echopulse.errors import InputError
from echopulse.phantom import draw_phantom
from echopulse.phantom.given import given_beats
from echopulse.phantom.rhythm.timing import WARM_UP_BEATS
from echopulse.phantom.types import ORIGINS


def hearts(n=1, rhythm="sinus", **pinned):
    return draw_phantom(n, seed=1, view="a4c", **{"rhythm": rhythm, "conduction": "normal"} | pinned)


def names(rhythm):
    return {ORIGINS[k] for k in rhythm.origin[rhythm.beats].tolist()}


@pytest.mark.parametrize("rhythm", ["asystole", ["sinus", "asystole"]])
def test_a_heart_that_stands_still_follows_no_beats(rhythm):
    with pytest.raises(InputError, match="asystole has no beats to follow"):
        given_beats(hearts(2, rhythm), [0.1, 0.9])


def test_beats_of_ventricular_tachycardia_begin_in_a_ventricle_and_those_of_complete_block_are_escapes():
    peaks = torch.arange(8) * 0.4
    tachycardia, block = given_beats(hearts(1, "vt"), peaks), given_beats(hearts(1, "av_block_3"), 4 * peaks)
    assert names(tachycardia) == {"ventricular"} and names(block) == {"escape"}
    assert (tachycardia.qrs_end - tachycardia.q_onset).min() > 0.119
    assert tachycardia.p_onset.isnan().all() and block.p_onset.isnan().all()
    assert names(given_beats(hearts(1, "af"), peaks)) == {"atrial"}
    assert names(given_beats(hearts(1, "vt"), peaks, origins=["sinus"] * 8)) == {"sinus"}


def test_rhythms_of_one_batch_keep_their_own_origins():
    both = given_beats(hearts(2, ["vt", "sinus"]), [0.1, 0.9])
    assert both.origin[0].unique().tolist() == [ORIGINS.index("ventricular")]
    assert both.origin[1].unique().tolist() == [ORIGINS.index("sinus")]


@pytest.mark.parametrize("onsets", [[0.3, 1.1, 1.9], [-0.1, 0.9, 1.5], [-0.1, 0.7, -np.inf]])
def test_a_p_wave_comes_before_its_beat(onsets):
    with pytest.raises(InputError, match="P onset lies before the R peak of its beat"):
        given_beats(hearts(), [0.1, 0.9, 1.7], onsets)
    assert given_beats(hearts(), [0.1, 0.9, 1.7], [np.nan, 0.7, 1.5]).p_onset[0, -3:].isnan().tolist() == [1, 0, 0]


def test_warm_up_beats_reach_to_the_start_of_the_recording():
    for before_s in (0.0, 1.6, 12.0):
        r = given_beats(hearts(), [0.5, 1.3], start_s=-before_s, stop_s=2.0).r_peak[0]
        assert (r < -before_s).sum() >= WARM_UP_BEATS and r[0] > -before_s - 6 * 0.8
        assert torch.allclose(r.diff(), torch.tensor(0.8), atol=1e-4)


def test_beats_long_after_the_clip_ask_for_no_more_warm_up_than_the_clip():
    late = given_beats(hearts(2), [[1000.0, 1000.2], [0.3, 1.1]], start_s=-1.6, stop_s=3.0)
    assert late.r_peak.shape[1] < 40
    for row, interval in zip(late.r_peak, (0.2, 0.8), strict=True):
        assert (row < -1.6).sum() >= WARM_UP_BEATS
        assert torch.allclose(row[(row > -1.6) & (row < 3.0)].diff(), torch.tensor(interval), atol=1e-3)
    assert ((late.r_peak[0] > 3.0) & (late.r_peak[0] < 4.0)).sum() >= 2
    assert late.r_peak[0, -2:].tolist() == pytest.approx([1000.0, 1000.2])


def test_beats_that_no_ventricle_can_follow_are_refused():
    with pytest.raises(InputError, match="at least 0.1 s apart"):
        given_beats(hearts(), [1000.0, 1000.01])


def test_origins_are_names_or_indices_for_all_hearts_or_for_each():
    wanted = torch.tensor([[0, 2], [0, 2]])
    for origins in ([0, 2], ["sinus", "ventricular"], ["sinus", 2], np.array([0, 2]), wanted, wanted.tolist(),
                    [["sinus", "ventricular"]] * 2, np.array([["sinus", "ventricular"]] * 2)):  # fmt: skip
        assert torch.equal(given_beats(hearts(2), [0.1, 0.9], origins=origins).origin[:, -2:], wanted)
    each = given_beats(hearts(2), [0.1, 0.9], origins=[["sinus", "ventricular"], ["atrial", "sinus"]])
    assert each.origin[:, -2:].tolist() == [[0, 2], [1, 0]]
