import numpy as np
import pytest

from echopulse.ecg.faults import settling_s
from echopulse.ecg.quality import check_usable, clipped_share, is_flat, signal_quality
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
