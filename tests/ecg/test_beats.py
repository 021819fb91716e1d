import numpy as np
import pytest

from echopulse.ecg import beats as finding
from echopulse.ecg import detect, pieces
from echopulse.ecg.beats import find_beats
from echopulse.ecg.clean import clean_ecg
from echopulse.ecg.types import ECG
from echopulse.errors import InputError

AT_75 = np.arange(0.5, 10, 0.8)


def off(found, true):
    """Largest distance from a true time to the nearest found one, seconds."""
    return max(np.abs(np.asarray(found) - time).min() for time in true)


@pytest.mark.parametrize("rate_bpm", [42, 60, 75, 110, 150])
def test_every_r_peak_is_found_at_its_time(heart, rate_bpm):
    true = np.arange(0.4, 11.8, 60 / rate_bpm)
    squeeze = {"t_mv": 0.2, "p_mv": 0.0} if rate_bpm > 120 else {}
    beats = find_beats(heart(true, 12, **squeeze))
    assert len(beats.r_peaks_s) == len(true) and off(beats.r_peaks_s, true) < 0.006
    assert abs(beats.heart_rate_bpm - rate_bpm) < 1


def test_waves_are_where_they_were_drawn(heart):
    beats = find_beats(heart(AT_75, 10, noise_mv=0.003))
    inner = slice(1, -1)
    assert beats.rhythm == "sinus" and beats.quality > 0.9
    assert np.allclose((beats.t_peaks_s - beats.r_peaks_s)[inner], 0.26, atol=0.015)
    assert np.allclose((beats.t_ends_s - beats.r_peaks_s)[inner], 0.26 + 2.3 * 0.035, atol=0.025)
    assert np.allclose((beats.p_onsets_s - beats.r_peaks_s)[inner], -0.15 - 2.3 * 0.020, atol=0.025)
    assert np.allclose((beats.q_onsets_s - beats.r_peaks_s)[inner], -0.045, atol=0.015)


def test_inverted_t_waves_end_where_upright_ones_do(heart):
    up, down = (find_beats(heart(AT_75, 10, t_mv=t, noise_mv=0.003)) for t in (0.3, -0.3))
    assert np.nanmax(np.abs(up.t_ends_s - down.t_ends_s)[1:-1]) < 0.02


def test_polarity_does_not_move_a_beat(heart):
    up, down = (find_beats(heart(AT_75, 10, scale=sign)) for sign in (1, -1))
    assert off(down.r_peaks_s, up.r_peaks_s) < 0.006


def test_times_are_on_the_clock_of_the_ecg(regular):
    later = find_beats(regular.crop(3.0, 6.0))
    assert off(later.r_peaks_s, AT_75[(AT_75 > 3.2) & (AT_75 < 8.8)]) < 0.006


def test_irregular_intervals_without_p_are_called_irregular_and_keep_no_p(heart):
    rr = np.random.default_rng(5).uniform(0.45, 1.15, 24)
    true = 0.5 + np.concatenate(([0], np.cumsum(rr)))
    beats = find_beats(heart(true, true[-1] + 0.6, p_mv=0.0))
    assert beats.rhythm == "irregular" and np.isnan(beats.p_onsets_s).all()
    assert len(beats.r_peaks_s) == len(true) and off(beats.r_peaks_s, true) < 0.006
    assert np.isfinite(beats.t_ends_s).mean() > 0.9


def test_an_ectopic_is_found_named_and_has_no_p(heart):
    true = np.array([0.5, 1.3, 2.1, 2.9, 3.45, 4.5, 5.3, 6.1, 6.9, 7.7])
    beats = find_beats(heart(true, 8.5, ectopic=(4,)))
    assert beats.rhythm == "ectopic" and beats.provenance["ectopic"] == "3.45"
    assert np.isnan(beats.p_onsets_s[4]) and np.isfinite(beats.p_onsets_s[[3, 5]]).all()


def test_in_bigeminy_the_beats_after_the_pause_are_the_ordinary_ones(heart):
    true = np.sort(np.concatenate((np.arange(0.5, 12, 1.6), np.arange(1.05, 12, 1.6))))
    beats = find_beats(heart(true, 12.6, ectopic=range(1, len(true), 2)))
    assert len(beats.r_peaks_s) == len(true)
    assert np.isnan(beats.p_onsets_s[1::2]).all() and np.isfinite(beats.p_onsets_s[2::2]).all()


def test_high_t_waves_are_no_beats(heart):
    assert len(find_beats(heart(AT_75, 10, t_mv=0.8)).r_peaks_s) == len(AT_75)


def test_the_best_lead_leads(heart):
    ecg = heart(AT_75, 10, leads=("II", "V5"))
    samples = ecg.samples.copy()
    samples[0] = np.random.default_rng(1).normal(0, 0.5, samples.shape[1])
    beats = find_beats(ECG(samples, 250.0, ecg.leads))
    assert beats.provenance["lead"].startswith("V5") and off(beats.r_peaks_s, AT_75) < 0.01


