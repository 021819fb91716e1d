import numpy as np

from echopulse.ecg.clean import clean_ecg, hum_ratio
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
        assert hum_ratio(clean.samples[0], 250.0, mains) < 2
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


def test_gaps_are_closed_and_named(regular):
    samples = regular.samples.copy()
    samples[0, 1000:1300] = np.nan
    clean = clean_ecg(ECG(samples, 250.0, ("II",)))
    assert np.isfinite(clean.samples).all() and "1.2 s" in clean.provenance["gaps"]


def test_two_seconds_at_a_low_rate_can_be_cleaned(heart):
    assert clean_ecg(heart([0.4, 1.2], 2, 50.0)).samples.shape == (1, 100)
