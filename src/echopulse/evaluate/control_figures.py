"""What the figures of the ECG controls mean, their bars, and the verdict on each control."""

from __future__ import annotations

from collections.abc import Mapping

from echopulse.evaluate.keys import Bar, Figure

AT_MOST, AT_LEAST = "≤", "≥"
STANDING_EF = 0.12  # swing of the measured volume below which a heart counts as standing still
OBEYS, LOCKED, IGNORES, LATE_BEATS = 0.5, 0.8, 0.2, 0.1

FOLLOWED = {
    "same": "own ECG",
    "earlier_400": "own ECG 400 ms earlier", "earlier_200": "own ECG 200 ms earlier",
    "earlier_100": "own ECG 100 ms earlier", "later_100": "own ECG 100 ms later",
    "later_200": "own ECG 200 ms later", "later_400": "own ECG 400 ms later",
    "slower": "own ECG at 0.7 of its rate", "faster": "own ECG at 1.4 of its rate",
    "donor": "another's ECG", "flipped": "own ECG upside down", "other_lead": "another lead of the own ECG",
    "noise_24": "own ECG, noise at 24 dB", "noise_12": "own ECG, noise at 12 dB",
    "noise_6": "own ECG, noise at 6 dB", "noise_0": "own ECG, noise at 0 dB",
}  # fmt: skip
STANDING = {"flat": "flat ECG", "zero": "ECG of zeros"}
WITHOUT_BAR = ("noise_6", "noise_0")  # what no cardiologist could read either
KEEPING_RATE = ("same", "slower", "faster", "donor")


def _errors(name: str, what: str, bar: float | None = None) -> dict[str, Figure]:
    return {
        f"{name}.median_abs": Figure("ms", f"{what}: median absolute error", Bar(AT_MOST, bar) if bar else None),
        f"{name}.mean_abs": Figure("ms", f"{what}: mean absolute error"),
        f"{name}.median": Figure("ms", f"{what}: median error, positive is late"),
        f"{name}.mean": Figure("ms", f"{what}: mean error, positive is late"),
    }


def _followed(name: str, what: str) -> dict[str, Figure]:
    stem, barred, keeps = f"controls.{name}", name not in WITHOUT_BAR, name in KEEPING_RATE
    return {
        **_errors(f"{stem}.ed_ms", f"{what}: ED against what it asks for"),
        **_errors(f"{stem}.es_ms", f"{what}: ES against what it asks for"),
        f"{stem}.beats_found": Figure(
            "", f"{what}: share of the contractions asked for that the video shows within 0.2 s",
            Bar(AT_LEAST, 0.8) if keeps else None,
        ),
        f"{stem}.beats_extra": Figure("", f"{what}: contractions not asked for, per contraction asked for"),
        f"{stem}.rate_difference_bpm": Figure("/min", f"{what}: heart rate, video against that ECG, median of clips"),
        f"{stem}.ef": Figure("", f"{what}: 1 - min/max of the volume, median over clips"),
        f"{stem}.r": Figure("", f"{what}: correlation of the area curve with the volume asked for, median"),
        f"{stem}.explained": Figure(
            "", f"{what}: share of the area curve's variance that the volume asked for explains, mean",
            Bar(AT_LEAST, 0.5) if barred else None,
        ),
        f"{stem}.explained_without": Figure("", f"{what}: the share that it explains of the clips without ECG, mean"),
        f"{stem}.gained": Figure(
            "", f"{what}: the difference of the two shares, what the ECG brought, mean",
            Bar(AT_LEAST, 0.2) if barred else None,
        ),
        f"{stem}.verdict": Figure("", f"{what}: whether every bar of this control is met"),
    }  # fmt: skip


def _standing(name: str, what: str) -> dict[str, Figure]:
    return {
        f"controls.{name}.ef": Figure("", f"{what}: 1 - min/max of the volume, median", Bar(AT_MOST, STANDING_EF)),
        f"controls.{name}.ef.largest": Figure("", f"{what}: the largest of them"),
        f"controls.{name}.refused": Figure("", f"{what}: clips that the generator refused to make, which is right too"),
        f"controls.{name}.verdict": Figure("", f"{what}: whether the heart stands still or the ECG is refused"),
    }


