"""Does the heart beat because of its ECG? The same heart with the ECG taken away, flattened, shifted and swapped.

Every control but the shifted one keeps the heart's own first picture, so that only the ECG differs. The shifted ECG is
tried without a picture: a picture of another phase would contradict it. The first 20 moving hearts are used.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from echopulse.evaluate.held_out import (
    ES_LEVEL,
    Bench,
    Counted,
    Heart,
    OnStep,
    Scores,
    chance_errors,
    donors,
    errors_of,
    median_of,
)
from echopulse.evaluate.timing import TimingErrors, curve_correlation, cycles_between, join, timing_errors
from echopulse.measure import Measurement, ejection_fraction_overall

HEARTS = 20  # at most
FLAT_NOISE_MV = 0.005  # what an amplifier leaves on a flat line


def control_scores(bench: Bench, hearts: Sequence[Heart], on_step: OnStep = lambda _: None) -> Scores:
    """All controls; see `KEYS` for what each figure says."""
    moving = [h for h in hearts if h.moving]
    chosen = moving[:HEARTS]
    pairs = donors(chosen)
    work = Counted(on_step, 4 * len(chosen) + len(pairs) + 1)

    same = [work(bench.beat(h, h.ecg)) for h in chosen]
    scores = median_of("same.ef", [overall(m) for m in same])
    scores |= median_of("same.r", [curve_correlation(areas(m), h.volume_ml) for h, m in zip(chosen, same, strict=True)])
    if chosen:
        twice = [bench.show(chosen[0], chosen[0].ecg) for _ in range(2)]
        scores["same.identical"] = float(np.array_equal(*work(twice)))

    none = [work(bench.beat(h, None)) for h in chosen]
    scores |= median_of("none.ef", [overall(m) for m in none])
    scores |= median_of("none.r", [curve_correlation(areas(m), h.volume_ml) for h, m in zip(chosen, none, strict=True)])
    scores |= _phases("none", join([errors_of(h, m.volumes) for h, m in zip(chosen, none, strict=True)]))
    chance = chance_errors(chosen)
    for phase in ("ed", "es"):
        by_chance, found = chance[f"{phase}_ms.median_abs"], scores[f"none.{phase}_ms.median_abs"]
        scores[f"none.{phase}_over_chance"] = found / by_chance if by_chance else float("nan")

    flat = [work(bench.beat(h, flatten(h))) for h in chosen]
    scores |= median_of("flat.ef", [overall(m) for m in flat])
    scores["flat.ef.largest"] = max((overall(m) for m in flat), default=float("nan"))

    moved, unmoved = [], []
    for heart in chosen:
        frames = half_a_beat(heart)
        measured = work(bench.beat(heart, heart.ecg, shift_s=float(heart.times_s[frames]), image=False))
        moved.append(shifted_errors(heart, measured, frames))
        unmoved.append(errors_of(heart, measured.volumes))
    scores |= _phases("shifted", join(moved)) | _phases("shifted.unshifted", join(unmoved))

    swapped = [work(bench.beat(h, other.ecg)) for h, other in pairs]
    scores |= median_of("donor.r_donor", _correlations(swapped, [other for _, other in pairs]))
    scores |= median_of("donor.r_own", _correlations(swapped, [own for own, _ in pairs]))
    truths = [curve_correlation(own.volume_ml, other.volume_ml) for own, other in pairs]
    scores |= median_of("donor.r_between_truths", truths)
    obeyed = [errors_of(other, m.volumes) for (_, other), m in zip(pairs, swapped, strict=True)]
    return scores | _phases("donor", join(obeyed))


def flatten(heart: Heart) -> torch.Tensor:
    """A flat line as long as the heart's ECG, float32 [l, n] mV, with the faintest noise."""
    draw = torch.Generator().manual_seed(heart.seed)
    return FLAT_NOISE_MV * torch.randn(heart.ecg.shape, generator=draw)


def half_a_beat(heart: Heart) -> int:
    """Half of the median RR interval in whole frames."""
    frame_s = float(np.median(np.diff(heart.times_s)))
    rr = np.diff(np.sort(heart.r_peaks_s))
    half = 0.5 * float(np.median(rr)) if len(rr) else 0.4
    return int(np.clip(round(half / frame_s), 1, len(heart.times_s) // 2))


def shifted_errors(heart: Heart, measured: Measurement, frames: int) -> TimingErrors:
    """Errors against the truth moved later by `frames` frames; what lies before the truth's beginning is left out."""
    shift_s = float(heart.times_s[frames] - heart.times_s[0])
    times = heart.times_s[frames:]
    return timing_errors(
        times, measured.volumes[frames:], cycles_between(heart.r_peaks_s + shift_s, times[0], times[-1]),
        truth_volume=heart.volume_ml[: len(times)], t_ends_s=heart.t_ends_s + shift_s, es_level=ES_LEVEL,
    )  # fmt: skip


def overall(measurement: Measurement) -> float:
    """1 - min/max of the volume curve, with or without beats."""
    return ejection_fraction_overall(measurement.times_s, measurement.volumes)


def areas(measurement: Measurement) -> np.ndarray:
    """The area curve, NaN where no ventricle was found."""
    return np.where(np.isfinite(measurement.volumes), measurement.areas_cm2, np.nan)


def _correlations(measured: Sequence[Measurement], hearts: Sequence[Heart]) -> list[float]:
    return [curve_correlation(areas(m), h.volume_ml) for m, h in zip(measured, hearts, strict=True)]


def _phases(name: str, errors: TimingErrors) -> Scores:
    summary = errors.summary()
    return {f"{name}.{key}": value for key, value in summary.items() if key.startswith(("ed_ms", "es_ms"))}
