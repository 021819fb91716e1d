"""What conditions buy, from a bench that knows the truth and from one that ignores what it is told."""

from dataclasses import replace

import numpy as np
import pytest

from echopulse.evaluate.conditions import (
    Paused,
    Seen,
    condition_scores,
    follow_pauses,
    hearts_paused,
    hearts_seen,
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
    def generate(ecg, begin_s, frames, *, later=(), **conditions):
        return obedient.generate(ecg, begin_s, frames, **conditions)

    told: list[float] = []
    bench = replace(obedient, generate=generate)
    scores = condition_scores(bench, seen, [], fps=FPS, asked=(0.3, 0.6), on_step=told.append).scores
    assert scores["asked.mae"] < 0.03 and scores["asked.r2"] > 0.95
    assert scores["asked.0.3"] == pytest.approx(0.3, abs=0.03)
    assert scores["one_picture.mae"] < 0.03 and scores["two_pictures.mae"] < 0.03 and told[-1] == 1
    assert "two_pictures.mae" not in condition_scores(bench, seen, [], fps=FPS, asked=(0.3,), pictures=False).scores


def test_pictures_at_end_diastole_and_end_systole_are_given_at_their_times(obedient, seen):
    given = []

    def generate(ecg, begin_s, frames, *, later=(), **conditions):
        given.append(later)
        return obedient.generate(ecg, begin_s, frames, **conditions)

    condition_scores(replace(obedient, generate=generate), seen[:1], [], fps=FPS, asked=())
    (_, full_s), (picture, empty_s) = given[-1]
    heart = seen[0].heart
    frame = round(empty_s * FPS)
    assert full_s < empty_s < full_s + 0.6 and np.array_equal(picture, heart.frames[frame])
    inside = (heart.times_s > heart.cycles[0][0]) & (heart.times_s < heart.cycles[0][1])
    assert heart.volume_ml[frame] == pytest.approx(heart.volume_ml[inside].min(), abs=0.5)


def test_strokes_after_pauses_are_told_from_those_before(obedient):
    one, weak = paused_heart(), paused_heart(weak=True)
    assert strokes(one.times_s, one.volume_ml, one.heart.r_peaks_s) == pytest.approx([50, 50, 50, 70, 50, 70], abs=3)
    for shown, share in ((one, 1.0), (weak, 0.0)):
        bench = replace(obedient, generate=lambda *_, shown=shown, **__: spell(shown.volume_ml), measure=read)
        fuller, r = follow_pauses(bench, one, FPS)
        assert len(fuller) == 2 and np.mean(fuller) == share
        assert r > 0.95


def test_hearts_are_simulated_with_what_is_asked_of_them():
    (one,) = hearts_seen(1, size=32, fps=FPS, frames=50, ecg_rate_hz=200.0)
    assert one.heart.cycles and one.labels.shape == (50, 32, 32) and one.opening.shape == (50,)
    paused = hearts_paused(3, FPS, size=32, ecg_rate_hz=200.0)
    assert [each.heart.rhythm for each in paused] == ["af", "af", "pvc"]
    for each in paused:
        assert each.volume_ml.shape == each.times_s.shape == (150,) and each.heart.r_peaks_s.max() > 5
        assert np.ptp(each.volume_ml) > 5