FIGURES: dict[str, Figure] = {
    "controls.obeys": Figure(
        "", "share of the motion unexplained without ECG that the given ECG explains, all controls in which it beats",
        Bar(AT_LEAST, OBEYS),
    ),
    "controls.locking": Figure(
        "", "1 if every clip keeps the same distance to its ECG, near 0 if it keeps none", Bar(AT_LEAST, LOCKED)
    ),
    "controls.usual_phase": Figure("beats", "the usual lag behind the given ECG, -0.5 to 0.5 beats, positive is late"),
    "controls.says": Figure("", "all controls in a word"),
    "controls.same.identical": Figure("", "1 if the same seed and arguments gave identical frames", Bar(AT_LEAST, 1)),
    **{key: one for name, what in FOLLOWED.items() for key, one in _followed(name, what).items()},
    "controls.none.ef": Figure("", "no ECG: 1 - min/max of the volume, median"),
    "controls.none.r": Figure("", "no ECG: correlation of the area curve with the own true volume, median"),
    **_errors("controls.none.ed_ms", "no ECG: ED against the own truth"),
    **_errors("controls.none.es_ms", "no ECG: ES against the own truth"),
    **{
        f"controls.none.{phase.lower()}_over_chance": Figure(
            "", f"no ECG: median {phase} error over chance's; 1 is chance", Bar(AT_LEAST, 0.7)
        )
        for phase in ("ED", "ES")
    },
    "controls.none.verdict": Figure("", "no ECG: whether the heart stands still or beats at chance"),
    **{key: one for name, what in STANDING.items() for key, one in _standing(name, what).items()},
    **_errors("controls.shifted.ed_ms", "all moved ECGs, no image: ED against the truth moved alike", 60),
    **_errors("controls.shifted.es_ms", "all moved ECGs, no image: ES against the truth moved alike"),
    **_errors("controls.shifted.unshifted.ed_ms", "the same clips: ED against the truth not moved"),
    **_errors("controls.shifted.unshifted.es_ms", "the same clips: ES against the truth not moved"),
    "controls.shifted.slope": Figure("s/s", "how far the video moves per second that the ECG is moved, median"),
    "controls.shifted.slope_error": Figure("s/s", "how far that is from 1 heart by heart, median", Bar(AT_MOST, 0.15)),
    "controls.shifted.verdict": Figure("", "all moved ECGs: whether every bar of theirs is met"),
    "controls.donor.r_donor": Figure(
        "", "another's ECG: correlation of the area curve with the donor's volume, median", Bar(AT_LEAST, 0.7)
    ),
    "controls.donor.r_own": Figure(
        "", "another's ECG: correlation with the own true volume, median; not part of the verdict", Bar(AT_MOST, 0.25)
    ),
    "controls.donor.r_between_truths": Figure("", "correlation of the two true volumes: what r_own is bound to show"),
}  # fmt: skip


def verdicts(scores: Mapping[str, float | str]) -> dict[str, str]:
    """`C.verdict` of every control C, "met" or "missed", and `says`; the scores' keys lack "controls."."""
    found = {}
    for control in (*FOLLOWED, "shifted"):
        stem = f"controls.{control}."
        keys = [key.removeprefix("controls.") for key, one in FIGURES.items() if key.startswith(stem) and one.bar]
        keys = [key for key in keys if key != "donor.r_own"]
        if keys and f"{control}.ed_ms.n" in scores:
            found[f"{control}.verdict"] = _word(all(_meets(key, scores) for key in keys))
    for control in STANDING:
        if f"{control}.refused" in scores:
            there = f"{control}.ef" in scores
            found[f"{control}.verdict"] = _word(_meets(f"{control}.ef", scores) if there else True)
    at_chance = all(_meets(f"none.{phase}_over_chance", scores) for phase in ("ed", "es"))
    found["none.verdict"] = _word(at_chance or scores["none.ef"] <= STANDING_EF)
    return found | {"says": says(scores)}


def says(scores: Mapping[str, float | str]) -> str:
    """All controls in a word, by the ends of the intervals: nothing is claimed that chance could have done."""
    if scores["obeys.low"] >= OBEYS and abs(scores["usual_phase"]) <= LATE_BEATS:
        return "obeys its ECG"
    if scores["locking.low"] >= LOCKED and abs(scores["usual_phase"]) > LATE_BEATS:
        return f"follows its ECG {scores['usual_phase']:+.2f} beats late"
    return "ignores its ECG" if scores["obeys.high"] <= IGNORES else "undecided"


def _meets(key: str, scores: Mapping[str, float | str]) -> bool:
    return FIGURES[f"controls.{key}"].bar.met(scores[key])


def _word(met: bool) -> str:
    return "met" if met else "missed"
