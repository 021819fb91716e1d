import numpy as np
import pytest

from echopulse.ecg.types import ECG, Beats, Note, fill_gaps
from echopulse.errors import InputError


def test_crop_keeps_the_clock(regular):
    part = regular.crop(2.0, 3.0)
    assert part.start_s == 2.0 and part.duration_s == 3.0
    assert np.array_equal(part.samples, regular.samples[:, 500:1250])
    assert np.array_equal(part.crop(2.5, 1.0).samples, regular.crop(2.5, 1.0).samples)
    assert part.times_s[0] == 2.0


def test_asking_for_more_than_there_is_says_how_much_there_is(regular):
    with pytest.raises(InputError, match=r"heart: 30 s .* 10\.0 s"):
        regular.crop(0, 30)


@pytest.mark.parametrize("rate_hz", [100.0, 200.0, 360.0, 1000.0])
def test_resampling_moves_no_wave(heart, rate_hz):
    peaks = np.arange(0.5, 6, 0.8)
    ecg = heart(peaks, 6, noise_mv=0.0).resampled(rate_hz)
    assert ecg.rate_hz == rate_hz and abs(ecg.duration_s - 6) < 2 / rate_hz
    assert abs(ecg.times_s[np.argmax(ecg.samples[0] * (ecg.times_s < 1))] - 0.5) <= 1 / rate_hz


def test_resampling_there_and_back_keeps_level_and_shape(heart):
    ecg = heart(np.arange(0.5, 6, 0.8), 6, noise_mv=0.0)
    shifted = ECG(ecg.samples + 5, 250.0, ecg.leads)
    back = shifted.resampled(500.0).resampled(250.0)
    assert np.abs(back.samples - shifted.samples).max() < 0.01


def test_resampling_keeps_gaps(regular):
    samples = regular.samples.copy()
    samples[0, 500:750] = np.nan
    half = ECG(samples, 250.0, ("II",)).resampled(125.0)
    assert np.isnan(half.samples[0, 252:373]).all() and np.isfinite(half.samples[0, :249]).all()


def test_gaps_are_filled_by_straight_lines():
    row = np.array([[np.nan, 1.0, np.nan, np.nan, 4.0, np.nan], [np.nan] * 6])
    assert np.array_equal(fill_gaps(row), [[1, 1, 2, 3, 4, 4], [0] * 6])


def test_rate_is_the_median_of_the_intervals():
    empty = np.full(4, np.nan)
    beats = Beats(np.array([0.0, 1.0, 2.0, 3.5]), empty, empty, empty, empty, rhythm="unknown", quality=1.0)
    assert beats.heart_rate_bpm == 60 and np.array_equal(beats.rr_s, [1, 1, 1.5])


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="p_onsets_s"):
        Beats(np.zeros(2), np.zeros(1), np.zeros(2), np.zeros(2), np.zeros(2), rhythm="sinus", quality=1.0)


def test_rates_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="impossible"):
        ECG(np.zeros((1, 10)), 0.0, ("I",))


def test_no_beat_is_doubtful_or_ectopic_unless_told():
    two = [np.zeros(2)] * 5
    beats = Beats(*two, rhythm="sinus", quality=1.0)
    assert not beats.doubtful.any() and not beats.ectopic.any() and beats.gaps_s.shape == (0, 2)
    with pytest.raises(ValueError, match="doubtful must hold one bool per beat"):
        Beats(*two, rhythm="sinus", quality=1.0, doubtful=np.zeros(3, bool))


def test_a_part_has_the_notes_within_it():
    notes = tuple(Note(time_s, "N") for time_s in (1.0, 2.0, 3.5, 4.0))
    ecg = ECG(np.zeros((1, 1000)), 200.0, ("I",), start_s=0.5, notes=notes)
    assert [note.time_s for note in ecg.crop(2.0, 2.0).notes] == [2.0, 3.5]
