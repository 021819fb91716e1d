"""From what was measured on drawn hearts to figures with bars. Pure: samples in, rows out.

The bars are the phantom's acceptance figures. Where a bar is meant for every heart it is put on the 95th or 99th
percentile or on the largest value, as the words say, so that a good median cannot hide bad hearts.
"""

from __future__ import annotations

import math

import numpy as np

from echopulse.evaluate.phantom.hearts import RATES, Arrays
from echopulse.evaluate.phantom.image import reference_distance
from echopulse.evaluate.phantom.information import distance_from_even, explained
from echopulse.evaluate.phantom.rows import Row, Sheet, finite
from echopulse.evaluate.phantom.speckle import envelope_ratio, envelope_spread_db
from echopulse.phantom.types import RHYTHMS

FRAME_MS = 1000 / 30
NORMAL_EF = 0.55
EVEN = (0.15, 0.75)  # over which the prior uniform spreads EF


def volume_rows(study: Arrays, round_hearts: Arrays) -> list[Row]:
    """Simpson's rule on the masks against the exact volume."""
    sheet = Sheet("physics")
    size, ef, regional = 100 * study["biplane"], np.abs(study["ef"]), study["regional"]
    words = "|biplane Simpson of the A4C and A2C masks - truth|, all hearts, planes on the axis"
    sheet.percentile(50, "volume.biplane.median", words, size, "%")
    sheet.percentile(95, "volume.biplane.p95", words, size, "%", high=2.0)
    sheet.percentile(95, "volume.biplane.even.p95", "the same in hearts without a bad territory or a wide QRS",
                     size[~regional], "%")  # fmt: skip
    sheet.percentile(95, "volume.biplane.regional.p95", "the same in hearts with one",
                     size[regional], "%")  # fmt: skip
    sheet.percentile(95, "ef.biplane.p95", "|EF from biplane Simpson - true EF|", ef, "points", high=1.5)
    one = 100 * round_hearts["single"]
    words = "|Simpson of the A4C mask alone - truth|, hearts of round section and even motion"
    sheet.percentile(50, "volume.single.median", words, one, "%")
    sheet.percentile(95, "volume.single.p95", words, one, "%", high=2.0)
    sheet.percentile(95, "ef.single.p95", "|EF from that - true EF|", np.abs(round_hearts["ef_single"]), "points",
                     high=1.5)  # fmt: skip
    sheet.percentile(95, "volume.single.any.p95", "A4C alone in all hearts, whatever their section",
                     100 * study["single"], "%")  # fmt: skip
    return sheet.rows


