import numpy as np
import pytest

from echopulse.ecg import read_ecg
from echopulse.ecg.readers.clock import steady
from echopulse.errors import InputError

RATE = 250


@pytest.fixture
def beat(heart):
    """Four seconds in mV, [n] at 250 Hz."""
    return heart(np.arange(0.5, 4, 0.8), 4, RATE).samples[0].astype(np.float64)


def wave(times):
    return np.sin(2 * np.pi * 1.5 * times)[None]


def test_a_steady_clock_leaves_the_samples_alone():
    times = np.arange(1000) / RATE
    found = steady(times, wave(times))
    assert found.rate_hz == 250 and found.told is None and np.array_equal(found.samples, wave(times))


def test_rounded_times_are_those_of_a_steady_clock():
    times = np.arange(1000) / 512
    found = steady(np.round(times, 3), wave(times))
    assert found.rate_hz == pytest.approx(512, rel=2e-3) and np.array_equal(found.samples, wave(times))


def test_a_clock_that_wanders_is_resampled_and_told():
    times = np.arange(1000) / RATE
    bent = times + 0.02 * np.sin(2 * np.pi * times / 4)
    found = steady(bent, wave(bent))
    at = bent[0] + np.arange(found.samples.shape[1]) / found.rate_hz
    assert "resampled" in found.told and np.abs(found.samples - wave(at)).max() < 0.01


def test_a_pause_becomes_a_gap_and_a_long_one_leaves_the_longest_part():
    times = np.arange(1000) / RATE
    found = steady(np.where(times > 2, times + 1, times), wave(times))
    assert found.samples.shape[1] == 1250 and np.isnan(found.samples).sum() == pytest.approx(250, abs=2)
    found = steady(np.where(times > 1, times + 1e6, times), wave(times))
    assert found.samples.shape[1] == 749 and "longest part" in found.told


def test_shared_and_shuffled_times():
    times = np.arange(1000) / RATE
    found = steady(np.floor(times * 10) / 10, wave(times))
    assert found.rate_hz == pytest.approx(250, rel=0.03) and "share a time" in found.told
    order = np.arange(1000)
    order[500:502] = 501, 500
    found = steady(times[order], wave(times)[:, order])
    assert "sorted" in found.told and np.array_equal(found.samples, wave(times))


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("'Elapsed time','MLII'\n'hh:mm:ss.mmm','mV'\n", "'0:{:06.3f}',{:.4f}"),
        ("time,MLII\n", "2026-01-02 10:00:{:06.3f},{:.4f}"),
        ("time,MLII\n", '"10:00:{:06.3f}","{:.4f}"'),
    ],
)
def test_times_of_day_are_a_clock(beat, head, row):
    text = head + "\n".join(row.format(i / RATE, value) for i, value in enumerate(beat))
    ecg = read_ecg(text.encode())
    assert ecg.rate_hz == 250 and ecg.leads[0].startswith("MLII") and np.allclose(ecg.samples[0], beat, atol=1e-4)


def test_a_jittering_microsecond_clock_is_read(beat):
    jitter = np.random.default_rng(0).uniform(-300, 300, len(beat))
    rows = "".join(f"{i * 4000 + jitter[i]:.0f},{value:.4f}\n" for i, value in enumerate(beat))
    ecg = read_ecg(("timestamp_us,ecg_measurement\n" + rows).encode())
    assert ecg.rate_hz == 250 and np.allclose(ecg.samples[0], beat, atol=1e-4)


@pytest.mark.parametrize("write", [lambda v: f"{v:,.3f}", lambda v: f'"{v:,.3f}"', lambda v: f"{v:,.3f}".translate(
    str.maketrans(",.", ".,"))], ids=["english", "quoted", "german"])  # fmt: skip
def test_thousands_are_set_apart(beat, write):
    text = "".join(write(2000 * value) + "\n" for value in beat)
    assert np.allclose(read_ecg(text.encode(), rate_hz=250, unit="uV").samples[0], 2 * beat, atol=1e-5)


def test_decimal_commas_within_quotes(beat):
    rows = [f'"{i / RATE:.3f}","{value:.4f}"'.replace(".", ",") for i, value in enumerate(beat)]
    ecg = read_ecg(("time_s,ecg_mV\n" + "\n".join(rows)).encode())
    assert ecg.rate_hz == 250 and np.allclose(ecg.samples[0], beat, atol=1e-4)


def test_a_watch_file_of_another_length_says_so(beat):
    text = "Name,X\nBorn,\nRecorded Date,2026-01-02 08:00:00 +0000\nClass,\nSample Rate,512 hertz\n\nUnit,mV\n\n"
    text += "".join(f"{value:.4f}\n" for value in np.tile(beat, 2))
    told = read_ecg(text.encode()).provenance
    assert "30 s" in told["length"] and told["recorded"] == "2026-01-02T08:00:00+00:00"


def test_a_clock_without_a_step_gives_no_rate():
    rows = "time_s,ecg_mV\n" + "".join(f"5,{i % 7}\n" for i in range(500))
    with pytest.raises(InputError):
        read_ecg(rows.encode())
