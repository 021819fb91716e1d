import numpy as np
import pytest

from echopulse.ecg import quality
from echopulse.ecg.faults import clipped, only_runs, runs, settling_s
from echopulse.ecg.quality import (
    best_stretch,
    check_usable,
    clipped_share,
    is_flat,
    quality_per_second,
    signal_quality,
)
from echopulse.ecg.types import ECG
from echopulse.errors import InputError


def test_a_clear_ecg_is_good_and_noise_is_not(heart, regular):
    noise = ECG(np.random.default_rng(0).normal(0, 0.3, (1, 2500)), 250.0, ("II",))
    assert signal_quality(regular)[0] > 0.9
    assert signal_quality(noise)[0] < 0.2
    assert signal_quality(heart(np.arange(0.5, 10, 0.8), 10, noise_mv=0.25))[0] < signal_quality(regular)[0]


def test_quality_is_per_lead(heart):
    ecg = heart(np.arange(0.5, 10, 0.8), 10, leads=("I", "II"))
    samples = ecg.samples.copy()
    samples[0] = 0
    assert np.array_equal(signal_quality(ECG(samples, 250.0, ecg.leads)) > 0.5, [False, True])


def test_flat_is_refused_unless_allowed():
    flat = ECG(np.full((1, 2500), 0.3), 250.0, ("I",), provenance={"path": "watch.csv"})
    assert is_flat(flat)
    with pytest.raises(InputError, match=r"watch\.csv: a flat line .* --allow-flat"):
        check_usable(flat)
    check_usable(flat, allow_flat=True)


def test_low_voltage_is_not_flat(heart):
    assert not is_flat(heart(np.arange(0.5, 10, 0.8), 10, scale=0.15))


def test_too_short_says_how_long_and_how_long_it_must_be(heart):
    with pytest.raises(InputError, match=r"1\.0 s of ECG at 250 Hz; at least 2 s"):
        check_usable(heart([0.5], 1))
    check_usable(heart([0.5, 1.3], 2))


def test_nan_throughout_and_mostly_nan_are_refused(regular):
    samples = np.full_like(regular.samples, np.nan)
    with pytest.raises(InputError, match="NaN throughout"):
        check_usable(ECG(samples, 250.0, ("II",)))
    samples[0, :900] = regular.samples[0, :900]
    with pytest.raises(InputError, match="64 % of the samples are missing"):
        check_usable(ECG(samples, 250.0, ("II",)))


def test_clipping_is_measured(regular):
    assert clipped_share(regular.samples[0]) == 0
    assert clipped_share(np.clip(regular.samples[0], -1, 0.3)) > 0.03


def test_settling_electrodes_are_noticed_only_at_the_start(heart):
    ecg = heart(np.arange(0.5, 20, 0.8), 20)
    jolt = 4 * np.exp(-0.5 * ((ecg.times_s - 0.6) / 0.3) ** 2)
    late = 4 * np.exp(-0.5 * ((ecg.times_s - 12) / 0.3) ** 2)
    assert settling_s(ecg) == 0
    assert 1.0 <= settling_s(ECG(ecg.samples + jolt.astype(np.float32), 250.0, ecg.leads)) <= 2.0
    assert settling_s(ECG(ecg.samples + late.astype(np.float32), 250.0, ecg.leads)) == 0


@pytest.mark.parametrize(("rate_hz", "usable"), [(25.0, False), (39.9, False), (40.0, True)])
def test_too_few_samples_a_second_are_refused_by_number(heart, rate_hz, usable):
    ecg = ECG(heart(np.arange(0.5, 10, 0.8), 10).samples[:, :400], rate_hz, ("II",))
    if usable:
        check_usable(ecg)
    else:
        with pytest.raises(InputError, match=rf"{rate_hz:g} samples a second; at least 40 are needed"):
            check_usable(ecg)