def event_rows(events: Arrays, steady: Arrays, ejection: Arrays) -> list[Row]:
    """The volume curve, and when end-diastole and end-systole come."""
    sheet = Sheet("physics")
    words = "change of V from frame to frame at 30/s, of EDV; sinus rhythm up to 100/min"
    sheet.percentile(100, "step.calm", words, 100 * events["calm"], "%", high=12)
    sheet.percentile(95, "step.calm.p95", words, 100 * events["calm"], "%")
    sheet.percentile(99, "step.all", "the same in every rhythm and at every rate", 100 * events["step"], "%")
    sheet.percentile(100, "step.all.largest", "the same in every rhythm and at every rate", 100 * events["step"], "%")
    sheet.percentile(100, "jump", "largest step in 1/480 s over that in 1/30 s; 1/16 where V is smooth, 1 at a jump",
                     events["jump"], high=0.25)  # fmt: skip
    sheet.percentile(100, "drift", "change of V from one period to the next at constant RR, of EDV",
                     100 * steady["drift"], "%", high=0.5)  # fmt: skip
    narrow = events["sinus"] & ~events["wide"]
    lag = 1e3 * np.abs(events["ed_lag"])
    words = "distance of the end-diastolic plateau from R..R+50 ms"
    sheet.percentile(99, "ed.lag.p99", words + ", every rhythm", lag, "ms", high=FRAME_MS)
    onset = 1e3 * events["onset"]
    outside = np.maximum(np.maximum(-onset, onset - 50), 0)
    usual = narrow & (events["ef"] >= NORMAL_EF)
    sheet.percentile(99, "ed.onset.p99", "distance of ejection onset from R..R+50 ms; sinus, narrow QRS, EF over 0.55",
                     outside[usual], "ms", high=FRAME_MS)  # fmt: skip
    sheet.percentile(50, "ed.onset.median", "ejection onset after R, every beat", onset, "ms")
    systole = 1e3 * events["es"]
    sheet.percentile(99, "es.systole.p99", "|ES - (Q + PEP + LVET of the rate and sex)|, sinus rhythm, narrow QRS",
                     np.abs(systole[narrow]), "ms", high=FRAME_MS)  # fmt: skip
    sheet.percentile(99, "es.systole.all.p99", "the same, every beat", np.abs(systole), "ms")
    t_end = 1e3 * events["es_t"]
    sheet.percentile(100, "es.t_end", "|ES - end of T|, sinus rhythm, narrow QRS", np.abs(t_end[narrow]), "ms",
                     high=40)  # fmt: skip
    sheet.share("es.t_end.held", "beats whose ES is put at -30 or +36 ms from the end of T, since it would lie beyond",
                events["held"][narrow])  # fmt: skip
    sheet.percentile(50, "es.t_end.median", "ES after the end of T, sinus rhythm, narrow QRS", t_end[narrow], "ms")
    for sex, error in ejection.items():
        off = 1e3 * np.median(error, axis=1)
        worst = int(np.abs(off).argmax())
        words = f"ejection time of {sex} - regression, hearts' median, worst of ten rates (at {RATES[worst]}/min)"
        sheet.add(f"lvet.{sex}", words, off[worst], "ms", low=-10, high=10, n=error.size)
        sheet.add(f"lvet.{sex}.spread", "standard deviation among hearts at one rate", 1e3 * error.std(1).mean(), "ms")
    return sheet.rows


def filling_rows(kick: Arrays, waves: Arrays, memory: Arrays) -> list[Row]:
    """Atrial kick, fibrillation and what follows an ectopic."""
    sheet = Sheet("physics")
    delay, words = 1e3 * kick["delay"], "atrial kick's start in V(t) after P onset, sinus rhythm of 50/min"
    sheet.percentile(1, "kick.p1", words, delay, "ms", low=40)
    sheet.percentile(99, "kick.p99", words, delay, "ms", high=80)
    sheet.add("kick.seen", "share of those hearts in which it can be seen", 100 * np.isfinite(delay).mean(), "%",
              low=90, n=len(delay))  # fmt: skip
    sheet.percentile(100, "af.waves", "filling waves of a diastole in fibrillation (the A wave would be a second)",
                     waves["af"], high=1)  # fmt: skip
    sheet.percentile(1, "sinus.waves", "filling waves of a diastole in slow sinus rhythm", waves["sinus"], low=2)
    words = "r of stroke volume with RR-1 / RR-2 in fibrillation, one minute per heart"
    sheet.percentile(50, "af.memory", words, memory["r"], low=0.6, high=0.85)
    sheet.percentile(5, "af.memory.p5", words, memory["r"])
    sheet.percentile(95, "af.memory.p95", words, memory["r"])
    words = "stroke volume after a ventricular ectopic against the beat before it"
    sheet.percentile(50, "pvc.after", words, 100 * memory["strong"], "%", low=10, high=50)
    sheet.percentile(5, "pvc.after.p5", words, 100 * memory["strong"], "%")
    sheet.percentile(95, "pvc.after.p95", words, 100 * memory["strong"], "%")
    sheet.percentile(50, "pvc.itself", "stroke volume of the ectopic against the beat before it", 100 * memory["weak"],
                     "%")  # fmt: skip
    return sheet.rows


