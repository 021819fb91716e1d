"""Every ECG among the samples, file by file: what is read of it, or why it is refused, and what is said of faults."""

import os
from pathlib import Path

import numpy as np
import pytest

from echopulse.ecg import clean_ecg, read_ecg
from echopulse.errors import InputError

SAMPLES = Path(os.environ.get("ECHOPULSE_SAMPLES", Path(__file__).resolve().parents[3] / "shared" / "samples"))
ECGS = SAMPLES / "ecg"
pytestmark = pytest.mark.skipif(not ECGS.is_dir(), reason=f"real recordings: {ECGS} is missing")

LIMBS, CHEST = "I II III aVR aVL aVF", "V1 V2 V3 V4 V5 V6"
TWELVE, CHEST_FIRST = f"{LIMBS} {CHEST}", f"I II {CHEST} III aVR aVL aVF"
FITBIT = "wearables/fitbit_takeout_afib_ecg_reading_1759907706000.csv"
# file: leads, hertz, seconds, peak to peak of the first lead in millivolts
READ = {
    "aecg/fda_subject1_0.xml": (CHEST_FIRST, 500, 10, 0.72),
    "aecg/hl7_2003_Example_aECG.xml": (CHEST_FIRST, 500, 10, 0.72),
    "apple/apple_de.csv": ("I", 511.422, 30.033905, 1.2),
    "apple/apple_en.csv": ("I", 512, 30, 1.203),
    "apple/apple_health_like.pdf": ("I", 512, 29.638672, 2.078),
    "apple/apple_health_like.truth.csv": ("ECG", 512, 30, 2.078),
    "apple/apple_ja.csv": ("I", 512, 30, 1.193),
    "apple/apple_nl_comma_rate_name_row_removed.csv": ("I", 511.023, 30.057356, 1.195),
    "apple/healthkit_voltage_pairs_volts.json": ("I", 512.61719, 4.9998324, 1.189),
    "apple/heartlens_sample_ecg_2_zh.csv": ("I", 512, 30, 7.109),
    "broken/12lead_12xN_only_lead1.npy": ("I", 512, 10, 1.52),
    "broken/baseline_wander.csv": ("I", 512, 10, 2.717),
    "broken/decimal_comma.csv": ("I", 512, 10, 1.52),
    "broken/flat_zero.csv": ("I", 512, 10, 0),
    "broken/latin1_micro_sign.csv": ("I", 512, 10, 1.52),
    "broken/lead1_T_by_1_float64_nan.npy": ("ECG", 512, 10, 1.52),
    "broken/lead1_int16_no_units.npy": ("ECG", 512, 10, 1.52),
    "broken/mains_50Hz.csv": ("I", 512, 10, 1.937),
    "broken/nan_gap_text.csv": ("I", 512, 10, 1.52),
    "broken/no_header_one_column_mV.csv": ("ECG", 512, 10, 1.52),
    "broken/reversed_polarity.csv": ("I", 512, 10, 1.52),
    "broken/saturated_clipped.csv": ("I", 512, 10, 0.55),
    "broken/semicolon_time_value.csv": ("ECG", 512, 10, 1.52),
    "broken/truncated_mid_number.csv": ("I", 512, 4.78125, 1.52),
    "broken/unit_says_uV_values_mV.csv": ("I", 512, 10, 1.52),
    "broken/utf16le_bom.csv": ("I", 512, 10, 1.52),
    "broken/wrong_rate_512_is_256.csv": ("I", 512, 5, 1.514),
    "dicom/waveform_ecg.dcm": (TWELVE, 1000, 10, 0.7875),
    "edf/mne_test_uneven_samp.edf": ("3Hz +5/-5 V", 100, 110, 9.995),
    "edf/test_generator_2.edf": ("ECG", 200, 600, 0.0788),
    "fhir/obs-sampled-data.json": ("ECG", 512.86667, 30, 1.421),
    "ishne/ECG_P28.01.ecg": (TWELVE, 1000, 95.573, 3.785),
    "mat/ecgfm_code15_2657522.mat": (TWELVE, 400, 7.335, 2.559),
    "muse/easyRecg_muse_ecg1.xml": (TWELVE, 500, 10, 0.6978),
    "philips/129DYPRG_v1_03.XML": (TWELVE, 500, 10.528, 1.04),
    "philips/3191723_ZZDEMOPTONLY_v1-04.xml": (TWELVE, 500, 10.6, 0.445),
    "scp/example.scp": (CHEST_FIRST, 500, 10, 0.72),
    "text/biosppy_ecg.txt": ("ECG", 1000, 15, 0.519),
    "text/heartpy_e0103.csv": ("ECG", 250, 120, 2.2),
    "text/tereshchenko_testing_ecg_12lead.txt": (TWELVE, 500, 10, 0.668),
    FITBIT: ("I", 250, 30, 1.242),
    "wearables/polar_sensor_logger_H10_ECG.txt": ("ECG", 130, 30, 1.194),
    "wearables/withings_heart_v2_get.json": ("I", 300, 30, 1.192),
    "wfdb/00001_lr.dat": (TWELVE, 100, 10, 0.901),
    "wfdb/00001_lr.hea": (TWELVE, 100, 10, 0.901),
    "wfdb/100.atr": ("MLII V5", 360, 1805.5556, 4.15),
    "wfdb/100.dat": ("MLII V5", 360, 1805.5556, 4.15),
    "wfdb/100.hea": ("MLII V5", 360, 1805.5556, 4.15),
    "wfdb/100_3chan.dat": ("I II III", 360, 2.775, 1.605),
    "wfdb/100_3chan.hea": ("I II III", 360, 2.775, 1.605),
    "wfdb/A00001.hea": ("ECG", 300, 30, 1.7),
    "wfdb/A00001.mat": ("ECG", 300, 30, 1.7),
    "wfdb/A00004.hea": ("ECG", 300, 30, 1.566),
    "wfdb/A00004.mat": ("ECG", 300, 30, 1.566),
    "wfdb/JS20000.hea": (TWELVE, 500, 10, 1.005),
    "wfdb/JS20000.mat": (TWELVE, 500, 10, 1.005),
    "wfdb/JS20003.hea": (TWELVE, 500, 10, 2.045),
    "wfdb/JS20003.mat": (TWELVE, 500, 10, 2.045),
    "wfdb/s0010_re.dat": (f"{TWELVE} vx vy vz", 1000, 38.4, 1.273),
    "wfdb/s0010_re.hea": (f"{TWELVE} vx vy vz", 1000, 38.4, 1.273),
    "wfdb/s0010_re.xyz": (f"{TWELVE} vx vy vz", 1000, 38.4, 1.273),
}
# Those that do not say their rate are refused without one, and are read with the one in the table above.
WITHOUT_RATE = (
    "broken/12lead_12xN_only_lead1.npy",
    "broken/lead1_T_by_1_float64_nan.npy",
    "broken/lead1_int16_no_units.npy",
    "broken/no_header_one_column_mV.csv",
    "text/heartpy_e0103.csv",
    "text/tereshchenko_testing_ecg_12lead.txt",
)
# file: words of the refusal
REFUSED = {
    "aecg/fda_empty.xml": "holds no series",
    "aecg/fda_minimum_aecg.xml": "0.0 s of ECG at 500 Hz",
    "broken/12726_header_without_dat.hea": "names 12726.dat, but no such file",
    "broken/apple_ecg_git_lfs_pointer.csv": "run 'git lfs pull'.",
    "broken/empty.csv": "the file is empty (0 bytes)",
    "broken/header_only.csv": "without any sample after it",
    "broken/too_short_1s.csv": "1.0 s of ECG at 512 Hz; at least 2 s",
    "edf/test_edfann.edf": "EDF+ with notes only",
    "scp/healforce_62.SCP": "a Heal Force .SCP file",
}
# file: entry of the provenance, once it is cleaned, and words in it that name the fault or what was done about it
TOLD = {
    "apple/apple_health_like.pdf": ("start", "0.36 s into its first row"),
    "apple/heartlens_sample_ecg_2_zh.csv": ("start", "settle"),
    "broken/12lead_12xN_only_lead1.npy": ("dead leads", "constant throughout"),
    "broken/baseline_wander.csv": ("cleaned", "high-pass 0.5 Hz"),
    "broken/decimal_comma.csv": ("numbers", "a comma is their decimal mark"),
    "broken/flat_zero.csv": ("contact", "the line stands still"),
    "broken/latin1_micro_sign.csv": ("encoding", "latin-1"),
    "broken/lead1_T_by_1_float64_nan.npy": ("gaps", "3.1 % of the samples were interpolated"),
    "broken/lead1_int16_no_units.npy": ("unit", "taken as uV because of the size"),
    "broken/mains_50Hz.csv": ("cleaned", "notch 50 Hz"),
    "broken/nan_gap_text.csv": ("gaps", "missing"),
    "broken/no_header_one_column_mV.csv": ("unit", "taken as mV because of the size"),
    "broken/reversed_polarity.csv": ("polarity", "turned over"),
    "broken/saturated_clipped.csv": ("clipping", "stick to the end of the scale"),
    "broken/semicolon_time_value.csv": ("numbers", "a comma is their decimal mark"),
    "broken/truncated_mid_number.csv": ("end", "stops in the middle of a number"),
    "broken/unit_says_uV_values_mV.csv": ("unit", "the file says uV, but"),
    "broken/utf16le_bom.csv": ("encoding", "utf-16"),
    "broken/wrong_rate_512_is_256.csv": ("length", "its rate is wrong"),
    "dicom/waveform_ecg.dcm": ("part", "rhythm"),
    "edf/mne_test_uneven_samp.edf": ("leads", "no channel is called an ECG"),
    "fhir/obs-sampled-data.json": ("rate", "interval 1.94 ms is rounded"),
    "muse/easyRecg_muse_ecg1.xml": ("derived leads", "III, aVR, aVL, aVF"),
    "wfdb/A00004.hea": ("header", "another order"),
}


