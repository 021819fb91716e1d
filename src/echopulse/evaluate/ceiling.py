"""How much of the EF picture and ECG tell: generated loops beside a regressor that sees the same and nothing else.

Hearts of the clinical prior. What cannot be told from one picture and an ECG no model can make up; the regressor says
how much can be told at least. It looks and hears through the bundled weights, whoever is judged: a kernel ridge
regression on what the measurer sees in the picture and on what the ECG encoder makes of the ECG, its two constants
chosen by leaving one teacher out (Rasmussen and Williams 2006, 5.4.2). Teachers have the EF of their usual beat, the
hearts that are asked about that of the beats seen, which differs a little. Beside it stands what the model itself
expects, where it says so; the better of the two is the ceiling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from echopulse.errors import InputError
from echopulse.evaluate.bench import Bench
from echopulse.evaluate.hearts import AT_ONCE, Heart, hearts_of, simulate_held_out
from echopulse.evaluate.held_out import measured_ef
from echopulse.evaluate.keys import Figure, at_least
from echopulse.evaluate.known import mean_known
from echopulse.evaluate.results import Results
from echopulse.evaluate.together import Counted, OnStep, together
from echopulse.measure.expected_ef import features_of, look_at_pictures
from echopulse.model.ecg_input import as_heard

if TYPE_CHECKING:
    from echopulse.pipeline import EchoPulse

SEED, TEACHER_SEED = 970_000, 975_000
HEARTS, TEACHERS = 48, 512
RIDGES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
WIDTHS = (0.5, 1.0, 2.0, 4.0, 8.0)  # of the kernel, in typical distances
LEAST_R2 = 0.3  # of a regressor that can be a yardstick
LEAST_SPREAD = 1e-3  # of a feature over the teachers, of the largest: what differs less is rounding

KINDS = {
    "generated": "EF of loops from first picture and ECG, hearts of the clinical prior",
    "regressor": "EF that a regressor tells from the same picture and ECG",
    "expected": "EF that the model itself expects of them",
}
FIGURES: dict[str, Figure] = {
    f"ceiling.{name}.{key}": Figure("", f"{what}: {words}")
    for name, what in KINDS.items()
    for key, words in {
        "r2": "share of the true EFs' variance explained",
        "mae": "mean absolute error",
        "rmse": "root mean square error",
        "sd": "standard deviation of what was found",
        "rmse_over_sd": "RMSE over the true EFs' standard deviation",
    }.items()
} | {
    "ceiling.share": Figure("", "R² of generated loops over the better of the two others", at_least(0.9)),
    "ceiling.expected.within_sd": Figure("", "share of hearts within one standard deviation of what is expected"),
}


def pictures_and_ecgs(count: int, seed: int, *, workers: int = 1, **options) -> list[Heart]:
    """Hearts of the clinical prior that beat, of two frames each: enough for a first picture, an ECG and the EF."""

    def make(first: int) -> list[Heart]:
        made = simulate_held_out(AT_ONCE, seed + first // AT_ONCE, prior="clinical", **{"frames": 2} | options)
        return [heart for heart in hearts_of(made, first) if heart.moving]

    enough = round(1.2 * count) + AT_ONCE  # some stand still
    made = [heart for batch in together(make, list(range(0, enough, AT_ONCE)), workers) for heart in batch]
    return made[:count]


@torch.inference_mode()
def looked_and_heard(pulse: EchoPulse, heart: Heart) -> Tensor:
    """What the measurer sees in the first picture and what the encoder says of the ECG then, float32 [d]."""
    if not pulse.segmenter.config.volumes:
        raise InputError("ceiling: the regressor looks through a measurer that reads volumes, which this one does not.")
    seen, log_volume = look_at_pictures(pulse.segmenter, heart.frames[:1].to(pulse.device).float() / 255)
    memory = pulse.hear(_heard(pulse, heart), -heart.ecg_start_s)
    view = torch.tensor([pulse.generator.config.views.index(heart.view)], device=pulse.device)
    return features_of(seen, log_volume, memory, view)[0].float().cpu()


def expected_of(pulse: EchoPulse, heart: Heart) -> tuple[float, float]:
    """Mean and standard deviation of the EF that the model expects of the first picture and the ECG; NaN without."""
    pictures = [(heart.frames[0], 0.0)]
    expected = pulse.expect_ef(pictures, _heard(pulse, heart), -heart.ecg_start_s, heart.view)
    return (np.nan, np.nan) if expected is None else (float(expected.mean), float(expected.sd))


def _heard(pulse: EchoPulse, heart: Heart) -> Tensor:
    return as_heard(heart.ecg, heart.leads, pulse.generator.config.ecg.kind)


def ceiling_scores(
    bench: Bench, eyes: EchoPulse, hearts: Sequence[Heart], teachers: Sequence[Heart], own: EchoPulse | None = None,
    on_step: OnStep = lambda _: None,
) -> Results:  # fmt: skip
    """All of `FIGURES`: the candidate behind `bench`, a regressor with the eyes and ears of `eyes`, and what the
    candidate itself (`own`) expects where it is a model of ours.
    """
    work = Counted(on_step, len(hearts) * 2 + len(teachers))
    true = np.array([heart.ef for heart in hearts])
    made = bench.each(lambda heart: measured_ef(bench.beat(heart, heart.ecg)), hearts, work)
    taught = torch.stack(bench.each(lambda heart: looked_and_heard(eyes, heart), teachers, work))
    asked = torch.stack(bench.each(lambda heart: looked_and_heard(eyes, heart), hearts, work))
    told = regress(taught, torch.tensor([heart.ef for heart in teachers]), asked)
    expected = np.array([expected_of(own, heart) if own else (np.nan, np.nan) for heart in hearts])
    results = Results({}, {})
    for name, found in (("generated", np.array(made)), ("regressor", told.numpy()), ("expected", expected[:, 0])):
        results |= Results.of(_agreement(true, found), {"found": found, "true": true}).under(f"ceiling.{name}")
    best = np.nanmax([results.scores[f"ceiling.{name}.r2"] for name in ("regressor", "expected")])
    share = results.scores["ceiling.generated.r2"] / best if best > LEAST_R2 else float("nan")
    within = mean_known(np.where(np.isfinite(expected[:, 0]), np.abs(expected[:, 0] - true) <= expected[:, 1], np.nan))
    return results | Results.of({"ceiling.share": float(share), "ceiling.expected.within_sd": within})


def regress(features: Tensor, values: Tensor, asked: Tensor) -> Tensor:
    """Kernel ridge regression: values [n] of features [n, d], what it says of features [m, d].

    Ridge and width of the Gaussian kernel are those with the least error when every teacher is left out in turn.
    """
    spread = features.std(0)
    kept = spread > LEAST_SPREAD * spread.max()
    known, new = ((rows[:, kept] - features[:, kept].mean(0)) / spread[kept] for rows in (features, asked))
    known, new = known.double(), new.double()
    middle = values.double().mean()
    apart, beyond = torch.cdist(known, known).square(), torch.cdist(new, known).square()
    usual = apart[apart > 0].median()
    best, answer = torch.inf, middle.expand(len(new))
    for width in WIDTHS:
        alike = torch.exp(-apart / (2 * usual * width**2))
        for ridge in RIDGES:
            inverse = torch.linalg.inv(alike + ridge * torch.eye(len(known), dtype=alike.dtype))
            weights = inverse @ (values.double() - middle)
            left_out = (weights / inverse.diagonal()).square().mean()
            if left_out < best:
                best = left_out
                answer = middle + torch.exp(-beyond / (2 * usual * width**2)) @ weights
    return answer


def _agreement(true: np.ndarray, found: np.ndarray) -> dict[str, float]:
    known = np.isfinite(found)
    off, spread = (found - true)[known], float(true[known].std()) if known.any() else 0.0
    rmse = float(np.sqrt(mean_known(off**2)))
    scores = {
        "r2": 1 - (rmse / spread) ** 2 if spread > 0 else float("nan"), "mae": mean_known(np.abs(off)), "rmse": rmse,
        "sd": float(found[known].std()) if known.any() else float("nan"),
        "rmse_over_sd": rmse / spread if spread > 0 else float("nan"),
    }  # fmt: skip
    counts = {"n": int(known.sum()), "missing": int((~known).sum())}
    return scores | {f"{key}.{name}": value for key in scores for name, value in counts.items()}
