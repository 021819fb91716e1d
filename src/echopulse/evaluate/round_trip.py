"""What the tokenizer keeps of clinical clips in all views: the picture, the heart's motion, its valve, its texture.

Clips are simulated batch by batch and forgotten. Every clip is judged as it is shown, with grain where the tokenizer
knows how to draw it; the errors of the picture in the mean, to which no grain is added, stand beside those.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from echopulse.evaluate.keys import Bar, Figure
from echopulse.evaluate.known import mean_known, median_known
from echopulse.evaluate.phantom.speckle import flow_between, tracking_errors
from echopulse.evaluate.reconstruction import code_use, picture_errors
from echopulse.evaluate.results import Results
from echopulse.evaluate.texture import FIGURES as TEXTURE
from echopulse.evaluate.texture import texture_of
from echopulse.evaluate.thirds import THIRDS, by_thirds
from echopulse.evaluate.timing import match_beats
from echopulse.evaluate.together import OnStep, together
from echopulse.evaluate.valve import openings
from echopulse.model.precision import mixed_precision
from echopulse.phantom import simulate
from echopulse.phantom.types import APICAL_VIEWS, LABELS, VIEWS

if TYPE_CHECKING:
    from echopulse.echo import Clip
    from echopulse.measure import Measurement
    from echopulse.model.tokenizer import Tokenizer
    from echopulse.phantom.simulate import PhantomClips

CLIPS, SEED = 64, 990_000
AT_ONCE = 4  # clips of one batch
FRAMES = 49  # 1 + 4k
FOLLOWED = 3  # frames from which speckle is followed to the next: those in which the muscle moves fastest
OPENED = 0.5  # of the original's change around the valve
LOOKS = ("gain_db", "dynamic_range_db", "frequency_mhz", "half_angle_rad")  # split in thirds
Measure = Callable[["Clip"], "Measurement"]


@dataclass(frozen=True, eq=False)
class Trip:
    """One clip there and back.

    Attributes:
        view, look: the view, and scanner parameters by name.
        errors: of the picture in the mean, by name; `drawn` those of the picture with grain.
        ids: its tokens.
        texture: ratio of each texture figure after to before.
        tracking: distances, px, of followed blocks of muscle from their true way, after; `tracking_before` before;
            `way` how far the muscle's pixels go in those frames.
        opened: how far the valve opens, each time, as a share of what it does in the original.
        ef: measured after minus measured before, matched beats; `ed_frames`, `es_frames` the same of ED and ES.
        beats_lost: beats measured before that have no partner after.
    """

    view: str
    look: dict[str, float]
    errors: dict[str, float]
    drawn: dict[str, float]
    ids: Tensor
    texture: dict[str, float]
    tracking: np.ndarray
    tracking_before: np.ndarray
    way: np.ndarray
    opened: list[float]
    ef: list[float] = field(default_factory=list)
    ed_frames: list[float] = field(default_factory=list)
    es_frames: list[float] = field(default_factory=list)
    beats_lost: int = 0


def round_trip_scores(
    tokenizer: Tokenizer, measure: Measure, *, clips: int = CLIPS, seed: int = SEED, workers: int = 1,
    on_step: OnStep = lambda _: None,
) -> Results:  # fmt: skip
    """Every figure of `tokenizer` on `clips` clinical clips, in the mean, by view and by look of the scanner."""
    starts = list(range(0, clips, AT_ONCE))
    done = []

    def batch(first: int) -> list[Trip]:
        made = simulate(
            AT_ONCE, seed=seed + first // AT_ONCE, prior="clinical", frames=FRAMES, fps=tokenizer.config.fps,
            size=tokenizer.config.size, leads=1, ecg_before_s=0.4, displacement=True,
        )  # fmt: skip
        return [take(tokenizer, made, i, measure) for i in range(min(AT_ONCE, clips - first))]

    def told(_: list[Trip]) -> None:
        done.append(1)
        on_step(len(done) / len(starts))

    trips = [trip for some in together(batch, starts, workers, told) for trip in some]
    return summarize_trips(trips, tokenizer)


@torch.inference_mode()
def take(tokenizer: Tokenizer, made: PhantomClips, i: int, measure: Measure) -> Trip:
    """Clip number i of a simulated batch through the tokenizer and back."""
    truth, clip, device = made.truth, made.clip(i), next(tokenizer.parameters()).device
    frames = made.frames[i].cpu().float() / 255
    with mixed_precision(device):
        ids = tokenizer.encode(frames[None].to(device))
        mean = tokenizer.decode(ids)[0].float().cpu()
        shown = tokenizer.decode(ids, i)[0].float().cpu() if tokenizer.config.grain else mean
    sector = truth.sector[i].cpu()
    before, after = frames.numpy(), shown.numpy()
    tracking = _follow((after, before), made, i)
    settings = made.parameters.scanner
    trip = Trip(
        view=truth.view[i],
        look={name: float(getattr(settings, name)[i]) for name in LOOKS},
        errors=picture_errors(frames, mean, sector),
        drawn=picture_errors(frames, shown, sector),
        ids=ids.cpu(),
        texture=_ratios(texture_of(before, sector.numpy()), texture_of(after, sector.numpy())),
        tracking=tracking[0],
        tracking_before=tracking[1],
        way=tracking[2],
        opened=openings(before, after, truth.labels[i].cpu().numpy(), truth.mitral_opening[i].cpu().numpy()),
    )
    if trip.view not in APICAL_VIEWS:
        return trip
    again = replace(clip, frames=(shown * 255).round().to(torch.uint8).numpy())
    return replace(trip, **_motion(measure(clip), measure(again), made.fps))


def _follow(clips: Sequence[np.ndarray], made: PhantomClips, i: int) -> list[np.ndarray]:
    """For each clip [t, h, w] of heart i how far blocks of muscle, followed from frame to frame, end up from where the
    tissue went, px [k]; last, how far the muscle went, px [m]. In the frames in which it goes farthest."""
    where = made.truth.displacement_cm[i].double().cpu().numpy() / float(made.truth.pixel_spacing_cm[i])
    muscle = made.truth.labels[i].cpu().numpy() == LABELS.index("myocardium")
    steps = np.linalg.norm(np.diff(where, axis=0), axis=-1)
    speed = [np.median(step[seen]) if seen.any() else 0.0 for step, seen in zip(steps, muscle, strict=False)]
    found: list[list[np.ndarray]] = [[] for _ in (*clips, "way")]
    for k in np.sort(np.argsort(speed)[-FOLLOWED:]):
        flow = flow_between(where[k], where[k + 1])
        for errors, pictures in zip(found, clips, strict=False):
            errors.append(tracking_errors(pictures[k], pictures[k + 1], muscle[k], flow))
        found[-1].append(np.linalg.norm(flow, axis=-1)[muscle[k]])
    return [np.concatenate(errors) for errors in found]


def _ratios(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {name: after[name] / before[name] if before[name] else float("nan") for name in before}


def _motion(before: Measurement, after: Measurement, fps: float) -> dict:
    """EF, ED and ES of matched beats, after minus before; what finds no partner within half a cycle is lost."""
    ed = [found.times_s[found.ed_frames] for found in (before, after)]
    es = [found.times_s[found.es_frames] for found in (before, after)]
    cycle = float(np.median(np.diff(ed[0]))) if len(ed[0]) > 1 else 1.0
    match = match_beats(ed[1], ed[0], cycle / 2)
    theirs, mine = match.video_index, match.ecg_index
    fractions = [
        found.ef_per_beat if found.ef_per_beat_calibrated is None else found.ef_per_beat_calibrated
        for found in (before, after)
    ]
    return {
        "ef": (fractions[1][theirs] - fractions[0][mine]).tolist(),
        "ed_frames": np.round(match.lags_s * fps, 6).tolist(),  # a whole frame is one, not a little more
        "es_frames": np.round((es[1][theirs] - es[0][mine]) * fps, 6).tolist(),
        "beats_lost": match.missed,
    }


def summarize_trips(trips: Sequence[Trip], tokenizer: Tokenizer) -> Results:
    """Scores of all clips, then those of the picture by view and by look."""
    columns = {name: [trip.errors[name] for trip in trips] for name in trips[0].errors}
    scores = _pictures(trips) | code_use(torch.cat([trip.ids.flatten() for trip in trips]), tokenizer)
    scores |= {f"drawn.{name}": mean_known([trip.drawn[name] for trip in trips]) for name in trips[0].drawn}
    for name in TEXTURE:
        ratios = np.array([trip.texture[name] for trip in trips])
        scores |= {f"texture.{name}": median_known(ratios), f"texture.{name}_off": abs(median_known(ratios) - 1)}
        columns[f"texture.{name}"] = ratios.tolist()
    for name in ("tracking", "tracking_before", "way"):
        errors = np.concatenate([getattr(trip, name) for trip in trips])
        scores |= {f"{name}_px": median_known(errors), f"{name}_px.n": len(errors)}
    opened = np.array([value for trip in trips for value in trip.opened])
    scores |= {"valve.opens": mean_known(opened >= OPENED), "valve.opens.n": len(opened)}
    scores["valve.change"] = median_known(opened)
    found = sum(len(trip.ef) for trip in trips)
    for name, unit in (("ef", "mae"), ("ed_frames", "median_abs"), ("es_frames", "median_abs")):
        values = np.array([value for trip in trips for value in getattr(trip, name)])
        known = values[np.isfinite(values)]
        middle = mean_known if unit == "mae" else median_known
        scores |= {f"{name}.{unit}": middle(np.abs(known)), f"{name}.{unit}.n": len(known),
                   f"{name}.{unit}.missing": len(values) - len(known)}  # fmt: skip
        if name == "ef":
            scores |= {"ef.bias": mean_known(known)}
    scores["beats_kept"] = found / max(1, found + sum(trip.beats_lost for trip in trips))
    for view in VIEWS:
        scores |= _under(f"view.{view}", [trip for trip in trips if trip.view == view])
    for name in LOOKS:
        for word, some in by_thirds(trips, [trip.look[name] for trip in trips]):
            scores |= _under(f"look.{name}.{word}", some)
    return Results.of(scores | {"n": len(trips)}, columns)


def _pictures(trips: Sequence[Trip]) -> dict[str, float]:
    return {name: mean_known([trip.errors[name] for trip in trips]) for name in trips[0].errors} if trips else {}


def _under(place: str, trips: Sequence[Trip]) -> dict[str, float]:
    kept = _pictures(trips)
    return {f"{place}.{name}": kept[name] for name in ("mse", "psnr_sector", "ssim_sector") if name in kept}


def _figures() -> dict[str, Figure]:
    most, least = (lambda value: Bar("≤", value)), (lambda value: Bar("≥", value))
    picture = {
        "mse": Figure("", "mean squared error of encoding and decoding, whole picture, 0..1"),
        "mae": Figure("", "mean absolute error, whole picture, 0..1"),
        "psnr": Figure("dB", "peak signal-to-noise ratio, whole picture"),
        "psnr_sector": Figure("dB", "peak signal-to-noise ratio inside the sector"),
        "ssim_sector": Figure("", "structural similarity inside the sector (11 x 11 Gaussian window)"),
    }
    texture = {
        "contrast": "standard deviation over mean in windows of tissue",
        "down": "width of the grain's autocorrelation down the picture",
        "across": "width of the grain's autocorrelation across it",
        "lasting": "correlation of the grain of neighbouring frames",
    }
    figures = {
        **picture,
        **{f"drawn.{key}": one._replace(meaning=f"with grain drawn: {one.meaning}") for key, one in picture.items()},
        "live_bits": Figure("", "bits whose rarer value is in over 5 % of the tokens", least(13)),
        "perplexity": Figure("", "equally frequent codes that would have the entropy of those in use"),
        "ef.mae": Figure("", "EF measured after the round trip against before, mean absolute over beats", most(0.015)),
        "ef.bias": Figure("", "the same, mean: positive is larger after"),
        "ed_frames.median_abs": Figure("frames", "ED after the round trip against before, median absolute", most(1)),
        "es_frames.median_abs": Figure("frames", "ES after the round trip against before, median absolute", most(1)),
        "beats_kept": Figure("", "share of the beats measured before that are measured after"),
        "valve.opens": Figure("", "share of mitral openings of which at least half is seen after", least(0.95)),
        "valve.change": Figure("", "change of the picture around the opening valve, share of the original's, median"),
        "tracking_px": Figure("px", "speckle followed in the muscle against its true way, after: median", most(1)),
        "tracking_before_px": Figure("px", "the same in the original"),
        "way_px": Figure("px", "how far the muscle moves from frame to frame there: what a still picture would err"),
    }
    for name, words in texture.items():
        figures[f"texture.{name}"] = Figure("", f"{words}: after over before, median over clips")
        figures[f"texture.{name}_off"] = Figure("", f"{words}: how far that ratio is from 1", most(0.15))
    figures["mse"] = picture["mse"]._replace(bar=most(1.6e-3))
    for place, word in (*((f"view.{view}", f"view {view}") for view in VIEWS),
                        *((f"look.{name}.{third}", f"{third} third of the scanner's {name}")
                          for name in LOOKS for third in THIRDS)):  # fmt: skip
        for key in ("mse", "psnr_sector", "ssim_sector"):
            figures[f"{place}.{key}"] = Figure(picture[key].unit, f"{word}: {picture[key].meaning}")
    return {f"tokenizer.{key}": figure for key, figure in figures.items()}


FIGURES = _figures()