def test_cleaned_or_not_gives_the_same(regular):
    assert np.array_equal(find_beats(regular).r_peaks_s, find_beats(clean_ecg(regular)).r_peaks_s)


def test_a_flat_line_has_no_beats():
    flat = ECG(np.zeros((1, 2500)), 250.0, ("I",))
    with pytest.raises(InputError, match="flat line"):
        find_beats(flat)
    beats = find_beats(flat, allow_flat=True)
    assert beats.rhythm == "none" and len(beats.r_peaks_s) == 0 and np.isnan(beats.heart_rate_bpm)


def test_two_seconds_are_enough_to_say_something(heart):
    beats = find_beats(heart([0.5, 1.3], 2))
    assert beats.rhythm == "unknown" and len(beats.r_peaks_s) == 2


def test_low_sampling_rates_work(heart):
    assert off(find_beats(heart(AT_75, 10, 100.0)).r_peaks_s, AT_75) < 0.008


def test_a_long_gap_holds_no_beats_and_no_waves(heart):
    ecg = heart(AT_75, 10)
    samples = ecg.samples.copy()
    samples[0, 1000:1500] = np.nan
    beats = find_beats(ECG(samples, 250.0, ecg.leads))
    whole = AT_75[(AT_75 < 4.0) | (AT_75 > 6.0)]
    assert len(beats.r_peaks_s) == len(whole) and off(beats.r_peaks_s, whole) < 0.006
    assert np.allclose(beats.gaps_s, [[4.0, 6.0]], atol=0.01) and beats.rhythm == "sinus"
    assert not ((beats.t_ends_s > 4.0) & (beats.t_ends_s < 6.0)).any()


def test_a_bridged_gap_costs_no_beat(heart):
    ecg = heart(AT_75, 10)
    samples = ecg.samples.copy()
    samples[0, 1150:1195] = np.nan  # between T and P
    beats = find_beats(ECG(samples, 250.0, ecg.leads))
    assert len(beats.r_peaks_s) == len(AT_75) and not len(beats.gaps_s)


def test_what_only_one_detector_finds_is_doubtful(regular, monkeypatch):
    agreed = find_beats(regular)
    assert not agreed.doubtful.any()
    by = detect._peaks_by

    def late(name, row, rate_hz):
        found = by(name, row, rate_hz)
        return found if name == "neurokit" else found[found > 3.3 * rate_hz]

    monkeypatch.setattr(detect, "_peaks_by", late)
    beats = find_beats(regular)
    assert np.array_equal(beats.r_peaks_s, agreed.r_peaks_s)
    assert beats.doubtful.tolist() == [True] * 4 + [False] * 8


def test_a_beat_that_the_leading_lead_hardly_shows_is_found_in_the_others_and_doubtful(heart):
    true = np.array([0.5, 1.3, 2.1, 2.9, 3.5, 4.6, 5.4, 6.2, 7.0, 7.8])
    shown = heart(true, 8.6, leads=("V5", "V4"), ectopic=(4,))
    hidden = heart(np.delete(true, 4), 8.6, leads=("II",))
    beats = find_beats(ECG(np.concatenate([hidden.samples, shown.samples]), 250.0, ("II", "V5", "V4")))
    assert beats.provenance["lead"].startswith("II") and len(beats.r_peaks_s) == len(true)
    assert beats.doubtful.tolist() == [k == 4 for k in range(10)]


def test_dropped_beats_keep_their_p_waves_and_are_not_called_irregular(heart):
    true = 0.5 + np.cumsum([0, 0.7, 0.7, 1.4, 0.7, 1.4, 0.7, 0.7, 1.4, 0.7, 1.4, 0.7])
    beats = find_beats(heart(true, true[-1] + 0.7))
    assert beats.rhythm != "irregular" and np.isfinite(beats.p_onsets_s[1:-1]).all()


def test_a_long_recording_is_found_piece_by_piece_and_loses_nothing(heart, monkeypatch):
    monkeypatch.setattr(finding, "LONG_S", 40.0)
    monkeypatch.setattr(pieces, "PIECE_S", 20.0)
    true = np.arange(0.5, 99, 0.8)
    ecg = heart(true, 100, 100.0)
    samples = ecg.samples.copy()
    samples[:, 3000:7000] = np.nan  # a whole piece with its surroundings, and half of two
    beats = find_beats(ECG(samples, 100.0, ecg.leads))
    there = true[(true < 29.9) | (true > 70.1)]
    assert len(beats.r_peaks_s) == len(there) and np.abs(beats.r_peaks_s - there).max() < 0.01
    assert beats.gaps_s[0, 0] == pytest.approx(30, abs=0.1) and beats.gaps_s[-1, 1] == pytest.approx(70, abs=0.1)
    assert beats.rhythm == "sinus" and "in each of 5 pieces" in beats.provenance["lead"]