def muscle_rows(healthy: Arrays, any_heart: Arrays) -> list[Row]:
    """The wall through systole; `healthy` hearts have an EF of 0.55 to 0.65."""
    sheet = Sheet("physics")
    for q, low, high in ((5, 30, None), (50, None, None), (95, None, 60)):
        sheet.percentile(q, f"thickening.p{q}", "wall thickening at mid-ventricle, healthy hearts, EF 0.55 to 0.65",
                         100 * healthy["thickening"], "%", low=low, high=high)  # fmt: skip
    for q, low, high in ((5, 10, None), (50, None, None), (95, None, 17)):
        sheet.percentile(q, f"mapse.p{q}", "descent of the annulus, healthy hearts, EF 0.55 to 0.65",
                         10 * healthy["mapse"], "mm", low=low, high=high)  # fmt: skip
    sheet.percentile(99, "wall.volume", "change of the wall's volume through systole, all hearts",
                     100 * any_heart["wall"], "%", high=3)  # fmt: skip
    sheet.percentile(100, "apex", "how far the apical muscle moves, all hearts", 10 * any_heart["apex"], "mm", high=3)
    return sheet.rows


def picture_rows(pictures: Arrays, envelope: Arrays) -> list[Row]:
    """What the pictures look like, and whether their grain moves with the tissue."""
    sheet = Sheet("image")
    amplitude = envelope["amplitude"]
    sheet.add("envelope.ratio", "mean over standard deviation of the raw envelope of even scatterers",
              envelope_ratio(amplitude), low=1.88, high=1.94, n=len(amplitude))  # fmt: skip
    sheet.add("envelope.spread", "standard deviation of the same in decibels", envelope_spread_db(amplitude), "dB",
              low=5.42, high=5.72, n=len(amplitude))  # fmt: skip
    sheet.mean("grey.mean", "grey value of the whole picture, 0..1", pictures["mean"], low=0.05, high=0.20)
    inside = (pictures["mean"] >= 0.05) & (pictures["mean"] <= 0.20)
    sheet.share("grey.mean.inside", "clips whose mean lies in 0.05 to 0.20", inside)
    sheet.mean("grey.black", "fraction of the picture darker than 0.06", pictures["black"], low=0.4, high=0.75)
    inside = (pictures["black"] >= 0.4) & (pictures["black"] <= 0.75)
    sheet.share("grey.black.inside", "clips whose black fraction lies in 0.4 to 0.75", inside)
    sheet.add("grey.distance", "Wasserstein-1 distance of all grey values from those of real apical clips",
              reference_distance(pictures["counts"]), high=0.05, n=int(pictures["counts"].sum()))  # fmt: skip
    for name, way in (("down", "down the picture, along the beam"), ("across", "across it")):
        words = f"width of the grain's autocorrelation at half height, {way}"
        sheet.percentile(50, f"grain.{name}", words, pictures[name], "px", low=4, high=6)
    sheet.percentile(50, "contrast", "standard deviation over mean in windows of 7 x 7 px of tissue",
                     pictures["contrast"], low=0.21, high=0.37)  # fmt: skip
    sheet.percentile(50, "gradient", "mean gradient over mean grey value (real clips: 0.3)", pictures["gradient"],
                     "1/px")  # fmt: skip
    words = "correlation of neighbouring frames at 30/s"
    sheet.mean("frames.r", words + ", mean of each clip", pictures["neighbour"], low=0.92, high=0.98)
    sheet.percentile(1, "frames.r.p1", words + ", mean of each clip", pictures["neighbour"])
    sheet.percentile(0, "frames.r.lowest", words + ", mean of each clip", pictures["neighbour"], low=0.85)
    sheet.percentile(0, "frames.pair.lowest", words + ", a clip's worst pair", pictures["lowest"], low=0.85)
    sheet.percentile(1, "frames.pair.p1", words + ", a clip's worst pair", pictures["lowest"])
    sheet.percentile(50, "speckle.error", "block matching in the muscle against its true motion, median of a frame",
                     pictures["pair"], "px", high=0.5)  # fmt: skip
    sheet.percentile(90, "speckle.error.p90", "the same", pictures["pair"], "px")
    sheet.percentile(50, "speckle.block", "the same, of single blocks", pictures["tracking"], "px")
    sheet.percentile(50, "still.motion", "motion that block matching sees outside the heart where nothing moves",
                     pictures["stray"], "px", high=0.25)  # fmt: skip
    return sheet.rows


