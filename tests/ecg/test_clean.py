from dataclasses import replace

import numpy as np
import pytest

from echopulse.ecg.beats import find_beats
from echopulse.ecg.clean import clean_ecg, find_hum
from echopulse.ecg.types import ECG


def test_wander_goes_and_waves_stay(heart):
    ecg = heart(np.arange(0.5, 10, 0.8), 10, noise_mv=0.0)
    wander = 0.8 * np.sin(2 * np.pi * 0.2 * ecg.times_s)
    clean = clean_ecg(ECG(ecg.samples + wander.astype(np.float32) + 25, 250.0, ecg.leads))
    middle = slice(500, 2000)
    reference = clean_ecg(ecg).samples[0, middle]
    assert np.abs(clean.samples[0, middle] - reference).max() < 0.05
    assert abs(reference.max() - ecg.samples[0, middle].max()) < 0.15


def test_hum_is_notched_only_where_it_is(heart):
    ecg = heart(np.arange(0.5, 10, 0.8), 10)
    for mains in (50.0, 60.0):
        loud = ECG(ecg.samples + 0.2 * np.sin(2 * np.pi * mains * ecg.times_s).astype(np.float32), 250.0, ecg.leads)
        clean = clean_ecg(loud)
        assert f"notch {mains:g} Hz" in clean.provenance["cleaned"]
        assert find_hum(clean.samples[:1], 250.0, mains)[0][0] < 2
        assert np.abs(clean.samples - clean_ecg(ecg).samples)[0, 250:-250].max() < 0.06
    assert "notch" not in clean_ecg(ecg).provenance["cleaned"]


def test_a_single_lead_upside_down_is_turned_over_and_says_so(heart):
    upright, reversed_ = (heart(np.arange(0.5, 10, 0.8), 10, leads=("I",), scale=sign) for sign in (1, -1))
    turned = clean_ecg(reversed_)
    assert "turned over" in turned.provenance["polarity"]
    assert turned.samples[0].max() > 0.8
    assert clean_ecg(upright).provenance["polarity"] == "as recorded"


def test_leads_that_point_down_by_nature_stay(heart):
    for leads in (("aVR",), ("V1",), ("I", "II")):
        ecg = heart(np.arange(0.5, 10, 0.8), 10, leads=leads, scale=-1)
        assert clean_ecg(ecg).provenance["polarity"] == "as recorded"


def test_short_gaps_are_bridged_and_told_and_long_ones_stay(regular):
    samples = regular.samples.copy()
    samples[0, 600:650] = np.nan  # 0.2 s
    samples[0, 1000:1300] = np.nan
    clean = clean_ecg(ECG(samples, 250.0, ("II",)))
    assert np.array_equal(np.flatnonzero(np.isnan(clean.samples[0])), np.arange(1000, 1300))
    told = clean.provenance["gaps"]
    assert "interpolated, over 0.2 s at the most" in told and "the longest gap lasts 1.2 s, from 4.00 s on" in told


def test_a_gap_in_one_lead_leaves_the_others_whole(heart):
    ecg = heart(np.arange(0.5, 10, 0.8), 10, leads=("I", "II"))
    samples = ecg.samples.copy()
    samples[0, 500:700] = np.nan
    clean = clean_ecg(ECG(samples, 250.0, ecg.leads))
    assert np.isnan(clean.samples[0]).sum() == 200 and np.isfinite(clean.samples[1]).all()
    assert np.array_equal(clean.samples[1], clean_ecg(ecg).samples[1])


@pytest.mark.parametrize("mains", [49.1, 50.3, 59.2, 60.8])
def test_hum_is_removed_where_it_is_though_clocks_are_off(heart, mains):
    ecg = heart(np.arange(0.5, 10, 0.8), 10, 500.0)
    hum = 0.2 * np.sin(2 * np.pi * mains * ecg.times_s).astype(np.float32)
    clean = clean_ecg(ECG(ecg.samples + hum, 500.0, ecg.leads))
    found = float(clean.provenance["cleaned"].split("(at ")[1].rstrip(")"))
    assert found == pytest.approx(mains, abs=0.05)
    left = (clean.samples - clean_ecg(ecg).samples)[0, 500:-500]
    assert left.std() < 0.05 * hum.std()


def test_cleaning_moves_nothing_in_time(heart):
    ecg = heart(np.arange(0.5, 10, 0.8), 10, 500.0, noise_mv=0.0)
    clean = clean_ecg(ECG(ecg.samples + 0.2 * np.sin(2 * np.pi * 50 * ecg.times_s).astype(np.float32), 500.0, ("II",)))
    lag = np.correlate(clean.samples[0], ecg.samples[0] - ecg.samples[0].mean(), "same").argmax() - 2500
    assert lag == 0


def test_a_jolt_at_the_start_does_not_spread(heart):
    ecg = heart(np.arange(0.5, 20, 0.8), 20)
    jolt = np.where(ecg.times_s < 1.2, 5.0 * np.exp(-ecg.times_s / 0.4), 0.0).astype(np.float32)
    clean = clean_ecg(ECG(ecg.samples + jolt, 250.0, ecg.leads))
    assert "settle during the first" in clean.provenance["start"]
    off = np.abs(clean.samples - clean_ecg(ecg).samples)[0]
    assert off[500:].max() < 0.03  # the high-pass alone leaves 0.2 mV
    assert "start" not in clean_ecg(ecg).provenance


def test_clipping_and_lost_contact_are_told_and_left_alone(heart):
    ecg = heart(np.arange(0.5, 10, 0.8), 10, leads=("I", "II"))
    samples = np.clip(ecg.samples, -1, 0.4)
    samples[1, 1000:1750] = samples[1, 1000]
    told = clean_ecg(ECG(samples, 250.0, ecg.leads)).provenance
    assert "of I stick to the end" in told["clipping"]
    assert told["contact"].endswith("II from 4.0 to 7.0 s")
    assert not {"clipping", "contact", "gaps"} & set(clean_ecg(ecg).provenance)


def test_exchanged_arm_electrodes_are_told_and_nothing_is_turned(heart):
    ecg = heart(np.arange(0.5, 10, 0.8), 10, leads=("I", "V6"))
    samples = ecg.samples * np.array([[-1], [1]], np.float32)
    clean = clean_ecg(ECG(samples, 250.0, ecg.leads))
    assert "electrodes of the arms are exchanged" in clean.provenance["polarity"] and clean.samples[0].min() < -0.8


def test_two_seconds_at_a_low_rate_can_be_cleaned(heart):
    assert clean_ecg(heart([0.4, 1.2], 2, 50.0)).samples.shape == (1, 100)


def test_a_lead_that_alone_stands_still_has_lost_contact_and_is_not_heard_there(regular):
    both = np.concatenate([regular.samples[:1], 0.7 * regular.samples[:1]])
    ecg = replace(regular, samples=both, leads=("II", "V5"), provenance={})
    ecg.samples[0, 500:1200] = ecg.samples[0, 500]
    cleaned = clean_ecg(ecg)
    assert np.isnan(cleaned.samples[0, 501:1200]).all() and np.isfinite(cleaned.samples[0, 1200:]).all()
    assert np.isfinite(cleaned.samples[1]).all() and "II from" in cleaned.provenance["contact"]
    assert len(find_beats(ecg).r_peaks_s) == len(find_beats(regular).r_peaks_s)
    ecg.samples[1, 500:1200] = ecg.samples[1, 500]  # in every lead it may be the heart that stands
    assert np.isfinite(clean_ecg(ecg).samples).all()
