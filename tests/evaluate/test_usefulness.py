"""A regressor learns EF from pictures that show it, learns nothing from wrong labels, and says how sure that is."""

import numpy as np
import pytest
import torch

from echopulse.errors import InputError
from echopulse.evaluate import usefulness
from echopulse.evaluate.metrics.ejection import agreement
from echopulse.evaluate.usefulness import FIGURES, FRAMES, _intervals, _stretch, usefulness_scores

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
    good = usefulness_scores(made, training, test, fps=FPS, seeds=2, steps=30, on_step=done.append).scores
    bad = usefulness_scores(wrong, training, test, fps=FPS, seeds=2, steps=30)
    assert good["generated.r2"] > 0.6 and good["training.r2"] > 0.6
    assert bad.scores["generated.r2"] < 0.3 and bad.scores["generated.mae_more.low"] > 0
    assert good["generated.mae"] < good["constant.mae"] / 2
    assert good["generated.r2.low"] < good["generated.r2"] < good["generated.r2.high"]
    assert (good["clips"], good["test_clips"], good["fits"], good["steps"]) == (24, 12, 2, 30)
    assert done[-1] == 1 and len(done) == 6
    told = {f"usefulness.{key}" for key in good if key.rpartition(".")[2] not in ("n", "missing", "low", "high")}
    assert told == set(FIGURES)
    found, true = (np.array(bad.columns[f"training.ef_{which}"]) for which in ("found", "true"))
    assert np.allclose(true, test[1]) and agreement(found, true).r2 > 0.6


def test_intervals_hold_what_other_clips_and_other_fits_would_have_given():
    draw = np.random.default_rng(0)
    true, noise = draw.uniform(0.2, 0.7, (40, 60)), draw.normal(0, 0.1, (40, 2, 3, 60))
    noise += draw.normal(0, 0.05, (40, 2, 3, 1))  # what a fit adds to all its answers
    held = []
    for ef, (one, other) in zip(true, noise, strict=True):
        found = {"training": ef + one, "generated": ef + other, "both": ef + one}
        sure = _intervals(found, ef, np.random.default_rng(1))
        assert sure["both.mae_more"] == 0 and sure["both.mae_more.n"] == 60
        assert sure["generated.mae.low"] < np.abs(other).mean() < sure["generated.mae.high"]
        held.append(sure["generated.mae_more.low"] < 0 < sure["generated.mae_more.high"])
    assert np.mean(held) > 0.85  # 95 % with as many fits as clips


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
        ((([[]] * 16, enough[1]), enough, test), "number 0 of the generated clips is list; grey pictures uint8"),
        ((enough, ([*enough[0][:-1], enough[0][0][:1]], enough[1]), test), r"15 of the training clips is uint8 \[1, "),
        ((enough, enough, ([one[..., :0] for one in test[0]], test[1])), r"0 of the test clips is uint8 \[17, 32, 0"),
    ):
        with pytest.raises(InputError, match=said):
            usefulness_scores(*sets, fps=FPS)
