import numpy as np
import pytest

from echopulse.ecg.rhythm import name_rhythm, rhythm_words
from echopulse.ecg.types import Beats


def beats_at(peaks_s, *, p=True, ectopic=(), doubtful=(), gaps_s=None):
    """Beats at these times with P waves before all but the ectopic ones, or none."""
    peaks = np.asarray(peaks_s, float)
    odd = np.isin(np.arange(len(peaks)), ectopic)
    onsets = np.where(odd | (not p), np.nan, peaks - 0.16)
    return Beats(
        peaks, onsets, peaks - 0.04, peaks + 0.26, peaks + 0.34, rhythm="unknown", quality=1.0, ectopic=odd,
        doubtful=np.isin(np.arange(len(peaks)), doubtful), gaps_s=gaps_s,
    )  # fmt: skip


REGULAR = np.arange(0.5, 30, 0.8)


def irregular(seconds, start_s=0.5, seed=3):
    rr = np.random.default_rng(seed).uniform(0.45, 1.15, int(seconds * 2))
    peaks = start_s + np.cumsum(rr)
    return peaks[peaks < start_s + seconds]


def test_a_regular_rhythm_is_said_with_its_numbers():
    said = rhythm_words(beats_at(REGULAR))
    assert str(said).startswith("75/min, regular, with a P wave before the beats") and said.pieces == ()
    assert said.numbers["heart_rate_bpm"] == pytest.approx(75) and said.numbers["with_p_percent"] == 100
    assert said.numbers["jumps_percent"] == 0 and said.numbers["longest_interval_s"] == 0.8
    assert "slow" in rhythm_words(beats_at(np.arange(0, 30, 1.4))).words
    assert "fast" in rhythm_words(beats_at(np.arange(0, 30, 0.5))).words


def test_intervals_that_jump_without_p_waves_are_said_to_be_as_in_fibrillation():
    said = rhythm_words(beats_at(irregular(30), p=False))
    assert "as in atrial fibrillation" in said.words and said.numbers["jumps_percent"] > 15


def test_ectopics_early_beats_and_doubtful_ones_are_counted():
    peaks = np.sort(np.append(REGULAR[REGULAR != REGULAR[10]], REGULAR[10] - 0.3))
    said = rhythm_words(beats_at(peaks, ectopic=(10, 20), doubtful=(10,)))
    assert "2 of 37 beats of another shape (ectopic)" in said.words and "a beat doubtful" in said.words
    early = rhythm_words(beats_at(peaks))
    assert early.numbers["early"] == 1 and "1 early of the usual shape" in early.words


def test_a_pause_is_said_but_a_gap_is_none():
    peaks = REGULAR[(REGULAR < 10) | (REGULAR > 13)]
    said = rhythm_words(beats_at(peaks))
    assert "a pause of 2 s or more, up to 4.0 s" in said.words and said.numbers["pauses"] == 1
    gap = rhythm_words(beats_at(peaks, gaps_s=[[10.2, 12.8]]))
    assert gap.numbers["pauses"] == 0 and gap.numbers["longest_interval_s"] == 0.8


def test_a_long_recording_is_said_in_pieces():
    calm, wild = np.arange(0.5, 3000, 0.8), irregular(1200, 3000.5)
    both = Beats(
        *(np.concatenate([getattr(one, name) for one in (beats_at(calm), beats_at(wild, p=False))])
          for name in ("r_peaks_s", "p_onsets_s", "q_onsets_s", "t_peaks_s", "t_ends_s")),
        rhythm="unknown", quality=1.0,
    )  # fmt: skip
    said = rhythm_words(both)
    assert len(said.pieces) == 7 and said.pieces[0][0] == pytest.approx(0.5)
    assert "with a P wave" in said.pieces[0][2] and "as in atrial fibrillation" in said.pieces[-1][2]
    assert 15 < said.numbers["irregular_percent"] < 45 and "5 of 7 pieces regular" in said.words


def test_none_and_one_beat_are_said_plainly():
    assert str(rhythm_words(beats_at([]))) == "no beats"
    assert "too few" in rhythm_words(beats_at([1.0])).words


@pytest.mark.parametrize(("clarity", "irregular"), [(0.95, False), (0.6, True)])
def test_intervals_that_jump_are_the_sinus_nodes_only_where_p_waves_are_alike(clarity, irregular):
    peaks = np.cumsum(np.tile([0.7, 0.9, 1.1, 0.9], 6))
    nothing, all_ = np.zeros(24, bool), np.ones(24, bool)
    found = name_rhythm(peaks, nothing, all_, None, clarity)
    assert (found == "irregular") == irregular
