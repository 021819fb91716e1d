"""Pictures of ECG strips: drawn here, so that what they say is known to the millisecond and the millivolt."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from echopulse.ecg.readers import Source, Wanted
from echopulse.ecg.readers.pdf import PDF
from echopulse.ecg.readers.picture import PICTURE
from echopulse.errors import InputError

RATE = 500.0


def heart(seconds=4.0, bpm=72.0, seed=3):
    """float64 [n] at RATE: P, QRS and T waves, and the times of the R peaks; intervals vary a little."""
    rng = np.random.default_rng(seed)
    times = np.arange(int(seconds * RATE)) / RATE
    beats, at = [], 0.4
    while at < seconds - 0.4:
        beats.append(at)
        at += 60 / bpm * rng.uniform(0.9, 1.1)
    wave = 0.03 * np.sin(2 * np.pi * 0.25 * times)
    parts = ((-0.16, 0.12, 0.025), (-0.028, -0.12, 0.009), (0, 1.1, 0.011), (0.03, -0.25, 0.010), (0.27, 0.3, 0.05))
    for beat in beats:
        for delay, size, width in parts:
            wave = wave + size * np.exp(-0.5 * ((times - beat - delay) / width) ** 2)
    return wave, np.array(beats)


def strip(
    wave,
    pixels_per_mm=8.0,
    *,
    height_mm=40.0,
    pink=True,
    thin=True,
    bold=True,
    trace=(25, 25, 35),
    turned=0.0,
    margin_mm=6.0,
    rows=1,
):
    """A picture of Pillow's: grid and trace at 25 mm/s and 10 mm/mV, drawn four times as large and made smaller."""
    scale = 4 * pixels_per_mm
    width_mm = len(wave) / RATE * 25 + 2 * margin_mm
    size = int(width_mm * scale), int(height_mm * rows * scale)
    picture = Image.new("RGB", size, (255, 252, 250))
    draw = ImageDraw.Draw(picture)
    light, dark = ((250, 200, 200), (235, 140, 140)) if pink else ((215, 215, 215), (170, 170, 170))
    for along, other in ((0, 1), (1, 0)):
        for i in range(int(size[along] / scale) + 1):
            strong = i % 5 == 0
            if not (strong if not thin else True):
                continue
            place = i * scale
            ends = [(place, 0), (place, size[other])] if along == 0 else [(0, place), (size[other], place)]
            draw.line(ends, fill=dark if strong and bold else light, width=max(2, int(scale * 0.12)))
    x = (margin_mm + np.arange(len(wave)) / RATE * 25) * scale
    for row in range(rows):
        y = (height_mm * (row + 0.6) - wave * 10) * scale
        draw.line(list(zip(x.tolist(), y.tolist(), strict=True)), fill=trace, width=int(0.35 * scale), joint="curve")
    picture = picture.resize((size[0] // 4, size[1] // 4), Image.Resampling.BOX)
    if turned:
        picture = picture.rotate(turned, Image.Resampling.BICUBIC, expand=True, fillcolor=(255, 252, 250))
    return picture


def photographed(picture, noise=6.0, shade=0.25, blur=0.6, seed=1):
    """The same as a phone sees it: a shadow, some blur and grain."""
    rng = np.random.default_rng(seed)
    pixels = np.asarray(picture.filter(ImageFilter.GaussianBlur(blur)), float)
    shadow = np.linspace(0.4, 1, len(pixels))[:, None] * np.linspace(0, shade, pixels.shape[1])
    pixels = pixels * (1 - shadow)[..., None] + rng.normal(0, noise, pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def saved(picture, kind="PNG", **options):
    out = BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def read(data, reader=PICTURE, **wanted):
    source = Source("strip", given=data)
    assert reader.recognises(source)
    return reader.read(source, Wanted(**wanted))


def errors(ecg, wave):
    """How far what was read lies from what was drawn: ms of the R peaks (largest), root mean square mV.

    Where in the picture the strip lies is not part of the ECG: the delay that fits best is taken, and the level.
    """
    best = None
    times, drawn_times = np.arange(ecg.samples.shape[1]) / ecg.rate_hz, np.arange(len(wave)) / RATE
    for delay in np.arange(-0.1, 0.1, 0.001):
        inside = (times + delay > 0) & (times + delay < drawn_times[-1])
        gap = ecg.samples[0][inside] - np.interp(times[inside] + delay, drawn_times, wave)
        size = float(np.std(gap))
        if best is None or size < best[1]:
            best = (delay, size)
    late = []
    for i in range(50, len(wave) - 50):
        if wave[i] > 0.8 and wave[i] == wave[i - 50 : i + 50].max():
            near = np.abs(times + best[0] - i / RATE) < 0.05
            late.append(times[near][np.argmax(ecg.samples[0][near])] + best[0] - i / RATE)
    return 1000 * max(np.abs(late)), best[1]


def confidence(ecg):
    return float(ecg.provenance["format"].split("confidence ")[1].split(":")[0])


WAVE, BEATS = heart()


@pytest.mark.parametrize("turned", [-4.0, 0.0, 2.5])
def test_a_scan_is_traced_to_a_pixel(turned):
    ecg = read(saved(strip(WAVE, turned=turned)))
    assert ecg.rate_hz == pytest.approx(200, rel=1e-3) and ecg.leads == ("ECG",)
    late_ms, millivolts = errors(ecg, WAVE)
    assert late_ms < 6 and millivolts < 0.03  # a pixel is 5 ms and 0.0125 mV
    assert np.ptp(ecg.samples) == pytest.approx(np.ptp(WAVE), abs=0.03)
    assert confidence(ecg) > 0.9
    assert "assumed" in ecg.provenance["rate"] and "assumed" in ecg.provenance["unit"]


def test_a_photo_is_traced_and_a_bad_one_is_trusted_less():
    good = read(saved(photographed(strip(WAVE, 6, turned=2)), "JPEG", quality=70))
    late_ms, millivolts = errors(good, WAVE)
    assert late_ms < 8 and millivolts < 0.04 and confidence(good) > 0.85
    bad = read(saved(photographed(strip(WAVE, 5, turned=-3), noise=25, blur=1.2), "JPEG", quality=30))
    late_ms, millivolts = errors(bad, WAVE)
    assert late_ms < 20 and millivolts < 0.1
    assert 0 < confidence(bad) < 0.75 and "faint" in bad.provenance["format"]


@pytest.mark.parametrize(
    "look",
    [{"pink": False}, {"pink": False, "trace": (205, 10, 32)}, {"pixels_per_mm": 5.3}, {"thin": False}],
)
def test_grids_and_inks_of_other_kinds(look):
    late_ms, millivolts = errors(read(saved(strip(WAVE, **look))), WAVE)
    assert late_ms < 8 and millivolts < 0.04


def test_without_a_bold_line_the_millimetre_is_a_guess():
    ecg = read(saved(strip(WAVE, bold=False)))
    assert "guess" in ecg.provenance["format"] and confidence(ecg) < 0.8
    assert errors(ecg, WAVE)[0] < 6


@pytest.mark.parametrize("gain", [0.5, 1.0, 2.0])
def test_a_calibration_pulse_sets_the_gain_and_is_left_out(gain):
    pulse = np.repeat([0.0, 1.0, 0.0], [60, 100, 60])
    ecg = read(saved(strip(np.concatenate((pulse, WAVE)) * gain, height_mm=60)))
    assert f"{10 * gain:g} mm each: as the calibration pulse shows" in ecg.provenance["unit"]
    late_ms, millivolts = errors(ecg, np.concatenate((np.zeros(20), WAVE)))
    assert late_ms < 8 and millivolts < 0.04 and ecg.duration_s == pytest.approx(4.1, abs=0.1)


def test_paper_on_a_dark_table_is_found():
    table = Image.new("RGB", (1200, 700), (60, 40, 30))
    table.paste(strip(WAVE, 7), (120, 180))
    late_ms, millivolts = errors(read(saved(table)), WAVE)
    assert late_ms < 8 and millivolts < 0.04


def test_a_given_rate_wins():
    ecg = read(saved(strip(WAVE, 6)), rate_hz=300)
    assert ecg.rate_hz == 300 and "as given" in ecg.provenance["rate"]


def test_phones_turn_pictures_by_a_tag_and_scanners_have_sixteen_bits():
    picture = strip(WAVE, 6)
    tagged = picture.transpose(Image.Transpose.ROTATE_90)
    exif = tagged.getexif()
    exif[0x0112] = 6  # to be shown turned by a quarter
    grey = Image.fromarray(np.asarray(picture.convert("L"), np.uint16) * 257)
    for data in (saved(tagged, "JPEG", quality=90, exif=exif), saved(grey), saved(picture.quantize(64))):
        late_ms, millivolts = errors(read(data), WAVE)
        assert late_ms < 8 and millivolts < 0.04


def test_a_scan_in_a_pdf_is_traced():
    ecg = read(saved(strip(WAVE), "PDF"), PDF)
    late_ms, millivolts = errors(ecg, WAVE)
    assert late_ms < 8 and millivolts < 0.04 and "scan in a PDF" in ecg.provenance["format"]


def noise_picture():
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 400, 3)).astype(np.uint8))


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (noise_picture, "without the"),
        (lambda: Image.new("RGB", (400, 300), "white"), "without the"),
        (lambda: Image.new("L", (400, 30)), "too small"),
        (lambda: strip(WAVE * 0, 6, trace=(250, 200, 200)), "no trace"),
        (lambda: strip(WAVE[:700], 6), "no trace of 2 s"),
        (lambda: strip(WAVE, 5, rows=2), "several strips"),
    ],
)
def test_what_holds_no_single_ecg_is_refused_in_one_sentence(picture, words):
    with pytest.raises(InputError, match=words) as caught:
        read(saved(picture()))
    assert str(caught.value).startswith("strip: a picture") and str(caught.value).count(". ") == 0


def test_a_picture_that_claims_too_much_or_is_cut_is_refused():
    data = saved(Image.new("L", (400, 300)))
    huge = data[:16] + (60_000).to_bytes(4, "big") * 2 + data[24:]
    for broken in (huge, data[:60], b"\xff\xd8\xff" + b"\0" * 50):
        with pytest.raises(InputError, match="strip: "):
            read(broken)
