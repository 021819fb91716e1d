"""Copies are found however they are disguised, strangers are left alone, and a model that copies fails visibly."""

import numpy as np
import pytest
import torch

from echopulse.errors import InputError
from echopulse.evaluate.privacy import FIGURES, CopyFilter, privacy_scores, reject_copies
from echopulse.evaluate.privacy.calibration import auc, auc_interval, share_interval, threshold
from echopulse.evaluate.privacy.pixels import PixelSpace, Small, likeness
from echopulse.evaluate.privacy.plants import BEYOND, PLANTS
from echopulse.evaluate.privacy.vectors import Remembered, VectorSpace, contrast

FPS, FRAMES, SIDE = 25.0, 18, 32
TRAINING, CALIBRATION, STRANGERS = 24, 40, 300


def toy_hearts(n: int, seed: int) -> list[np.ndarray]:
    """A fan with a dark cavity that beats in it, and bright walls, all of random place, size, rate and texture."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    fan = (np.abs(x - 0.5) < 0.75 * y + 0.05) & (np.hypot(x - 0.5, y) < 0.97)
    coarse = draw.normal(size=(n, 6, 6))
    clips = []
    for k in range(n):
        cx, cy, wide, high, slant = draw.uniform((0.35, 0.4, 0.1, 0.18, -0.5), (0.65, 0.65, 0.2, 0.3, 0.5))
        phase = 2 * np.pi * (draw.uniform() + np.arange(FRAMES) / FPS * draw.uniform(0.8, 2))[:, None, None]
        scale = 1 - draw.uniform(0.05, 0.25) * (1 + np.cos(phase)) / 2
        across, along = (x - cx) + slant * (y - cy), (y - cy)
        radius = np.hypot(across / wide, along / high) / scale
        texture = np.kron(coarse[k], np.ones((6, 6)))[:SIDE, :SIDE]
        grey = 70 + 25 * texture + 90 * np.exp(-((radius - 1.15) ** 2) / 0.03) - 55 * (radius < 1)
        grey = grey + draw.normal(0, 6, (FRAMES, SIDE, SIDE))
        clips.append(np.clip(grey * fan, 0, 255).astype(np.uint8))
    return clips


class ToyFeatures:
    """Means over the cells of a grid, and how much they move."""

    hash = "toy"

    def clips(self, clips, fps):
        cells = [frames.reshape(len(frames), 4, 8, 4, 8).mean((2, 4)).reshape(len(frames), -1) for frames in clips]
        return np.stack([np.concatenate([one.mean(0), one.std(0)]) for one in cells]).astype(np.float32)


@pytest.fixture(scope="module")
def hearts():
    made = toy_hearts(TRAINING + CALIBRATION + STRANGERS, seed=1)
    return made[:TRAINING], made[TRAINING : TRAINING + CALIBRATION], made[TRAINING + CALIBRATION :]


@pytest.fixture(scope="module")
def fitted(hearts):
    training, calibration, _ = hearts
    return CopyFilter.fit(training, FPS, held_out=calibration, features=ToyFeatures())


@pytest.mark.parametrize("kind", PLANTS)
def test_every_planted_copy_is_found_and_its_origin_named(hearts, fitted, kind):
    draw = np.random.default_rng(5)
    copies = [PLANTS[kind](frames, FPS, draw) for frames in hearts[0][:8]]
    judged = fitted.judge(copies, FPS)
    assert judged.flagged.all() and judged.kept == []
    assert judged.nearest["pixel"].which.tolist() == list(range(8))
    assert all(f"training clip {k}," in " ".join(why) for k, why in enumerate(judged.reasons))
    assert fitted.rejected(copies[:1], FPS) == {0: "; ".join(judged.reasons[0])}


def test_at_most_one_in_a_hundred_strangers_is_flagged(hearts, fitted):
    assert len(hearts[2]) == 300
    assert fitted.judge(hearts[2], FPS).flagged.mean() <= 0.01


def test_a_saved_filter_judges_as_before_and_keeps_to_its_features(hearts, fitted, tmp_path):
    fitted.save(tmp_path)
    clips = [hearts[0][3], *hearts[2][:4]]
    again, before = CopyFilter.load(tmp_path, ToyFeatures()).judge(clips, FPS), fitted.judge(clips, FPS)
    assert again.reasons == before.reasons and again.kept == [1, 2, 3, 4]
    with pytest.raises(InputError, match="copies.safetensors exists already"):
        fitted.save(tmp_path)
    with pytest.raises(InputError, match="fitted with features toy, given were none"):
        CopyFilter.load(tmp_path)
    with pytest.raises(InputError, match="no copy filter"):
        CopyFilter.load(tmp_path / "elsewhere")


def test_rejecting_needs_no_held_out_clips_and_takes_a_threshold(hearts):
    training, _, strangers = hearts
    clips = [strangers[0], PLANTS["flipped"](training[7], FPS, None), strangers[1]]
    for options in ({}, {"threshold": 0.01}):
        kept, reasons = reject_copies(clips, training, FPS, **options)
        assert kept == [0, 2] and list(reasons) == [1] and "training clip 7" in reasons[1][0]


def test_a_filter_fitted_without_held_out_clips_is_saved_without_a_network(hearts, tmp_path):
    fitted = CopyFilter.fit(hearts[0], FPS)
    assert list(fitted.thresholds) == ["pixel"]
    fitted.save(tmp_path)
    clips = [hearts[0][2], hearts[2][0]]
    assert CopyFilter.load(tmp_path, ToyFeatures()).judge(clips, FPS).reasons == fitted.judge(clips, FPS).reasons


def test_a_generator_that_copies_fails_and_one_that_does_not_passes(hearts):
    training, calibration, strangers = hearts
    held_out, honest = calibration, strangers[:20]
    draw = np.random.default_rng(0)
    shares = []
    copied = [PLANTS["brightened"](frames, FPS, draw) for frames in training[:20]]
    results = privacy_scores(copied, training, held_out, ToyFeatures(), FPS, seed=0, on_step=shares.append)
    assert results.scores["generated.flagged"] == 1 and results.scores["membership.pixel.auc"] > 0.75
    assert results.scores["membership.pixel.auc.low"] > 0.6
    passing = privacy_scores(honest, training, held_out, ToyFeatures(), FPS, seed=0)
    assert passing.scores["generated.flagged"] <= 0.05 and abs(passing.scores["membership.pixel.auc"] - 0.5) < 0.15
    for kind in PLANTS:
        assert passing.scores[f"planted.{kind}.found"] == 1 and passing.scores[f"planted.{kind}.found.n"] == TRAINING
        assert passing.scores[f"planted.{kind}.found.low"] == pytest.approx(0.025 ** (1 / TRAINING))
    assert passing.scores["reidentification.auc"] > 0.8
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1)
    told = {f"privacy.{key}" for key in passing.scores if key.rpartition(".")[2] not in ("n", "low", "high")}
    assert told == set(FIGURES)


@pytest.mark.parametrize("kind", PLANTS | BEYOND)
def test_planted_copies_are_clips_of_the_same_size(hearts, kind):
    odd = np.ascontiguousarray(hearts[0][0][:, :-1, :-3])
    copy = (PLANTS | BEYOND)[kind](odd, FPS, np.random.default_rng(0))
    assert copy.dtype == np.uint8 and copy.shape[1:] == odd.shape[1:]
    assert len(copy) == (FRAMES if kind not in ("late", "disguised") else 17)  # 0.68 s stay


def test_copies_turned_enlarged_and_slowed_are_what_they_say():
    bar = np.zeros((10, 65, 65), np.uint8)
    bar[:, 12:53, 31:34] = 200  # upright
    bar[5:, 0, 0] = 255
    turned, enlarged, slowed = (BEYOND[kind](bar, FPS, None) for kind in ("rotated", "zoomed", "slowed"))
    columns = [np.average(np.arange(65), weights=turned[0, row]) - 32 for row in (20, 32, 44)]
    assert abs(columns[1]) < 0.1 and np.allclose(np.abs(columns)[[0, 2]], 12 * np.tan(np.deg2rad(10)), atol=0.3)
    assert columns[0] * columns[2] < 0
    assert (enlarged[0, :, 32] > 100).sum() == pytest.approx(41 * 1.2, abs=1)
    assert np.flatnonzero(slowed[:, 0, 0])[0] == 6 and len(slowed) == 10


def test_likeness_takes_the_best_lag_and_ignores_those_with_little_overlap():
    basis = torch.eye(8)
    reference = basis[[0, 1, 2, 3, 4, 5]]
    late = basis[[3, 4, 5, 6]][None]  # three of its four pictures meet at a lag of three
    single = basis[[5, 6, 7, 7]][None]  # 5 with 5 alone would be less than half
    assert likeness(late, [reference], 1).item() == pytest.approx(1)
    assert likeness(single, [reference], 1).item() == pytest.approx(0)
    assert likeness(basis[[0, 2, 4]][None], [reference], 2).item() == pytest.approx(1)


def test_pixel_distance_is_0_to_a_copy_and_skips_the_clip_itself_where_asked(hearts):
    small = Small.of(hearts[0][:6], FPS)
    space = PixelSpace.fit(small)
    found = space.nearest(small, small)
    assert found.which.tolist() == list(range(6)) and np.allclose(found.distance, 0, atol=1e-5)
    assert not np.any(space.nearest(small, small, others=True).which == np.arange(6))


def test_a_clip_at_twice_the_frame_rate_is_the_same_clip(hearts):
    small = Small.of(hearts[0][:4], FPS)
    doubled = Small.of([np.repeat(frames, 2, 0)[:-1] for frames in hearts[0][:4]], 2 * FPS)
    assert np.allclose(PixelSpace.fit(small).nearest(doubled, small).distance, 0, atol=1e-5)


def test_vector_distances_are_euclidean_over_standardised_features():
    space = VectorSpace.fit(np.array([[0.0, 10.0], [2.0, 30.0]]))  # means 1, 20; spreads 1, 10
    found = space.nearest(np.array([[[0.0, 20.0]], [[2.0, 20.0]]]))
    assert found.distance[0] == pytest.approx(np.sqrt(0.5)) and found.which[0] in (0, 1)


def test_features_of_a_clip_are_worked_out_once():
    class Counting(ToyFeatures):
        seen = 0

        def clips(self, clips, fps):
            self.seen += len(clips)
            return super().clips(clips, fps)

    made, counting = toy_hearts(3, 8), Counting()
    remembered = Remembered(counting)
    first = remembered.clips([made[0], made[1], made[0]], FPS)
    again = remembered.clips([made[1], made[2], made[0]], FPS)
    assert counting.seen == 3 and remembered.hash == "toy"
    assert np.array_equal(again, ToyFeatures().clips([made[1], made[2], made[0]], FPS))
    assert np.array_equal(first[0], again[2])


def test_contrast_is_the_cross_entropy_of_finding_the_partner():
    pairs = torch.eye(2).repeat(2, 1)  # 0 and 2 alike, 1 and 3 alike, the others at right angles
    expected = -np.log(np.exp(10) / (np.exp(10) + 2))
    assert contrast(pairs).item() == pytest.approx(expected, abs=1e-6)


def test_threshold_is_below_the_quantile_of_a_power_law_by_what_the_tail_leaves_open():
    n, k = 4000, 3.0
    distances = ((np.arange(n) + 0.5) / n) ** (1 / k)  # P(D < d) = d³
    for level in (0.02, 0.001, 1e-5):
        # the upper limit of 1/k from 400 values is 1 + 1.645 / sqrt(400) times it, give or take the gamma's skewness
        sure = 0.1 ** (1 / k) * (level / 0.1) ** ((1 + 1.645 / 400**0.5) / k)
        assert threshold(distances, level) == pytest.approx(sure, rel=0.02) and sure < level ** (1 / k)


def test_thresholds_from_small_samples_seldom_flag_more_than_asked():
    draw = np.random.default_rng(0)
    flagged = [threshold(draw.uniform(size=60) ** (1 / 3), 0.005) ** 3 for _ in range(200)]  # P(D < d) = d³
    assert np.mean(np.array(flagged) > 0.005) < 0.1
    with pytest.raises(InputError, match="19 distances .* at least 20"):
        threshold(np.ones(19), 0.01)


def test_auc_counts_pairs_and_its_interval_holds_it():
    members, others = np.array([1.0, 2.0, 5.0]), np.array([2.0, 4.0])
    assert auc(members, others) == pytest.approx((1 + 1 + 0.5 + 1) / 6)
    low, high = auc_interval(np.arange(30.0), np.arange(30.0) + 5, seed=0)
    assert low < auc(np.arange(30.0), np.arange(30.0) + 5) < high < 1


def test_the_exact_interval_of_a_share_is_open_where_nothing_or_everything_was_hit():
    assert share_interval(0, 192) == pytest.approx((0, 1 - 0.025 ** (1 / 192)))
    assert share_interval(64, 64) == pytest.approx((0.025 ** (1 / 64), 1))
    assert share_interval(2, 20) == pytest.approx((0.0123, 0.3170), abs=1e-4)  # Clopper and Pearson's own chart


def test_pictures_of_unlike_sizes_are_refused(hearts, fitted):
    training, held_out, _ = hearts
    small = training[0][:, :24, :30]
    with pytest.raises(InputError, match="2 of the training clips is 30 x 24 pixels, number 0 is 32 x 32; bring all"):
        CopyFilter.fit([*training[:2], small, *training[2:]], FPS)
    with pytest.raises(InputError, match="number 1 of the clips to judge is 30 x 24 pixels, the training clips are 32"):
        fitted.judge([training[0], small], FPS)
    with pytest.raises(InputError, match="number 0 of the generated clips is 30 x 24 pixels, the training clips are"):
        privacy_scores([small] * 20, training, held_out, None, FPS)
    with pytest.raises(InputError, match="number 0 of the clips to judge is 30 x 24 pixels"):
        reject_copies([small], training, FPS, threshold=0.1)


def test_what_cannot_be_judged_is_refused(hearts, fitted):
    training = hearts[0]
    with pytest.raises(InputError, match="19 training clips: at least 20"):
        CopyFilter.fit(training[:19], FPS)
    with pytest.raises(InputError, match="0 clips to judge: at least 1"):
        fitted.judge([], FPS)
    with pytest.raises(InputError, match="19 generated clips: at least 20"):
        privacy_scores(training[:19], training, hearts[1], None, FPS)
    with pytest.raises(InputError, match="39 held-out clips: at least 40"):
        privacy_scores(training, training, [*training, *training[:15]], None, FPS)
    with pytest.raises(InputError, match=r"number 1 of the clips to judge is float64 \[18, 32, 32\]"):
        fitted.judge([training[0], training[0] / 255], FPS)
    for clip, found in ((training[0][:1], r"uint8 \[1, 32, 32\]"), (training[0][..., :0], r"uint8 \[18, 32, 0\]"),
                        (training[0].tolist(), "list")):  # fmt: skip
        with pytest.raises(InputError, match=f"number 0 of the clips to judge is {found}; grey pictures"):
            fitted.judge([clip], FPS)
    with pytest.raises(InputError, match="0 frames/s"):
        fitted.judge(training[:1], 0)