def needs(name):
    """The path of a sample; a test whose file was not copied is skipped by the file's name."""
    path = ECGS / name
    if not path.exists():
        pytest.skip(f"real recording {path} is missing")
    return path


def test_no_sample_is_left_out():
    there = {str(file.relative_to(ECGS)) for file in ECGS.rglob("*") if file.is_file()}
    assert there <= set(READ) | set(REFUSED)


@pytest.mark.parametrize("name", READ)
def test_leads_rate_seconds_and_size_are_what_was_recorded(name):
    leads, rate_hz, seconds, millivolts = READ[name]
    ecg = read_ecg(needs(name), rate_hz=rate_hz if name in WITHOUT_RATE else None)
    assert " ".join(ecg.leads) == leads
    assert ecg.rate_hz == pytest.approx(rate_hz, rel=1e-5)
    assert ecg.duration_s == pytest.approx(seconds, rel=1e-4)
    assert np.nanmax(ecg.samples[0]) - np.nanmin(ecg.samples[0]) == pytest.approx(millivolts, rel=0.05)


@pytest.mark.parametrize("name", WITHOUT_RATE)
def test_a_rate_that_lacks_is_asked_for(name):
    with pytest.raises(InputError, match="does not say its sampling rate"):
        read_ecg(needs(name))
    assert read_ecg(needs(name), rate_hz=250).provenance["rate"] == "250 Hz, as given"


@pytest.mark.parametrize("name", REFUSED)
def test_what_holds_no_ecg_is_refused_in_one_sentence(name):
    with pytest.raises(InputError) as caught:
        read_ecg(needs(name))
    said = str(caught.value)
    assert said.startswith(str(ECGS / name)) and REFUSED[name] in said and "\n" not in said


@pytest.mark.parametrize("name", TOLD)
def test_faults_are_named_or_mended_and_said(name):
    entry, words = TOLD[name]
    ecg = read_ecg(needs(name), rate_hz=READ[name][1] if name in WITHOUT_RATE else None)
    assert words in clean_ecg(ecg).provenance[entry]
