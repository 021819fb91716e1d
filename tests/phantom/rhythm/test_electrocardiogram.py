"""The electrocardiogram shows the beats, whatever the lead."""

import torch

from echopulse.phantom.rhythm.electrocardiogram import draw_electrocardiogram, synthesize_ecg
from echopulse.phantom.rhythm.timing import beat_times, draw_rhythm

TIMES = torch.arange(0, 3, 1 / 200)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def recording(n=8, kind="sinus", prior="clinical", clean=False, leads=2, **pinned):
    drawn = draw_rhythm(n, generator(1), kind=kind)
    rhythm = beat_times(drawn, 0.0, 3.0, generator(2))
    parameters = draw_electrocardiogram(n, generator(3), prior, leads=leads, kind=drawn.kind, **pinned)
    return rhythm, parameters, synthesize_ecg(rhythm, parameters, TIMES, generator(4), clean=clean)


def test_easy_recordings_peak_at_r():
    rhythm, _, ecg = recording(prior="easy", clean=True)
    for i, row in enumerate(rhythm.r_peak):
        for r in row[(row > 0.1) & (row < 2.9)]:
            near = (TIMES - r).abs() < 0.08
            assert abs(TIMES[near][ecg[i, 0, near].argmax()] - r) < 0.015


def test_shape_and_range_of_every_prior():
    for kind in ("sinus", "af", "pvc", "asystole"):
        _, _, ecg = recording(n=64, kind=kind)
        assert ecg.shape == (64, 2, len(TIMES)) and ecg.dtype == torch.float32
        assert torch.isfinite(ecg).all() and ecg.abs().max() < 8


def test_asystole_is_flat_but_for_the_faults():
    _, _, clean = recording(kind="asystole", clean=True)
    assert clean.abs().max() == 0
    _, _, ecg = recording(kind="asystole", wander_mv=0.0, tremor_mv=0.01, electrode_mv=0.0, mains_mv=0.0)
    assert 0 < ecg.std() < 0.1


def test_f_waves_only_in_fibrillation():
    assert (recording(kind="af")[1].fibrillation_mv > 0).all()
    assert (recording(kind="sinus")[1].fibrillation_mv == 0).all()


def test_some_leads_are_upside_down_and_shapes_differ():
    parameters = draw_electrocardiogram(2000, generator(), leads=2)
    assert 0.09 < (parameters.recorder_gain < 0).float().mean() < 0.15
    assert (parameters.s_mv.abs() > parameters.r_mv).float().mean() > 0.15
    assert (parameters.t_mv < 0).float().mean() > 0.08
    assert parameters.connected[:, 0].all()


def test_one_lead_or_twelve():
    assert recording(leads=1)[2].shape[1] == 1
    assert recording(leads=12)[2].shape[1] == 12


def test_same_seed_same_recording():
    assert torch.equal(recording()[2], recording()[2])