def recording_rows(leads: Arrays, detection: Arrays, rhythms: Arrays) -> list[Row]:
    """R peaks across leads, and through the eyes of a detector."""
    sheet = Sheet("ECG")
    words = "how far apart I, II and V5 have their R peaks, where R is the largest wave"
    sheet.percentile(95, "leads.p95", words + ", narrow QRS", 1e3 * leads["narrow"], "ms", high=10)
    sheet.percentile(99, "leads.p99", words + ", narrow QRS", 1e3 * leads["narrow"], "ms")
    sheet.percentile(50, "leads.median", words + ", narrow QRS", 1e3 * leads["narrow"], "ms")
    sheet.percentile(50, "leads.wide", words + ", wide QRS and ectopics", 1e3 * leads["wide"], "ms")
    sheet.percentile(95, "leads.largest.p95", "the same of the largest deflections, up or down, narrow QRS",
                     1e3 * leads["largest"], "ms")  # fmt: skip
    narrow = detection["narrow"]
    for name, lead, bar in (("clean", "clean lead II", 99), ("noisy", "lead II at 12 dB", 95)):
        words = f"R peaks that NeuroKit2 finds (within 150 ms) in {lead}, sinus rhythm, narrow QRS"
        found, there, false, close = detection[name][narrow].sum(0)
        sheet.add(f"neurokit.{name}", words, _percent(found, there), "%", low=bar, n=there)
        sheet.add(f"neurokit.{name}.true", "share of its finds that are R peaks", _percent(found, found + false), "%",
                  n=found + false)  # fmt: skip
        sheet.add(f"neurokit.{name}.close", "R peaks that it finds within 50 ms", _percent(close, there), "%", n=there)
        found, there, *_ = detection[name].sum(0)
        sheet.add(f"neurokit.{name}.any", "R peaks that it finds whatever the conduction, blocks and pacing included",
                  _percent(found, there), "%", n=there)  # fmt: skip
    for i, name in enumerate(RHYTHMS):
        if (chosen := rhythms["rhythm"] == i).any():
            found, there, *_ = rhythms["clean"][chosen].sum(0)
            sheet.add(f"neurokit.rhythm.{name}", f"R peaks that it finds in clean lead II, {name}, usual conduction",
                      _percent(found, there), "%", n=there)  # fmt: skip
    return sheet.rows


def _percent(part: float, whole: float) -> float:
    return 100 * part / whole if whole else math.nan


def information_rows(told: dict[str, Arrays], even: Arrays) -> list[Row]:
    """What ECG and picture tell of the EF; `told` holds the held-out guesses of "ecg", "picture" and "both"."""
    sheet = Sheet("information")
    names = {"ecg": "the ECG", "picture": "the picture at end-diastole", "both": "both"}
    for name, words in names.items():
        guesses = told[name]
        bar = {"low": 0.5, "high": 0.8} if name == "both" else {}
        sheet.add(f"r2.{name}", f"variance of EF that a small network explains from {words}, held out, prior clinical",
                  explained(guesses["ef"], guesses["told"]), n=len(guesses["ef"]), **bar)  # fmt: skip
    error = finite(100 * np.abs(told["both"]["ef"] - told["both"]["told"])).mean()
    sheet.add("error.both", "mean error of EF from both", error, "points")
    low, high = EVEN
    sheet.add("uniform", "Kolmogorov distance of the EF drawn under the prior uniform from an even one, 0.15 to 0.75",
              distance_from_even(even["ef"], *EVEN), high=0.05, n=len(even["ef"]))  # fmt: skip
    known = np.isfinite(even["seen"])
    seen, drawn = even["seen"][known], even["ef"][known]
    sheet.add("uniform.seen", "the same of the mean EF of the beats in a clip", distance_from_even(seen, *EVEN),
              n=len(seen))  # fmt: skip
    sheet.share("uniform.seen.beyond", "clips whose beats have a mean EF beyond 0.15 to 0.75",
                (seen < low) | (seen > high))  # fmt: skip
    sheet.share("uniform.seen.apart", "clips whose beats have a mean EF over 5 points from the one drawn",
                np.abs(seen - drawn) > 0.05)  # fmt: skip
    return sheet.rows
