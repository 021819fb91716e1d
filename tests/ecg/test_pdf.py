"""PDF pages: the lines of a trace become its samples again; what is no trace, or too much, is refused."""

import zlib

import numpy as np
import pytest

from echopulse.ecg.readers import Source, Wanted
from echopulse.ecg.readers.pdf import PDF
from echopulse.errors import InputError

MM = 72 / 25.4
RATE = 512.0
WAVE = np.random.default_rng(2).normal(0, 0.01, int(6 * RATE)) + np.sin(np.arange(6 * RATE) / 60) ** 15


def pdf(content, *, resources="<< >>", more=(), packed=False, catalogue=""):
    """A document of one page; `more` are further objects, from number 5 on."""
    data = content if isinstance(content, bytes) else content.encode("latin-1")
    stream = zlib.compress(data) if packed else data
    filters = "/Filter /FlateDecode " if packed else ""
    objects = [
        f"<< /Type /Catalog /Pages 2 0 R {catalogue}>>".encode(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 792 612] /Contents 4 0 R /Resources {resources} >>".encode(),
        f"<< {filters}/Length {len(stream)} >> stream\n".encode() + stream + b"\nendstream",
        *more,
    ]
    out, places = b"%PDF-1.4\n", []
    for number, item in enumerate(objects, start=1):
        places.append(len(out))
        out += f"{number} 0 obj\n".encode() + item + b"\nendobj\n"
    table = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n" + "".join(
        f"{place:010d} 00000 n \n" for place in places
    )
    trailer = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    return out + (table + trailer).encode()


def form(content, entries=""):
    return f"<< /Type /XObject /Subtype /Form {entries} /Length {len(content)} >> stream\n{content}\nendstream".encode()


def grid(left, bottom, width, height, mm=MM):
    lines = [
        f"{left + i * mm:.3f} {bottom} m {left + i * mm:.3f} {bottom + height} l S" for i in range(int(width / mm))
    ]
    return "\n".join(lines)


def line(x, y):
    points = [f"{a:.4f} {b:.4f}" for a, b in zip(x, y, strict=True)]
    return points[0] + " m " + " l ".join(points[1:]) + " l S"


