import gzip
import io
import json
import zipfile

import numpy as np
import pytest

from echopulse.ecg import list_ecg_files, read_ecg
from echopulse.errors import InputError

RATE = 250


@pytest.fixture
def beat(heart):
    """Four seconds in mV, [n] at 250 Hz."""
    return heart(np.arange(0.5, 4, 0.8), 4, RATE).samples[0].astype(np.float64)


def document(value):
    return json.dumps(value).encode()


def same(ecg, millivolts, within=0.002):
    assert ecg.samples.shape[-1] == len(millivolts)
    assert np.allclose(ecg.samples[0], millivolts, atol=within)


# Fitbit and Pixel


def takeout(beat, separator=" ", quote=""):
    samples = separator.join(str(round(10922 * value)) for value in beat)
    head = "reading_id,reading_time,result_classification,heart_rate,hardware_version,waveform_samples\n"
    return (head + f"1,Thu Oct 08 07:15:06 UTC 2025,NSR,72,Sense,{quote}[{samples}]{quote}\n").encode()


@pytest.mark.parametrize(("separator", "quote"), [(" ", ""), (", ", '"'), (",", "")])
def test_a_takeout_reading_has_the_usual_rate_and_scale_and_says_so(beat, separator, quote):
    ecg = read_ecg(takeout(beat, separator, quote))
    same(ecg, beat)
    assert ecg.rate_hz == 250 and ecg.leads == ("I",) and "assumed" in ecg.provenance["rate"]
    assert "10922" in ecg.provenance["unit"] and ecg.provenance["recorded"] == "2025-10-08T07:15:06+00:00"
    assert [note.text for note in ecg.notes] == ["NSR"]


def test_what_is_given_wins_over_the_assumptions(beat):
    ecg = read_ecg(takeout(beat), rate_hz=500, unit="uV")
    assert ecg.rate_hz == 500 and ecg.samples.max() == pytest.approx(10.922 * beat.max(), rel=1e-3)
    assert "as given" in ecg.provenance["rate"] and "as given" in ecg.provenance["unit"]


def test_the_newest_reading_of_a_web_answer_is_read_and_the_others_are_named(beat):
    def reading(day, scale):
        samples = [round(scale * value) for value in beat]
        return {
            "startTime": f"2025-09-{day}T17:12:30.222", "samplingFrequencyHz": "250", "scalingFactor": scale,
            "waveformSamples": samples,
        }  # fmt: skip

    data = document({"ecgReadings": [reading(28, 5000), reading(27, 8000)]})
    ecg = read_ecg(data)
    same(ecg, beat)
    assert "5000 to the millivolt" in ecg.provenance["unit"] and "2025-09-27" in ecg.provenance["several"]
    assert "8000" in read_ecg(data, member="2").provenance["unit"]
    with pytest.raises(InputError, match="no ECG '7' in it; there are 1"):
        read_ecg(data, member="7")


def test_google_health_names_its_fields_otherwise(beat):
    fields = {"sampling_frequency_hertz": 250, "millivolts_scaling_factor": 1000}
    point = {"electrocardiogram": {**fields, "waveform_samples": [round(1000 * value) for value in beat]}}
    same(read_ecg(document({"data_points": [point]})), beat)


# Withings, HealthKit, plain objects


@pytest.mark.parametrize(("count", "hertz"), [(9000, 300), (10000, 500)])
def test_the_count_of_samples_tells_the_rate_of_withings(count, hertz):
    signal = np.round(1000 * np.sin(np.arange(count) / 50)).tolist()
    ecg = read_ecg(document({"status": 0, "body": {"signal": signal, "wearposition": 1}}))
    assert ecg.rate_hz == hertz and ecg.samples.max() == pytest.approx(1, abs=0.01)


def test_healthkit_pairs_are_seconds_and_volts(beat):
    pairs = [[i / RATE, value / 1000] for i, value in enumerate(beat)]
    ecg = read_ecg(document({"voltageMeasurements": pairs, "classification": "SinusRhythm"}))
    same(ecg, beat)
    assert ecg.rate_hz == pytest.approx(250) and ecg.leads == ("I",)


def test_healthkit_objects_name_their_unit(beat):
    items = [{"timeSinceSampleStart": i / RATE, "microVolts": 1000 * value} for i, value in enumerate(beat)]
    same(read_ecg(document([{"samplingFrequency": 250, "voltageMeasurements": items}])), beat)


