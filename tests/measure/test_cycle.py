"""Beats in volume curves that are known by formula."""

import numpy as np
import pytest

from echopulse.measure.cycle import ejection_fraction_overall, find_cycles, is_irregular, phase_times, smooth_curve


def beating(times: np.ndarray, onsets, edv: float = 120.0, fractions=0.6, atrial: float = 0.25):
    """Volume at `times` of a heart that begins to eject at each onset (seconds), and the times ejection ends.

    Ejection, isovolumic relaxation (at most 80 ms), early filling, rest, atrial kick up to the next onset.
    """
    onsets = np.asarray(onsets, float)
    fractions = np.broadcast_to(fractions, onsets.shape)
    volume, ends = np.full(len(times), float(edv)), onsets.copy()
    for k, onset in enumerate(onsets):
        following = onsets[k + 1] if k + 1 < len(onsets) else onset + 1.0
        cycle, stroke = following - onset, edv * fractions[k]
        ejection = min(0.3, 0.45 * cycle)
        ends[k] = onset + ejection
        filling = ends[k] + min(0.08, 0.1 * cycle)
        early = min(0.25, 0.75 * (following - filling))
        kick = min(0.13, following - filling - early)
        inside = (times >= onset) & (times < following)
        now = times[inside]
        change = -rise((now - onset) / ejection) + (1 - atrial) * rise((now - filling) / early)
        volume[inside] += stroke * (change + atrial * rise((now - following + kick) / kick))
    return volume, ends


def rise(u: np.ndarray) -> np.ndarray:
    u = np.clip(u, 0, 1)
    return u * u * (3 - 2 * u)


@pytest.mark.parametrize("rate", [40, 60, 75, 100, 130, 150])
@pytest.mark.parametrize("seconds", [3.0, 10.0])
def test_every_beat_its_ejection_fraction_and_the_rate_are_found(rate, seconds):
    times = np.arange(0, seconds, 0.04)
    onsets = np.arange(-1.83, seconds + 2, 60 / rate)
    volume, ends = beating(times, onsets, fractions=0.55)
    cycles = find_cycles(times, volume)
    seen = ends[(ends > 0.1) & (ends < seconds - 0.15)]
    nearest = np.abs(cycles.minima_s[:, None] - seen).min(0)
    assert len(seen) <= len(cycles.minima_s) <= len(seen) + 2
    assert nearest.max() < 0.08  # the trough lasts up to 80 ms
    lost = 0.025 if rate <= 100 else 0.045  # smoothing over 0.2 s takes more from a beat of 0.4 s
    assert cycles.ef_per_beat == pytest.approx(np.full(len(cycles.ef_per_beat), 0.55), abs=lost)
    assert cycles.heart_rate_bpm == pytest.approx(rate, rel=0.03)


def test_each_end_diastole_comes_before_its_end_systole_at_the_onset_of_ejection():
    times = np.arange(0, 6, 0.04)
    onsets = np.arange(-0.5, 8, 0.9)
    cycles = find_cycles(times, beating(times, onsets)[0])
    assert len(cycles.ed_frames) == len(cycles.es_frames) == len(cycles.ef_per_beat) == 6
    assert (cycles.ed_frames < cycles.es_frames).all() and (cycles.es_frames[:-1] < cycles.ed_frames[1:]).all()
    lag = cycles.ed_times_s - onsets[1:7]
    assert np.abs(lag - lag.mean()).max() < 0.01 and 0 < lag.mean() < 0.09


def test_noise_makes_no_beats_and_loses_none():
    generator = np.random.default_rng(0)
    times = np.arange(0, 10, 0.04)
    clean, ends = beating(times, np.arange(-0.7, 12, 0.8))
    expected = len(find_cycles(times, clean).minima_s)
    for _ in range(20):
        noisy = clean + 0.025 * 120 * generator.standard_normal(len(times))
        cycles = find_cycles(times, noisy)
        assert abs(len(cycles.minima_s) - expected) <= 1  # one at the very edge may come or go
        assert np.median(cycles.ef_per_beat) == pytest.approx(0.6, abs=0.035)


def test_fibrillation_intervals_are_followed():
    generator = np.random.default_rng(1)
    intervals = generator.uniform(0.42, 1.1, 20)
    onsets = np.cumsum(intervals) - 1
    times = np.arange(0, 10, 0.04)
    volume, ends = beating(times, onsets, fractions=generator.uniform(0.35, 0.65, 20), atrial=0.0)
    inside = ends[(ends > 0.05) & (ends < 9.85)]
    cycles = find_cycles(times, volume)
    assert len(cycles.minima_s) == len(inside)
    assert np.corrcoef(np.diff(cycles.minima_s), np.diff(inside))[0, 1] > 0.97


def test_a_small_ectopic_beat_counts():
    times = np.arange(0, 5, 0.04)
    onsets = np.array([-0.6, 0.2, 1.0, 1.55, 2.6, 3.4, 4.2])
    volume, _ = beating(times, onsets, fractions=[0.6, 0.6, 0.6, 0.2, 0.65, 0.6, 0.6])
    cycles = find_cycles(times, volume)
    assert len(cycles.minima_s) == 6
    assert cycles.ef_per_beat.min() == pytest.approx(0.2, abs=0.03)


def test_a_clip_of_little_more_than_a_second_is_enough_for_one_beat():
    times = np.arange(0, 1.3, 0.04)
    cycles = find_cycles(times, beating(times, [-0.7, 0.2, 1.1])[0])
    assert len(cycles.ef_per_beat) == 1
    assert cycles.ef_per_beat[0] == pytest.approx(0.6, abs=0.03)
    assert np.isnan(cycles.heart_rate_bpm)


