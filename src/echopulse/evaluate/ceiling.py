"""How much of the EF picture and ECG tell: generated loops beside a regressor that sees the same and nothing else.

Hearts of the clinical prior. What cannot be told from one picture and an ECG no model can make up; the regressor says
how much can be told at least. It looks and hears through the bundled weights, whoever is judged: a kernel ridge
regression on what the measurer sees in the picture and on what the ECG encoder makes of the ECG, its two constants
chosen by leaving one teacher out (Rasmussen and Williams 2006, 5.4.2). Teachers have the EF of their usual beat, the
hearts that are asked about that of the beats seen, which differs a little.
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
from echopulse.model.ecg_input import as_heard
from echopulse.model.familiarity import summary_of

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
} | {"ceiling.share": Figure("", "R² of generated loops over that of the regressor", at_least(0.9))}


def pictures_and_ecgs(count: int, seed: int, *, workers: int = 1, **options) -> list[Heart]:
    """Hearts of the clinical prior that beat, of two frames each: enough for a first picture, an ECG and the EF."""

    def make(first: int) -> list[Heart]:
        made = simulate_held_out(AT_ONCE, seed + first // AT_ONCE, prior="clinical", **{"frames": 2} | options)
        return [heart for heart in hearts_of(made, first) if heart.moving]

    enough = round(1.2 * count) + AT_ONCE  # some stand still
    made = [heart for batch in together(make, list(range(0, enough, AT_ONCE)), workers) for heart in batch]
    return made[:count]


@torch.inference_mode()
def features_of(pulse: EchoPulse, heart: Heart) -> Tensor:
    """What the measurer sees in the first picture, and what the encoder says of the ECG then, on average and in spread.

    float32 [d].
    """
    segmenter = pulse.segmenter
    if not segmenter.config.volumes:
        raise InputError("ceiling: the regressor looks through a measurer that reads volumes, which this one does not.")
    frames = heart.frames[:1].to(pulse.device).float() / 255
    levels = segmenter.encode(frames)
    ascended = segmenter.ascend(levels)
    seen, log_volume = segmenter.look(levels, ascended, segmenter.outline(ascended).float())
    ecg = as_heard(heart.ecg, heart.leads, pulse.generator.config.ecg.kind)
    memory = pulse.hear(ecg, -heart.ecg_start_s)
    now = memory.tokens[:, memory.times_s[0].abs().nan_to_num(torch.inf).argmin()]
    view = torch.tensor([[float(heart.view == pulse.generator.config.views[0])]], device=now.device)
    return torch.cat([seen, log_volume[:, None], now, summary_of(memory), view], 1)[0].float().cpu()


def ceiling_scores(
    bench: Bench, pulse: EchoPulse, hearts: Sequence[Heart], teachers: Sequence[Heart],
    on_step: OnStep = lambda _: None,
) -> Results:  # fmt: skip
    """All of `FIGURES`: the candidate behind `bench`, and a regressor with the eyes and ears of `pulse`."""
    work = Counted(on_step, len(hearts) * 2 + len(teachers))
    true = np.array([heart.ef for heart in hearts])
    made = bench.each(lambda heart: measured_ef(bench.beat(heart, heart.ecg)), hearts, work)
    taught = torch.stack(bench.each(lambda heart: features_of(pulse, heart), teachers, work))
    asked = torch.stack(bench.each(lambda heart: features_of(pulse, heart), hearts, work))
    told = regress(taught, torch.tensor([heart.ef for heart in teachers]), asked)
    results = Results({}, {})
    for name, found in (("generated", np.array(made)), ("regressor", told.numpy())):
        results |= Results.of(_agreement(true, found), {"found": found, "true": true}).under(f"ceiling.{name}")
    best = results.scores["ceiling.regressor.r2"]
    share = results.scores["ceiling.generated.r2"] / best if best > LEAST_R2 else float("nan")
    return results | Results.of({"ceiling.share": share})


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
