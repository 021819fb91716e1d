"""HL7 aECG documents, made here: the clock, the scale, the series that counts, and what is refused."""

import numpy as np
import pytest

from echopulse.ecg import read_ecg
from echopulse.errors import InputError

HEAD, LONG_AGO = "20210510131518.250", "19210510131518.250"


def beats(n=1500, seed=0):
    return (200 * np.sin(np.arange(n) / 30) ** 15 + np.random.default_rng(seed).integers(-5, 5, n)).astype(int)


def sequence(code, value):
    return f'<component><sequence><code code="{code}"/><value>{value}</value></sequence></component>'


def lead(name, counts, scale="2.5", unit="uV", origin="0"):
    digits = " ".join(str(count) for count in counts)
    value = f'<origin value="{origin}" unit="{unit}"/><scale value="{scale}" unit="{unit}"/><digits>{digits}</digits>'
    return sequence(f"MDC_ECG_LEAD_{name}", value)


def clock(step="0.002", unit="s", head=HEAD):
    return sequence("TIME_ABSOLUTE", f'<head value="{head}"/><increment value="{step}" unit="{unit}"/>')


def sequences(*parts):
    return f"<component><sequenceSet>{''.join(parts)}</sequenceSet></component>"


def series(*parts, code="RHYTHM", tag="series"):
    return f'<{tag}><code code="{code}"/>{"".join(parts)}</{tag}>'


def document(*several):
    body = "".join(f"<component>{one}</component>" for one in several)
    return f'<?xml version="1.0"?><AnnotatedECG xmlns="urn:hl7-org:v3">{body}</AnnotatedECG>'.encode()


@pytest.mark.parametrize(("step", "unit", "rate"), [("0.01", "s", 100), ("2", "ms", 500), ("1000", "us", 1000)])
def test_the_increment_gives_the_rate(step, unit, rate):
    ecg = read_ecg(document(series(sequences(clock(step, unit), lead("II", beats(2500))))))
    assert ecg.rate_hz == rate and ecg.leads == ("II",)
    assert np.allclose(ecg.samples[0], beats(2500) * 0.0025)
    assert ecg.provenance["recorded"] == "2021-05-10 13:15:18.250"


def test_origin_and_scale_in_their_units():
    ecg = read_ecg(document(series(sequences(clock(), lead("AVR", beats(), "0.002", "mV", origin="0.5")))))
    assert ecg.leads == ("aVR",) and np.allclose(ecg.samples[0], beats() * 0.002 + 0.5)


def test_what_the_user_says_wins():
    data = document(series(sequences(clock(), lead("I", beats()))))
    ecg = read_ecg(data, rate_hz=250, unit="mV")
    assert ecg.rate_hz == 250 and np.allclose(ecg.samples[0], beats() * 2.5)
    assert "as given" in ecg.provenance["rate"] and "as given" in ecg.provenance["unit"]


def test_representative_beats_are_no_rhythm():
    beat = sequences(clock(), lead("V1", beats(4000)))
    inside = f"<derivation>{series(beat, code='REPRESENTATIVE_BEAT', tag='derivedSeries')}</derivation>"
    rhythm = series(sequences(clock(), lead("II", beats())), inside)
    ecg = read_ecg(document(series(beat, code="REPRESENTATIVE_BEAT"), rhythm))
    assert ecg.leads == ("II",) and ecg.samples.shape == (1, 1500)
    with pytest.raises(InputError, match="representative beat only"):
        read_ecg(document(series(beat, code="REPRESENTATIVE_BEAT")))


def test_sets_that_follow_one_another_share_a_clock():
    first = sequences(clock(), lead("I", beats()), lead("II", beats(seed=1)))
    second = sequences(clock(head="20210510131521.250"), lead("V1", beats(seed=2)))
    ecg = read_ecg(document(series(first, second)))
    assert ecg.leads == ("I", "II", "V1") and ecg.samples.shape == (3, 3000)
    assert np.isnan(ecg.samples[2, :1500]).all() and np.allclose(ecg.samples[2, 1500:], beats(seed=2) * 0.0025)
    assert np.isnan(ecg.samples[0, 1500:]).all()


def annotation(code, low, high, rest=""):
    ends = f'<value><low value="{low}"/><high value="{high}"/></value>'
    return (
        f'<component><annotation><code code="MDC_ECG_WAVC"/><value code="{code}"/><support><supportingROI><component>'
        f"<boundary>{ends}</boundary></component></supportingROI></support>{rest}</annotation></component>"
    )


def test_annotations_become_notes_on_the_clock_of_the_recording():
    noted = annotation("MDC_ECG_WAVC_QRSWAVE", "20210510131519.250", "20210510131519.350")
    noted += annotation("MDC_ECG_BEAT_NORMAL", "20210510131518.500", "20210510131518.600")
    noted += annotation("MDC_ECG_WAVC_PWAVE", "20210510131418.500", "20210510131418.600")  # a minute before the start
    notes = f"<subjectOf><annotationSet>{noted}</annotationSet></subjectOf>"
    ecg = read_ecg(document(series(sequences(clock(), lead("II", beats())), notes)))
    assert [(note.time_s, note.text) for note in ecg.notes] == [
        (0.25, "beat normal"), (1.0, "QRS onset"), (1.1, "QRS end"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (document(), "holds no series"),
        (document(series()), "no lead .* has samples"),
        (document(series(sequences(clock(), lead("II", [])))), "no lead .* has samples"),
        (document(series(sequences(clock(), lead("II", beats(13))))), "0.0 s of ECG"),
        (document(series(sequences(lead("II", beats())))), "no usable increment"),
        (document(series(sequences(clock("0"), lead("II", beats())))), "no usable increment"),
        (document(series(sequences(clock("1e-300"), lead("II", beats())))), "no usable increment"),
        (document(series(sequences(clock(), lead("II", ["x", *beats()])))), "no list of numbers"),
        (document(series(*(sequences(clock(head=head), lead("I", beats())) for head in (HEAD, LONG_AGO)))), "at most"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_sentence(data, words):
    with pytest.raises(InputError, match=r"^the ECG: .*" + words):
        read_ecg(data)
