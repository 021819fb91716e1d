"""A regressor learns EF from pictures that show it, learns nothing from wrong labels, and says how sure that is."""

import numpy as np
import pytest
import torch

from echopulse.errors import InputError
from echopulse.evaluate import usefulness
from echopulse.evaluate.metrics.ejection import agreement
from echopulse.evaluate.usefulness import FIGURES, FRAMES, _stretch, usefulness_scores

FPS = 10.0


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    monkeypatch.setattr(usefulness, "SIDE", 16)


def hearts(n: int, seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Dark discs in grey that beat once, by their EF."""
    draw = np.random.default_rng(seed)
    ef = draw.uniform(0.1, 0.8, n)
    y, x = np.mgrid[:32, :32] / 32 - 0.5
    scale = 1 - ef[:, None] * np.sin(np.linspace(0, np.pi, 17)) ** 2
    clips = [np.where(np.hypot(x, y) < 0.35 * scale[k, :, None, None], 20, 150).astype(np.uint8) for k in range(n)]
    return clips, ef


def test_good_labels_teach_and_wrong_ones_do_not():
    training, test = hearts(24, 1), hearts(12, 2)
    made = hearts(30, 3)
    wrong = made[0], np.random.default_rng(0).permutation(made[1])
    done = []
    results = usefulness_scores(wrong, training, test, fps=FPS, seeds=2, steps=30, on_step=done.append)
    scores = results.scores
    assert scores["training.r2"] > 0.6 and scores["generated.r2"] < 0.3 and scores["generated.mae_more.low"] > 0
    assert (scores["clips"], scores["test_clips"], scores["fits"], scores["steps"]) == (24, 12, 2, 30)
    assert done[-1] == 1 and len(done) == 6
    told = {f"usefulness.{key}" for key in scores if key.rpartition(".")[2] not in ("n", "missing", "low", "high")}
    assert told == set(FIGURES)
    found, true = (np.array(results.columns[f"training.ef_{which}"]) for which in ("found", "true"))
    assert np.allclose(true, test[1]) and agreement(found, true).r2 > 0.6


def test_the_same_seed_gives_the_same_figures():
    sets = hearts(16, 1), hearts(16, 2), hearts(10, 3)
    first, second = (usefulness_scores(*sets, fps=FPS, seeds=1, steps=2, seed=5).scores for _ in range(2))
    assert first == pytest.approx(second, nan_ok=True)


def test_a_stretch_spans_a_slow_beat_or_the_whole_of_a_short_clip():
    long, short = torch.arange(100)[:, None, None], torch.arange(9)[:, None, None]
    assert _stretch(long, 25.0, 0)[[0, -1]].flatten().tolist() == [0, 40]
    assert _stretch(long, 25.0, 1)[[0, -1]].flatten().tolist() == [59, 99]
    assert _stretch(short, 25.0, 0.5)[[0, -1]].flatten().tolist() == [0, 8] and len(_stretch(short, 25.0, 0)) == FRAMES


def test_too_few_clips_or_no_labels_are_refused():
    enough, test = hearts(16, 1), hearts(10, 2)
    for sets, said in (
        ((hearts(15, 1), enough, test), "15 generated clips: at least 16"),
        ((enough, hearts(15, 1), test), "15 training clips: at least 16"),
        ((enough, enough, hearts(9, 1)), "9 test clips: at least 10"),
        (((enough[0], enough[1][:-1]), enough, test), "16 generated clips with 15 EFs"),
        (((enough[0], 100 * enough[1]), enough, test), "no fraction between 0 and 1"),
        (((enough[0], 0 * enough[1] + 0.5), enough, test), "EFs that spread by 0.000"),
    ):
        with pytest.raises(InputError, match=said):
            usefulness_scores(*sets, fps=FPS)