def rows(wave=WAVE, *, row_s=2.0, mm=MM, chunk=100, skipped=0, rate=RATE, clip=True):
    """The wave in rows below each other, as polylines of `chunk` points that share their ends."""
    out, count = [], int(row_s * rate)
    step = 25 * mm / rate
    for row in range(len(wave) // count):
        height, left = 500 - 100 * row, 40
        part = wave[row * count : (row + 1) * count + 1]
        first = skipped if row == 0 else 0
        x, y = left + np.arange(len(part)) * step, height + 42.5 + part * 10 * mm
        out.append(grid(left, height, row_s * 25 * mm, 85, mm))
        out.append("q" + (f" {left} {height} {row_s * 25 * mm:.3f} 85 re W n" if clip else ""))
        for at in range(first, len(part) - 1, chunk):
            out.append(line(x[at : at + chunk + 1], y[at : at + chunk + 1]))
        out.append("Q")
    return "\n".join(out)


def read(data, **wanted):
    source = Source("a.pdf", given=data)
    assert PDF.recognises(source)
    return PDF.read(source, Wanted(**wanted))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("chunk", [1, 100])
def test_the_points_of_the_rows_are_the_samples(packed, chunk):
    ecg = read(pdf(rows(chunk=chunk), packed=packed))
    assert ecg.rate_hz == 512 and ecg.leads == ("I",) and ecg.samples.shape == (1, len(WAVE))
    np.testing.assert_allclose(ecg.samples[0], WAVE, atol=1e-4)
    assert "3 rows" in ecg.provenance["rows"] and "assumed" in ecg.provenance["rate"]


def test_a_row_that_begins_late_keeps_its_time():
    ecg = read(pdf(rows(skipped=180)))
    assert ecg.start_s == pytest.approx(180 / 512) and "calibration" in ecg.provenance["start"]
    np.testing.assert_allclose(ecg.samples[0], WAVE[180:], atol=1e-4)


def test_a_grid_behind_the_whole_page_and_a_line_a_sample():
    wave, step = WAVE[:2000], 25 * MM / 500
    parts = [grid(40, 20, 400, 560)]
    for row in range(2):
        x, y = 40 + np.arange(1000) * step, 450 - 150 * row + wave[row * 1000 : row * 1000 + 1000] * 10 * MM
        parts += [f"{x[i]:.4f} {y[i]:.4f} m {x[i + 1]:.4f} {y[i + 1]:.4f} l S" for i in range(999)]
    ecg = read(pdf("\n".join(parts)), unit="uv")
    assert ecg.rate_hz == 500 and ecg.samples.shape == (1, 2000) and "no zero" in ecg.provenance["zero"]
    assert "does not apply" in ecg.provenance["unit"]
    drawn = np.concatenate([part - np.median(part) for part in wave.reshape(2, 1000)])
    np.testing.assert_allclose(ecg.samples[0], drawn, atol=1e-4)


def test_a_scaled_page_is_measured_by_its_grid():
    ecg = read(pdf(rows(mm=1.7)))
    assert ecg.rate_hz == pytest.approx(512, rel=1e-3) and "scaled grid" in ecg.provenance["rate"]
    np.testing.assert_allclose(ecg.samples[0], WAVE, atol=2e-3)


def test_matrices_and_forms_are_followed():
    resources = "<< /XObject << /Trace 5 0 R >> >>"
    data = pdf(
        "q 1 0 0 -1 0 612 cm /Trace Do Q", resources=resources, more=[form(rows(-WAVE), "/Matrix [1 0 0 1 0 -4]")]
    )
    ecg = read(data)
    drawn = -WAVE.reshape(3, -1)[::-1].ravel()  # upside down: the lowest row is now the first
    np.testing.assert_allclose(ecg.samples[0][:1024], -drawn[:1024], atol=1e-4)


def test_words_on_the_page_name_the_scale_and_the_lead():
    font = "<< /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
    words = "BT /F1 10 Tf 40 20 Td (25 mm/s, 20 mm/mV, Lead II) Tj ET"
    ecg = read(pdf(rows() + "\n" + words, resources=font))
    assert ecg.leads == ("II",) and "as the page says" in ecg.provenance["rate"]
    np.testing.assert_allclose(ecg.samples[0], WAVE / 2, atol=1e-4)
    with pytest.raises(InputError, match="several leads"):
        read(pdf(rows() + "\n" + words.replace("Lead II", "aVR aVL V1"), resources=font))


def test_a_given_rate_wins():
    ecg = read(pdf(rows()), rate_hz=500)
    assert ecg.rate_hz == 500 and "as given" in ecg.provenance["rate"]


def nested(levels):
    """Forms that each call the next one."""
    forms = [form("/F Do", f"/Resources << /XObject << /F {6 + i} 0 R >> >>") for i in range(levels)] + [
        form("0 0 m 1 1 l S")
    ]
    return pdf("/F Do", resources="<< /XObject << /F 5 0 R >> >>", more=forms)


def test_more_lines_than_an_ecg_needs_are_refused(monkeypatch):
    monkeypatch.setattr("echopulse.ecg.readers.pdf_paths.MOST_LINES", 100)
    with pytest.raises(InputError, match="100 lines, more than any ECG needs"):
        read(pdf("0 0 m 1 1 l S " * 101))


def test_a_form_that_calls_itself_ends():
    own = form("/F Do", "/Resources << /XObject << /F 5 0 R >> >>")
    with pytest.raises(InputError, match="nested too deep"):
        read(pdf("/F Do", resources="<< /XObject << /F 5 0 R >> >>", more=[own]))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (pdf("BT (words only) Tj ET"), "without an ECG"),
        (pdf(grid(40, 40, 400, 85)), "without an ECG"),
        (pdf(b" " * 20_000_000, packed=True), "unpacks to more than"),
        (pdf("q " * 2000), "nested too deep"),
        (nested(12), "nested too deep"),
        (b"%PDF-1.4\nnothing", "damaged"),
        (pdf(rows())[:9000], "a.pdf"),
    ],
)
def test_what_holds_no_ecg_or_too_much_is_refused(data, words):
    with pytest.raises(InputError, match=words) as caught:
        read(data)
    assert str(caught.value).startswith("a.pdf: ")