def test_a_contraction_that_began_before_the_clip_has_no_ejection_fraction():
    times = np.arange(0, 1.3, 0.04)
    cycles = find_cycles(times, beating(times, [-0.15, 0.75])[0])
    assert len(cycles.minima_s) == len(cycles.es_frames) + 1
    assert cycles.minima_s[0] < 0.3 and (cycles.es_times_s > 0.7).all()


@pytest.mark.parametrize("seconds", [1.3, 4.0, 10.0])
def test_a_standing_heart_has_no_beats_and_hardly_an_ejection_fraction(seconds):
    generator = np.random.default_rng(2)
    times = np.arange(0, seconds, 0.04)
    volume = 120 * (1 + 0.012 * generator.standard_normal(len(times)))
    cycles = find_cycles(times, volume)
    assert len(cycles.minima_s) == len(cycles.ed_frames) == 0
    assert np.isnan(cycles.heart_rate_bpm)
    assert ejection_fraction_overall(times, volume) < 0.07
    assert ejection_fraction_overall(times, np.full(len(times), 90.0)) == pytest.approx(0.0, abs=1e-9)


def test_a_weak_heart_still_beats():
    times = np.arange(0, 4, 0.04)
    cycles = find_cycles(times, beating(times, np.arange(-0.3, 6, 0.8), edv=260, fractions=0.14)[0])
    assert np.median(cycles.ef_per_beat) == pytest.approx(0.14, abs=0.02)


def test_missing_volumes_are_bridged_and_nothing_at_all_gives_nothing():
    times = np.arange(0, 4, 0.04)
    volume = beating(times, np.arange(-0.3, 6, 0.8))[0]
    expected = find_cycles(times, volume).es_frames
    volume[[7, 33, 34, 80]] = np.nan
    assert np.abs(find_cycles(times, volume).es_frames - expected).max() <= 1
    for empty in (np.full(100, np.nan), np.zeros(100)):
        assert len(find_cycles(times, empty).minima_s) == 0
    assert np.isnan(ejection_fraction_overall(times, np.full(100, np.nan)))
    for few in (0, 1, 3):
        assert len(find_cycles(times[:few], volume[:few]).minima_s) == 0


@pytest.mark.parametrize("fps", [15, 25, 30, 50, 80])
def test_the_frame_rate_does_not_matter(fps):
    times = np.arange(0, 4, 1 / fps)
    cycles = find_cycles(times, beating(times, np.arange(-0.3, 6, 0.8))[0])
    assert cycles.heart_rate_bpm == pytest.approx(75, rel=0.03)
    assert np.median(cycles.ef_per_beat) == pytest.approx(0.6, abs=0.04)


def test_smoothing_keeps_parabolas_and_removes_noise():
    times = np.arange(0, 2, 0.04)
    assert smooth_curve(times, 3 + times**2) == pytest.approx(3 + times**2)
    noise = np.random.default_rng(0).standard_normal(1000)
    assert smooth_curve(np.arange(1000) * 0.04, noise).std() < 0.75 * noise.std()
    with pytest.raises(ValueError, match="equally long"):
        smooth_curve(times, noise)


@pytest.mark.parametrize("es_level", [0.0, 0.1])
def test_phase_times_follow_a_shift_by_a_fraction_of_a_frame(es_level):
    times = np.arange(0, 5, 0.04)
    onsets = np.arange(-0.4, 7, 0.85)
    cycles = list(zip(onsets[1:5], onsets[2:6], strict=True))
    at = [phase_times(times, beating(times, onsets + shift)[0], cycles, es_level=es_level) for shift in (0.0, 0.025)]
    assert at[1][0] - at[0][0] == pytest.approx(np.full(4, 0.025), abs=0.011)
    assert at[1][1] - at[0][1] == pytest.approx(np.full(4, 0.025), abs=0.026 if es_level == 0 else 0.011)


def test_phase_times_see_a_heart_that_contracts_too_early():
    times = np.arange(0, 5, 0.04)
    onsets = np.arange(-0.4, 7, 0.85)
    cycles = list(zip(onsets[1:5], onsets[2:6], strict=True))
    right = phase_times(times, beating(times, onsets)[0], cycles)[0]
    early = phase_times(times, beating(times, onsets - 0.15)[0], cycles)[0]
    assert early - right == pytest.approx(np.full(4, -0.15), abs=0.012)


def test_phase_times_are_nan_where_there_is_nothing_to_see():
    times = np.arange(0, 3, 0.04)
    volume = beating(times, np.arange(-0.4, 5, 0.85))[0]
    ed, es = phase_times(times, volume, [(-0.4, 0.45), (0.45, 1.3), (2.5, 3.4)])
    assert np.isnan(ed[[0, 2]]).all() and np.isnan(es[[0, 2]]).all() and np.isfinite(ed[1] + es[1])
    ed, es = phase_times(times, np.full(len(times), 80.0), [(0.45, 1.3)])
    assert np.isnan(ed).all() and np.isnan(es).all()
    assert phase_times(times, volume, [])[0].shape == (0,)


@pytest.mark.parametrize(
    ("intervals", "irregular"),
    [((0.8, 0.9, 0.72), False), ((0.8, 0.5, 1.0), True), ((0.8, 0.8, 1.6), True), ((), False)],
)
def test_beats_are_irregular_where_their_intervals_differ_more_than_by_breathing(intervals, irregular):
    ed = np.cumsum([0.1, *intervals])
    assert is_irregular(ed, ed + 0.3) is irregular and is_irregular(ed[:0], ed) is irregular
