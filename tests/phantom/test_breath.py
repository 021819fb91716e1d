"""One heart breathes once: rhythm, leads, probe and lung follow the patient's breath, each to its own depth."""

import math

import pytest
import torch

from echopulse.phantom import draw_phantom, simulate
from echopulse.phantom.anatomy.planes import cut
from echopulse.phantom.breath import inhaled
from echopulse.phantom.rhythm.electrocardiogram import synthesize_ecg
from echopulse.phantom.rhythm.timing import beat_times

STEADY = {"rhythm": "sinus", "conduction": "normal", "heart_rate_bpm": 70, "slow_swing": 0.0, "rr_jitter": 0.0}
BREATH = {"breath_hz": 0.2, "breath_phase": 1.0}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def agreement(first, second) -> float:
    return float(torch.corrcoef(torch.stack([first, second]))[0, 1])


def test_a_breath_is_in_at_one_and_out_at_minus_one():
    breath = inhaled(torch.tensor([0.25, 0.5]), torch.tensor([0.0, math.pi / 2]), torch.tensor([0.0, 1.0]))
    assert torch.allclose(breath, torch.tensor([[0.0, 1.0], [1.0, -1.0]]), atol=1e-6)


def test_all_stages_share_the_patients_breath():
    drawn = draw_phantom(40, seed=1)
    for stage in (drawn.rhythm, drawn.electrocardiogram, drawn.probe):
        assert torch.equal(stage.breath_hz, drawn.patients.breath_hz)
        assert torch.equal(stage.breath_phase, drawn.patients.breath_phase)
    assert 0.2 < float(drawn.patients.breath_hz.mean()) < 0.3 and float(drawn.patients.breath_hz.std()) > 0.03
    pinned = draw_phantom(2, seed=1, **BREATH)
    assert pinned.rhythm.breath_hz.tolist() == pinned.probe.breath_hz.tolist() == pytest.approx([0.2, 0.2])


@pytest.mark.parametrize("seconds", [20.0, 120.0])
def test_the_heart_quickens_as_the_breath_goes_in(seconds):
    drawn = draw_phantom(1, seed=2, respiration_swing=0.08, **STEADY, **BREATH)
    peaks = beat_times(drawn.rhythm, 0.0, seconds, generator()).r_peak[0]
    peaks = peaks[torch.isfinite(peaks)]
    middle, interval = 0.5 * (peaks[1:] + peaks[:-1]), peaks.diff()
    assert agreement(interval, inhaled(drawn.rhythm.breath_hz, drawn.rhythm.breath_phase, middle)[0]) < -0.97


def test_premature_beats_do_not_put_the_heart_out_of_breath():
    """They shift all later beats, which follow the breath all the same."""
    ectopic = {"rhythm": "pac", "ectopic_period": 7, "ectopic_coupling": 0.55, "ectopic_pause": 1.6}
    drawn = draw_phantom(1, seed=2, respiration_swing=0.08, **STEADY | ectopic, **BREATH)
    beats = beat_times(drawn.rhythm, 0.0, 90.0, generator())
    early = (beats.origin[0] > 0).float()
    late = (beats.r_peak[0] > 60) & (early + early.roll(1) == 0)  # neither before nor after a premature one
    middle = beats.r_peak[0] - 0.5 * beats.rr_before[0]
    breath = inhaled(drawn.rhythm.breath_hz, drawn.rhythm.breath_phase, middle)[0]
    assert agreement(beats.rr_before[0][late], breath[late]) < -0.9


def test_the_qrs_is_smaller_and_the_baseline_aside_when_the_breath_is_in():
    drawn = draw_phantom(3, seed=3, leads=("II",), breathing=0.2, respiration_swing=0.0, **STEADY, **BREATH)
    beats, times = beat_times(drawn.rhythm, 0.0, 30.0, generator()), torch.arange(0, 30, 1 / 250)
    ecg = synthesize_ecg(beats, drawn.electrocardiogram, times, generator(1), clean=True)
    for i in range(3):
        peaks = beats.r_peak[i][(beats.r_peak[i] > 1) & (beats.r_peak[i] < 29)]
        height = torch.stack([ecg[i, 0, (times - peak).abs() < 0.06].abs().amax() for peak in peaks])
        assert agreement(height, inhaled(*(torch.tensor([value]) for value in BREATH.values()), peaks)[0]) < -0.9

    loud = {"wander_mv": 5.0, "muscle_mv": 0.0, "tremor_mv": 0.0, "electrode_mv": 0.0, "mains_mv": 0.0, "step_mv": 0.0}
    drawn = draw_phantom(8, seed=3, rhythm="asystole", connected=True, clip_at=100, **loud, **BREATH)
    beats = beat_times(drawn.rhythm, 0.0, 60.0, generator())
    wander = synthesize_ecg(beats, drawn.electrocardiogram, torch.arange(0, 60, 0.05), generator(1)).flatten(0, 1)
    breath = inhaled(*(torch.tensor([value]) for value in BREATH.values()), torch.arange(0, 60, 0.05))[0]
    share = torch.stack([torch.corrcoef(torch.stack([lead, breath]))[0, 1] for lead in wander])
    assert float(share.abs().median()) > 0.25 and float(share.min()) < -0.2 and float(share.max()) > 0.2


@pytest.mark.parametrize(("view", "nearer"), [("a4c", True), ("plax", False), ("psax", False)])
def test_the_heart_comes_towards_an_apical_probe_when_the_breath_is_in(view, nearer):
    still = {"drift_cm": 0.0, "breath_rad": 0.0, "breath_cm": 0.3, "breath_hz": 0.25, "breath_phase": 0.0}
    drawn = draw_phantom(4, seed=1, view=view, **still)
    plane = cut(drawn.anatomy, drawn.probe, torch.tensor([1.0, 3.0]))  # in, then out
    deeper = ((plane.origin[:, 0] - plane.origin[:, 1]) * plane.down[:, 0]).sum(-1)
    assert bool(((deeper > 0) == nearer).all()) and bool((deeper.abs() > 0.3).all())
    if view == "psax":  # the heart slides down through a plane that stays, which shows what lies nearer to its base
        assert bool((plane.origin[:, 0, 2] > plane.origin[:, 1, 2]).all())


def test_the_lung_covers_more_when_the_breath_is_in():
    options = {"view": "a4c", "frames": 2, "fps": 0.5, "size": 48, "seed": 2, "lung_db": 40.0, "lung_place": 0.3,
               "rhythm": "asystole", "breath_cm": 0.0, "breath_rad": 0.0, "drift_cm": 0.0, "prior": "easy",
               "lines_db": -90.0}  # fmt: skip
    clips = simulate(1, breath_hz=0.25, breath_phase=math.pi / 2, **options)  # in at 0 s, out at 2 s
    breathed_in, out = clips.frames[0, :, :, 24:].float().mean((1, 2))
    assert breathed_in < 0.97 * out