def test_an_object_of_leads(beat):
    ecg = read_ecg(document({"fs": 250, "unit": "mV", "I": beat.tolist(), "aVR": (-beat).tolist()}))
    assert ecg.leads == ("I", "aVR") and ecg.rate_hz == 250
    same(ecg, beat)


# FHIR


def sampled(beat, **changes):
    data = " ".join(str(round(1000 * value)) for value in beat)
    origin = {"value": 5, "unit": "\u00b5V", "code": "uV"}
    return {"origin": origin, "period": 4, "factor": 1, "dimensions": 1, "data": data, **changes}


@pytest.mark.parametrize(
    "step", [{"period": 4}, {"interval": 4, "intervalUnit": "ms"}, {"interval": 0.004, "intervalUnit": "s"}]
)
def test_the_steps_of_both_releases_are_understood(beat, step):
    ecg = read_ecg(document({"resourceType": "Observation", "valueSampledData": sampled(beat, **step)}))
    assert ecg.rate_hz == pytest.approx(250)
    same(ecg, beat + 0.005)


def test_components_are_leads_by_code_or_words(beat):
    codes = ({"code": "131329"}, {"code": "x", "display": "MDC_ECG_ELEC_POTL_AVR"}, {"display": "Lead V2"})
    parts = [{"code": {"coding": [code]}, "valueSampledData": sampled(beat)} for code in codes]
    when = "2023-03-21T23:16:00+10:00"
    observation = {"resourceType": "Observation", "component": parts, "effectiveDateTime": when}
    ecg = read_ecg(document({"resourceType": "Bundle", "entry": [{"resource": observation}]}))
    assert ecg.leads == ("I", "aVR", "V2") and ecg.provenance["recorded"] == when


def test_errors_are_gaps_and_values_beyond_the_limits_are_the_limits(beat):
    words = sampled(beat)["data"].split()
    words[10], words[20], words[30] = "E", "U", "L"
    changes = {"data": " ".join(words), "upperLimit": 1500, "lowerLimit": -1500}
    ecg = read_ecg(document({"resourceType": "Observation", "valueSampledData": sampled(beat, **changes)}))
    assert np.isnan(ecg.samples[0, 10]) and ecg.samples[0, [20, 30]] == pytest.approx([1.505, -1.495])
    assert "errors" in ecg.provenance and "limits" in ecg.provenance


def test_the_count_is_preferred_over_a_rounded_interval(beat):
    when = {"start": "2023-03-21T10:00:00Z", "end": "2023-03-21T10:00:04Z"}
    data = sampled(beat, period=4.02)
    observation = {"resourceType": "Observation", "effectivePeriod": when, "valueSampledData": data}
    assert read_ecg(document(observation)).rate_hz == pytest.approx(250)


# JSON that is no ECG


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"heart_rate": [60, 61, 62]}', "heart rates"),
        (b'{"steps": [1, 2, 3]}', "without an ECG"),
        (b'{"signal": [1, 2', "broken or cut"),
        (b"[" * 100000, "nested deeper"),
        (b'{"a":' * 80 + b"1" + b"}" * 80, "nested deeper"),
        (b"[" + b"[]," * 500_000 + b"[]]", "lists and objects"),
    ],
)
def test_json_without_an_ecg_is_refused(data, words):
    with pytest.raises(InputError, match=f"x.json: .*{words}"):
        read_ecg(data, name="x.json")


# Polar and Samsung


def test_a_strap_is_read_on_its_own_clock(beat):
    first, rows = 599626023839800192, ["Phone timestamp;sensor timestamp [ns];timestamp [ms];ecg [uV]"]
    whole = np.tile(beat, 3)
    for i, value in enumerate(whole):
        rows.append(f"2026-06-01T21:17:09.0;{first + round(i * 1e9 / 130.06)};{i * 7.7:.7E};{round(1000 * value)}")
    ecg = read_ecg("\r\n".join(rows).encode())
    assert ecg.rate_hz == pytest.approx(130.06, abs=0.01) and ecg.provenance["recorded"] == "2026-06-01T21:17:09"
    same(ecg, whole)


@pytest.mark.parametrize("columns", ["HR [bpm];RR-interval [ms]", "X [mg];Y [mg];Z [mg]"])
def test_other_streams_of_a_strap_are_refused_by_name(columns):
    text = f"Phone timestamp;sensor timestamp [ns];{columns}\n" + "2026-06-01T21:17:09.0;0;61;900\n" * 50
    with pytest.raises(InputError, match=r"Polar Sensor Logger file of .*\[.*_ECG"):
        read_ecg(text.encode())


