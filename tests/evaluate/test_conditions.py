"""What conditions buy, from a bench that knows the truth and from one that ignores what it is told."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from echopulse.evaluate.conditions import (
    Paused,
    Seen,
    condition_scores,
    follow_pauses,
    hearts_paused,
    hearts_seen,
    phases_of,
    strokes,
)
from tests.evaluate.conftest import KnownHeart, read, spell

FPS = 25.0


@pytest.fixture
def seen(hearts) -> list[Seen]:
    return [
        Seen(replace(heart, sector=np.ones(heart.frames.shape[1:], bool)), np.zeros(heart.frames.shape, np.uint8),
             np.zeros(len(heart.times_s)))
        for heart in hearts
    ]  # fmt: skip


def paused_heart(weak: bool = False) -> Paused:
    """Beats 0.7 s apart but for pauses of 1.2 s; strokes of 50 ml, 70 ml after a pause (or less, if weak)."""
    peaks = np.cumsum([0.3, *[0.7, 0.7, 1.2, 0.7, 1.2, 0.7]])
    times = np.arange(150) / FPS
    volume, before = np.full(len(times), 120.0), 0.7
    for start, stop in zip(peaks, [*peaks[1:], 7.0], strict=True):
        size = (30 if weak else 70) if before > 1 else 50
        u = (times - start) / 0.6
        volume -= np.where((u > 0) & (u < 1), size * np.sin(np.pi * np.clip(u, 0, 1)), 0)
        before = stop - start
    heart = replace(KnownHeart(0, 72, 0.3, 0.5).as_heart(0), r_peaks_s=peaks)
    return Paused(heart, times, volume)


def test_an_oracle_obeys_every_condition(obedient, seen):
    def generate(ecg, begin_s, frames, *, later=(), grain=False, **conditions):
        return obedient.generate(ecg, begin_s, frames, **conditions)

    told: list[float] = []
    bench = replace(obedient, generate=generate)
    scores = condition_scores(bench, seen, [], fps=FPS, size=32, asked=(0.3, 0.6), on_step=told.append).scores
    for way in ("asked", "against"):
        assert scores[f"{way}.mae"] < 0.03 and scores[f"{way}.r2"] > 0.95
        assert scores[f"{way}.0.3"] == pytest.approx(0.3, abs=0.03)
    assert scores["one_picture.mae"] < 0.03 and told[-1] == 1
    assert scores["asked.r2.n"] == 2 * len(seen) and scores["asked.r2.missing"] == 0
    foreign = replace(obedient, generate=lambda *a, **k: obedient.generate(*a, **k))  # takes neither grain nor pictures
    scores = condition_scores(foreign, seen, [], fps=FPS, size=32, asked=(0.3,), ours=False).scores
    assert "two_pictures.mae" not in scores and "one_picture.mae" in scores


def test_an_ef_is_asked_for_with_a_picture_of_such_a_heart_and_with_one_of_another(obedient, seen):
    def generate(ecg, begin_s, frames, *, first, ef, later=(), grain=False, **conditions):
        told = ef if any(torch.equal(first, one.heart.frames[0]) for one in seen) else 0.1
        return obedient.generate(ecg, begin_s, frames, first=first, ef=told, **conditions)

    scores = condition_scores(replace(obedient, generate=generate), seen, [], fps=FPS, size=32, asked=(0.5,)).scores
    assert scores["asked.0.5"] == pytest.approx(0.1, abs=0.03) and scores["against.0.5"] == pytest.approx(0.5, abs=0.03)


def test_what_the_picture_tells_of_the_ef_is_tried_without_telling_it(obedient, seen):
    def generate(ecg, begin_s, frames, *, first, ef, later=(), grain=False, **conditions):
        return obedient.generate(ecg, begin_s, frames, first=first, ef=0.2 if ef is None else ef, **conditions)

    scores = condition_scores(replace(obedient, generate=generate), seen, [], fps=FPS, size=32, asked=(0.5,)).scores
    assert scores["untold.0.5"] == pytest.approx(0.2, abs=0.03) and scores["asked.0.5"] == pytest.approx(0.5, abs=0.03)


def test_the_ef_from_two_pictures_is_that_of_the_pictures_given(obedient, seen):
    def generate(ecg, begin_s, frames, *, later=(), grain=False, ef=None, **conditions):
        volumes = [float(picture[0, 0] + picture[0, 1] / 256) for picture, _ in later]
        told = 1 - min(volumes) / max(volumes) if volumes else 0.1  # knows nothing but the pictures
        return obedient.generate(ecg, begin_s, frames, ef=told, **conditions)

    scores = condition_scores(replace(obedient, generate=generate), seen, [], fps=FPS, size=32, asked=()).scores
    assert scores["two_pictures.mae"] < 0.03 < 0.2 < scores["one_picture.mae"]


def test_end_diastole_is_at_the_beginning_of_a_cycle_that_ends_fuller(seen):
    heart = seen[0].heart
    rising = replace(heart, volume_ml=heart.volume_ml + 60 * (heart.times_s - heart.times_s[0]))
    full, empty = phases_of(rising)
    (start, stop), *_ = [cycle for cycle in heart.cycles if cycle[0] <= heart.times_s[full] < cycle[1]]
    assert start <= heart.times_s[full] <= start + 0.13 and heart.times_s[full] < heart.times_s[empty] < stop
    inside = (heart.times_s > heart.times_s[full]) & (heart.times_s < stop)
    assert rising.volume_ml[empty] == rising.volume_ml[inside].min()


def test_strokes_after_pauses_are_told_from_those_before(obedient):
    one, weak = paused_heart(), paused_heart(weak=True)
    assert strokes(one.times_s, one.volume_ml, one.heart.r_peaks_s) == pytest.approx([50, 50, 50, 70, 50, 70], abs=3)
    for shown, share in ((one, 1.0), (weak, 0.0)):
        bench = replace(obedient, generate=lambda *_, shown=shown, **__: spell(shown.volume_ml), measure=read)
        fuller, r, kept = follow_pauses(bench, one, FPS)
        assert len(fuller) == 2 and np.mean(fuller) == share
        assert r > 0.95 and kept > 0.7
    half = np.where(one.times_s < 3, one.volume_ml, 120.0)  # beats for three seconds, then stands
    bench = replace(obedient, generate=lambda *_, **__: spell(half), measure=read)
    _, r, kept = follow_pauses(bench, one, FPS)
    assert np.isnan(r) and kept < 0.6
    skipped = replace(one, volume_ml=half)  # what the truth does not show need not be shown, and tells of nothing
    assert follow_pauses(bench, skipped, FPS)[1:] == (None, 1.0)


def test_hearts_are_simulated_with_what_is_asked_of_them():
    (one,) = hearts_seen(1, size=32, fps=FPS, frames=50, ecg_rate_hz=200.0)
    assert one.heart.cycles and one.labels.shape == (50, 32, 32) and one.opening.shape == (50,)
    paused = hearts_paused(3, FPS, size=32, ecg_rate_hz=200.0)
    assert [each.heart.rhythm for each in paused] == ["af", "af", "pvc"]
    for each in paused:
        assert each.volume_ml.shape == each.times_s.shape == (150,) and each.heart.r_peaks_s.max() > 5
        assert np.ptp(each.volume_ml) > 5
