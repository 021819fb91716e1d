"""What cannot be made is refused in a sentence, before any work."""

import numpy as np
import pytest
import torch

from echopulse.errors import InputError
from echopulse.phantom import draw_phantom, simulate, simulate_study

SMALL = {"frames": 2, "size": 16}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"device": "abacus"}, "device abacus: not usable here; this machine and PyTorch offer cpu"),
        ({"frames": 3.5}, "frames=3.5: a whole number is expected"),
        ({"size": 32.5}, "size=32.5: a whole number"),
        ({"size": 2048}, "from 16 to 1024 can be made"),
        ({"n": 1.0}, "n=1.0: a whole number"),
        ({"seed": 1.5}, "seed=1.5: a whole number"),
        ({"seed": torch.tensor([1, 2])}, "seed=.*: a whole number"),
        ({"leads": True}, r"leads=True: expected their number or their names"),
        ({"leads": 2.0}, r"leads=2.0: expected their number"),
        ({"leads": []}, "no lead was asked for"),
        ({"fps": "25"}, "fps='25': a number is expected"),
        ({"seconds": "long"}, "seconds='long': a number"),
        ({"ecg_rate_hz": None}, "ecg_rate_hz=None: a number"),
        ({"ecg_before_s": -1.0}, "up to 3600 s"),
        ({"frames": 1, "fps": 1000.0, "ecg_before_s": 0.0, "ecg_after_s": 0.0}, "0.001 s at 200 Hz has not one sample"),
        ({"r_peaks_s": 1.0}, "one or more rising times"),
        ({"r_peaks_s": ["a"]}, "R peaks to follow are times in seconds"),
        ({"r_peaks_s": [[0.1], [0.2, 0.9]]}, "R peaks to follow are times in seconds"),
        ({"r_peaks_s": torch.rand(2, 1)}, r"R peaks of shape \[2, 1\] for 1 heart; give one row"),
        ({"r_peaks_s": [0.1], "p_onsets_s": ["a"]}, "P onsets to follow are times in seconds"),
        ({"r_peaks_s": [0.1], "origins": "liver"}, "origin 'liver' is unknown"),
        ({"r_peaks_s": [0.1], "origins": [0.5]}, "origin 0.5 is unknown"),
        ({"r_peaks_s": [0.1], "origins": [["sinus"], ["sinus", "atrial"]]}, "origins for 1 and 2 beats"),
    ],
)
def test_what_is_no_request_is_refused_by_both_verbs(wrong, told):
    for make in (simulate, simulate_study):
        with pytest.raises(InputError, match=told):
            make(**{"n": 1, **SMALL} | wrong)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"views": ()}, "no view was asked for; choose some of a4c"),
        ({"views": "subcostal"}, "view 'subcostal' is unknown"),
        ({"views": ("a4c", "subcostal")}, "view 'subcostal' is unknown"),
        ({"view": "a4c"}, r"give views=\(...\) instead of view"),
    ],
)
def test_a_study_without_planes_is_refused(wrong, told):
    with pytest.raises(InputError, match=told):
        simulate_study(1, **SMALL, **wrong)


def test_a_study_of_one_plane_may_be_asked_for_by_its_name():
    assert list(simulate_study(1, views="a4c", **SMALL)) == ["a4c"]


def test_numpys_whole_numbers_are_whole_numbers():
    ours = draw_phantom(2, seed=3, leads=2)
    theirs = draw_phantom(np.int64(2), seed=np.int32(3), leads=np.int64(2))
    assert torch.equal(ours.rhythm.phase, theirs.rhythm.phase)
    assert torch.equal(ours.electrocardiogram.lead, theirs.electrocardiogram.lead)


def test_the_shortest_recording_has_one_sample():
    clips = simulate(1, frames=1, size=16, fps=200.0, ecg_before_s=0.0, ecg_after_s=0.0)
    assert clips.ecg.shape == (1, 2, 1) and bool(clips.ecg.isfinite().all())
