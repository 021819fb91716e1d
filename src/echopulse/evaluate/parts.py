"""The parts of an evaluation, one function each; what is heavy is imported when its part begins."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from echopulse.evaluate.controls import control_scores
from echopulse.evaluate.given import Supplied, clips_at_rate
from echopulse.evaluate.hearts import ALONE, Heart
from echopulse.evaluate.held_out import timing_scores
from echopulse.evaluate.results import Results
from echopulse.evaluate.shared import Shared
from echopulse.evaluate.together import OnStep
from echopulse.measure import measure_clip

if TYPE_CHECKING:
    from echopulse.pipeline import EchoPulse

REAL_CLIPS = 32  # simulated frames that are measured: what the measurer alone would score
TRAINING_CLIPS = 96  # at most, where none are given
TRAINING_SEED = 800_000  # of simulated hearts that stand for training clips; held-out ones begin at 900 000


@dataclass(frozen=True, eq=False)
class Job:
    """What the parts work on: the candidate as a model of ours (or None), whose measurer judges, and the settings."""

    pulse: EchoPulse | None
    measurer: EchoPulse
    shared: Shared
    simulate: Callable[..., list[Heart]]  # of (clips, seed=), as the held-out hearts are
    fps: float
    size: int
    rate_hz: float
    seed: int
    start: str
    control_hearts: int
    measurer_clips: int
    tokenizer_clips: int
    workers: int
    paths: Sequence[Path]
    supplied: Supplied
    as_published: bool


def speed(job: Job, on_step: OnStep) -> Results:
    """How long a clip takes, and how much memory."""
    from echopulse.evaluate.speed import speed_scores

    return Results.of(speed_scores(job.pulse, start=job.start, on_step=on_step)).under("speed")


def tokenizer(job: Job, on_step: OnStep) -> Results:
    """What the tokenizer keeps of clinical clips of its own, as many as the job says."""
    from echopulse.evaluate.round_trip import round_trip_scores

    found = round_trip_scores(
        job.pulse.tokenizer, job.measurer.measure, clips=min(job.shared.clips, job.tokenizer_clips), seed=job.seed,
        workers=job.workers, on_step=on_step,
    )  # fmt: skip
    return found.under("tokenizer")


def measurer(job: Job, on_step: OnStep) -> Results:
    """The measurer on hearts of its own."""
    from echopulse.evaluate.measuring import measuring_scores

    measure = functools.partial(measure_clip, segmenter=job.measurer.segmenter)
    found = measuring_scores(
        measure, clips=job.measurer_clips, seed=job.seed, workers=job.workers, on_step=on_step
    )  # fmt: skip
    return found.under("measurer")


def timing(job: Job, on_step: OnStep) -> Results:
    """Generated hearts against the truth."""
    bench, hearts = job.shared.bench, job.shared.hearts
    imaged, alone = job.shared.imaged, job.shared.alone
    some = hearts[:REAL_CLIPS]
    real = bench.each(lambda heart: bench.look(heart, heart.frames.numpy(), heart.spacing_cm), some)
    found = timing_scores(bench, hearts, real, on_step, imaged=imaged, alone=alone, first_alone=ALONE)
    curves = {key: column for key, column in found.columns.items() if key.startswith("curve.")}
    figures = {key: column for key, column in found.columns.items() if key not in curves}
    return Results(found.scores, figures).under("timing") | Results({}, curves)


def controls(job: Job, on_step: OnStep) -> Results:
    """The ECG controls."""
    found = control_scores(
        job.shared.bench, job.shared.hearts, on_step, most=job.control_hearts, rate_hz=job.rate_hz,
        same=job.shared.imaged, unmoved=job.shared.alone,
    )  # fmt: skip
    return found.under("controls")


def quality(job: Job, on_step: OnStep) -> Results:
    """Generated against simulated clips, copies of training clips left out where a filter is given."""
    from echopulse.evaluate.metrics.quality import quality_scores

    (real, generated), left_out = job.shared.pairs(), {}
    if job.supplied.copies is not None:
        kept = job.supplied.copies.judge(generated, job.fps).kept
        left_out = {"copies_left_out": len(generated) - len(kept)}
        real, generated = [real[number] for number in kept], [generated[number] for number in kept]
    found = quality_scores(
        real, generated, job.supplied.features, job.fps, networks=job.supplied.networks,
        as_published=job.as_published, seed=job.seed, on_step=on_step,
    ).under("quality")  # fmt: skip
    return found | Results({}, {}, left_out)


def privacy(job: Job, on_step: OnStep) -> Results:
    """How close generated clips come to training clips: the given ones, or simulated stand-ins."""
    from echopulse.evaluate.privacy import privacy_scores

    # not those that open with a held-out heart's own picture: they are near to that heart, and far from all others
    real, generated = [heart.frames.numpy() for heart in job.shared.hearts], list(job.shared.alone.values())
    if job.supplied.training:
        training = [clip for path in job.supplied.training for clip in clips_at_rate(path, job.fps, job.size)]
    else:
        stand_ins = job.simulate(min(len(real), TRAINING_CLIPS), seed=TRAINING_SEED)
        training = [heart.frames.numpy() for heart in stand_ins]
    found = privacy_scores(generated, training, real, job.supplied.features, job.fps, seed=job.seed, on_step=on_step)
    source = "given" if job.supplied.training else f"simulated from seed {TRAINING_SEED}, not the model's own"
    return found.under("privacy") | Results({}, {}, {"training_clips": f"{len(training)}, {source}"})


def usefulness(job: Job, on_step: OnStep) -> Results:
    """Clips generated from ECG and EF of hearts of the training seeds, without their pictures, teach a regressor.

    Beside them teach the simulated clips of the same hearts; the held-out hearts test both.
    """
    from echopulse.evaluate.usefulness import usefulness_scores

    bench = job.shared.bench
    test = [heart for heart in job.shared.hearts if heart.moving]
    teachers = [heart for heart in job.simulate(len(job.shared.hearts), seed=TRAINING_SEED) if heart.moving]
    made = bench.each(lambda heart: bench.show(heart, heart.ecg, image=False, ef=heart.ef), teachers)
    taught = np.array([heart.ef for heart in teachers])
    simulated = [heart.frames.numpy() for heart in teachers]
    tested = [heart.frames.numpy() for heart in test], np.array([heart.ef for heart in test])
    found = usefulness_scores(
        (made, taught), (simulated, taught), tested, fps=job.fps, seed=job.seed, on_step=on_step
    )  # fmt: skip
    return found.under("usefulness")


def conditions(job: Job, on_step: OnStep) -> Results:
    """EFs asked for, two pictures, pauses, texture and valve, on hearts of its own."""
    from echopulse.evaluate.conditions import HEARTS, PAUSE_HEARTS, condition_scores, hearts_paused, hearts_seen
    from echopulse.evaluate.hearts import SECONDS

    alike = {"size": job.size, "ecg_rate_hz": job.rate_hz}
    seen = hearts_seen(HEARTS, frames=round(SECONDS * job.fps), fps=job.fps, **alike)
    paused = hearts_paused(PAUSE_HEARTS, job.fps, **alike)
    return condition_scores(
        job.shared.bench, seen, paused, fps=job.fps, size=job.size, ours=job.pulse is not None, on_step=on_step
    ).under("conditions")


def ceiling(job: Job, on_step: OnStep) -> Results:
    """EF from picture and ECG on the clinical prior, beside a regressor that sees the same."""
    from echopulse.evaluate.ceiling import HEARTS, SEED, TEACHER_SEED, TEACHERS, ceiling_scores, pictures_and_ecgs
    from echopulse.evaluate.hearts import SECONDS
    from echopulse.pipeline import EchoPulse

    alike = {"fps": job.fps, "size": job.size, "ecg_rate_hz": job.rate_hz, "workers": job.workers}
    hearts = pictures_and_ecgs(HEARTS, SEED, frames=round(SECONDS * job.fps), **alike)
    teachers = pictures_and_ecgs(TEACHERS, TEACHER_SEED, **alike)
    return ceiling_scores(job.shared.bench, EchoPulse.from_pretrained(), hearts, teachers, job.pulse, on_step)


def long(job: Job, on_step: OnStep) -> Results:
    """A minute of video of a few hearts of its own."""
    from echopulse.evaluate.long import SECONDS, held_out_for_long, long_scores

    hearts = held_out_for_long(SECONDS, fps=job.fps, size=job.size, ecg_rate_hz=job.rate_hz)
    window = job.pulse.generator.config.window if job.pulse else None
    return long_scores(job.shared.bench, hearts, fps=job.fps, window=window, on_step=on_step).under("long")


def files(job: Job, on_step: OnStep) -> Results:
    """Beats of generated clips against those of ECG files."""
    from echopulse.evaluate.files import file_scores

    return Results.of(file_scores(job.pulse, job.paths, start=job.start, on_step=on_step))


RUN: dict[str, Callable[[Job, OnStep], Results]] = {
    one.__name__: one
    for one in (
        speed, tokenizer, measurer, timing, controls, quality, privacy, usefulness, conditions, ceiling, long, files,
    )
}  # fmt: skip