def test_a_bare_column_of_whole_numbers_suggests_the_rate_of_a_strap(beat):
    data = "".join(f"{round(1000 * value)}\r\n" for value in beat).encode()
    with pytest.raises(InputError, match="--rate 130"):
        read_ecg(data)
    same(read_ecg(data, rate_hz=130), beat)


def test_intervals_between_beats_are_refused_by_name(tmp_path):
    (tmp_path / "polar_RR.txt").write_text("".join(f"{800 + i % 50}\n" for i in range(400)))
    rows = b"".join(b"%d,%d\n" % (i, 800 + i % 9) for i in range(400))
    for data in (tmp_path / "polar_RR.txt", b"time,RR [ms]\n" + rows):
        with pytest.raises(InputError, match="heart rates or intervals"):
            read_ecg(data, rate_hz=250)


def test_samsung_says_where_the_trace_is():
    with pytest.raises(InputError, match=r"files/com\.samsung\.health\.ecg/<uuid>\.data\.pdf"):
        read_ecg(b"com.samsung.health.ecg,6331050,1\nmean_heart_rate,sample_frequency,sample_count,\n61,500,15000,\n")


# Archives


def watch(day, beat):
    head = f"Name,X\nDate of Birth,\nRecorded Date,{day} 08:00:00 +0000\nClassification,\n"
    head += "Sample Rate,250 hertz\n\nUnit,\u00b5V\n\n"
    return (head + "".join(f"{1000 * value:.3f}\n" for value in beat)).encode()


def packed(members, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def export(beat):
    folder = "apple_health_export/electrocardiograms/ecg_"
    return packed({
        "apple_health_export/export.xml": b"<HealthData/>", folder + "2026-01-03.csv": watch("2026-01-03", 2 * beat),
        folder + "2026-01-01.csv": watch("2026-01-01", beat), folder + "2026-01-02.csv": watch("2026-01-02", beat),
    })  # fmt: skip


def test_the_newest_ecg_of_a_health_export_is_read_and_the_others_are_named(beat, tmp_path):
    ecg = read_ecg(export(beat))
    same(ecg, 2 * beat)
    assert "2026-01-03.csv, the newest" in ecg.provenance["member"] and "2026-01-01.csv" in ecg.provenance["member"]
    same(read_ecg(export(beat), member="ecg_2026-01-02.csv"), beat)
    with pytest.raises(InputError, match=r"no file 'x.csv' in the archive; its ECGs are .*01-03"):
        read_ecg(export(beat), member="x.csv")
    (tmp_path / "export.zip").write_bytes(export(beat))
    assert list_ecg_files(tmp_path) == [tmp_path / "export.zip"]
    same(read_ecg(tmp_path / "export.zip"), 2 * beat)
    assert [path.name for path in tmp_path.rglob("*")] == ["export.zip"]


def test_members_that_name_other_folders_are_read_from_memory(beat, tmp_path):
    path = tmp_path / "a" / "evil.zip"
    path.parent.mkdir()
    path.write_bytes(packed({"../../up.csv": watch("2026-01-01", beat), "__MACOSX/._up.csv": b"\0\5\26\7"}))
    same(read_ecg(path), beat)
    assert sorted(tmp_path.rglob("*")) == [path.parent, path]


def test_bombs_are_refused_before_they_are_unpacked():
    for data in (packed({"bomb.csv": b"0\n" * 20_000_000}), gzip.compress(b"0\n" * 20_000_000)):
        with pytest.raises(InputError, match="it unpacks to more than"):
            read_ecg(data, rate_hz=250)


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: packed({"one.json": data})])
def test_one_file_in_an_archive(beat, pack):
    same(read_ecg(pack(document({"ecg": beat.tolist(), "fs": 250}))), beat)


def test_archives_without_an_ecg_are_refused(beat):
    for data, words in (
        (packed({}), "empty"), (packed({"r.hea": b"r 1 250 5\n"}), "WFDB"), (packed({"xl/a.xml": b"<a/>"}), "Excel"),
        (export(beat)[:-40], "broken or cut"), (gzip.compress(watch("2026-01-01", beat))[:-40], "broken or cut"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            read_ecg(data)