def test_every_second_is_judged_by_itself(heart):
    ecg = heart(np.arange(0.5, 30, 0.8), 30, leads=("I", "II"))
    samples = ecg.samples.copy()
    samples[0, 2500:3000] += np.random.default_rng(0).normal(0, 0.4, 500).astype(np.float32)  # seconds 10 and 11
    samples[1, 5000:5500] = np.nan
    judged = quality_per_second(ECG(samples, 250.0, ecg.leads))
    assert judged.shape == (2, 30)
    assert judged[0, 10:12].max() < 0.1 and judged[1, 20:22].max() == 0
    rest = np.delete(judged[0], [9, 10, 11, 12])
    assert rest.min() > 0.8 and np.delete(judged[1], [20, 21]).min() > 0.8


def test_quality_falls_with_noise_and_is_nothing_without_a_heart(heart):
    by_noise = [quality_per_second(heart(np.arange(0.5, 10, 0.8), 10, noise_mv=noise)).mean() for noise in
                (0.005, 0.05, 0.1, 0.3)]  # fmt: skip
    assert by_noise[0] > 0.95 and by_noise[-1] < 0.1 and np.all(np.diff(by_noise) < 0)
    noise = ECG(np.random.default_rng(0).normal(0, 0.3, (1, 2500)), 250.0, ("II",))
    flat = ECG(np.zeros((1, 2500)), 250.0, ("II",))
    assert quality_per_second(noise).max() < 0.1 and quality_per_second(flat).max() == 0


def test_slow_hearts_and_part_seconds_are_judged_too(heart):
    judged = quality_per_second(heart(np.arange(0.5, 20, 1.7), 10.4))
    assert judged.shape == (1, 11) and judged[0, :10].min() > 0.8


def test_a_long_recording_is_judged_in_pieces_without_seams(heart, monkeypatch):
    ecg = heart(np.arange(0.5, 90, 0.8), 90, 100.0)
    whole = quality_per_second(ecg)
    monkeypatch.setattr(quality, "QUALITY_PIECE_S", 30)
    assert np.allclose(quality_per_second(ecg), whole, atol=0.02) and whole.min() > 0.8


def test_the_best_stretch_lies_where_no_noise_is(heart):
    ecg = heart(np.arange(0.5, 60, 0.8), 60)
    samples = ecg.samples + np.random.default_rng(0).normal(0, 0.3, ecg.samples.shape).astype(np.float32)
    samples[:, 30 * 250 : 42 * 250] = ecg.samples[:, 30 * 250 : 42 * 250]
    best = best_stretch(ECG(samples, 250.0, ecg.leads, start_s=5.0), 10)
    assert 35 <= best.start_s <= 37 and best.duration_s == 10
    with pytest.raises(InputError, match=r"61 s asked for, but the ECG has 60\.0 s"):
        best_stretch(ecg, 61)


def test_runs_at_either_end_and_none():
    mask = np.array([1, 1, 0, 1, 0, 0, 1, 1, 1], dtype=bool)
    assert runs(mask).tolist() == [[0, 2], [3, 4], [6, 9]] and runs(mask, 3).tolist() == [[6, 9]]
    assert only_runs(mask, 2).tolist() == (np.arange(9) < 2).tolist()[:6] + [True] * 3
    assert runs(np.zeros(4, dtype=bool)).shape == runs(np.zeros(0, dtype=bool)).shape == (0, 2)
    assert runs(np.ones(4, dtype=bool)).tolist() == [[0, 4]]


def test_a_gap_does_not_hide_clipping():
    row = np.array([0, 1, 1, 1, np.nan, 0.5, -1, 0], dtype=np.float32)
    assert np.flatnonzero(clipped(row)).tolist() == [1, 2, 3]


def test_a_long_record_has_the_quality_of_its_pieces(regular, monkeypatch):
    noise = np.random.default_rng(0).normal(0, 0.3, regular.samples.shape).astype(np.float32)
    ecg = ECG(np.concatenate((regular.samples, regular.samples, noise), axis=1), 250.0, ("II",))
    monkeypatch.setattr(quality, "QUALITY_PIECE_S", regular.duration_s)
    parts = [signal_quality(ECG(part, 250.0, ("II",)))[0] for part in (regular.samples, noise)]
    assert signal_quality(ecg)[0] == pytest.approx((2 * parts[0] + parts[1]) / 3, abs=1e-6)
