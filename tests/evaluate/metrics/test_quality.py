"""The quality figures as a whole: they know a copy, a fog, a flicker and a frozen heart."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, shift

from echopulse.errors import InputError
from echopulse.evaluate.features import EchoFeatures
from echopulse.evaluate.metrics.networks import Networks
from echopulse.evaluate.metrics.quality import FIGURES, quality_scores
from echopulse.measure import Segmenter, SegmenterConfig

CLIPS, FRAMES, SIDE, FPS = 9, 20, 48, 25.0


def beating(seed: int) -> np.ndarray:
    """A disc of texture that swings sideways, uint8 [20, 48, 48]."""
    draw = np.random.default_rng(seed)
    texture = gaussian_filter(draw.normal(size=(SIDE, SIDE)), 1.2)
    rows, columns = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    disc = rows**2 + columns**2 < 20**2
    rate, phase = draw.uniform(1, 2), draw.uniform(0, 6)
    swing = [2 * np.sin(2 * np.pi * rate * t / FPS + phase) for t in range(FRAMES)]
    moved = np.stack([shift(texture, (0, x), order=1, mode="wrap") for x in swing])
    return (disc * (120 + 60 * moved / texture.std() / 2).clip(20, 255)).astype(np.uint8)


@pytest.fixture(scope="module")
def real() -> list[np.ndarray]:
    return [beating(seed) for seed in range(CLIPS)]


@pytest.fixture(scope="module")
def features() -> EchoFeatures:
    network = Segmenter(SegmenterConfig(size=32, channels=(16, 24)))
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    return EchoFeatures.bundled(network)


def test_a_copy_is_perfect_and_every_figure_is_described(real, features):
    steps = []
    found = quality_scores(real, real, features, FPS, on_step=steps.append)
    assert found.scores["mse"] == 0 and found.scores["psnr"] == math.inf
    assert found.scores["ssim"] == pytest.approx(1) and found.scores["ms_ssim_3_scales"] == pytest.approx(1)
    assert found.scores["fvd_echo"] < 1e-3 * found.scores["fvd_echo.halves"]
    assert found.scores["fid_echo"] < 1e-3 * found.scores["fid_echo.halves"]
    assert found.scores["echo.coverage"] == found.scores["echo.precision"] == 1
    assert found.scores["spectrum_distance"] == 0
    assert found.scores["echo.hash"] == features.hash == found.about["features"]["hash"]
    named = {f"quality.{key}" for key in found.scores if not key.endswith((".n", ".missing"))}
    assert named <= set(FIGURES)
    assert len(found.columns["ssim"]) == CLIPS and found.scores["ssim.n"] == CLIPS
    assert steps == sorted(steps) and steps[-1] == 1
    assert any("FVD" not in one and "samples of 96 features" in one for one in found.about["remarks"])


def test_flicker_fog_and_standing_still_each_show_in_their_own_figure(real, features):
    flickering = [np.clip(clip + (clip > 0) * 30.0 * (np.arange(FRAMES) % 2)[:, None, None], 0, 255) for clip in real]
    foggy = [gaussian_filter(clip, (0, 2, 2)) for clip in real]
    frozen = [np.repeat(clip[:1], FRAMES, 0) for clip in real]
    flicker, fog, still = (
        quality_scores(real, [clip.astype(np.uint8) for clip in made], features, FPS).scores
        for made in (flickering, foggy, frozen)
    )
    assert flicker["real.flicker"] < 0.1 < 0.9 < flicker["generated.flicker"]
    assert fog["ssim"] < 0.9 and fog["fid_echo"] > 3 * fog["fid_echo.halves"]
    assert still["generated.frame_correlation"] == pytest.approx(1) and still["generated.pixel_flicker"] == 0
    assert still["fvd_echo"] > 2 * still["fvd_echo.halves"] and still["echo.coverage"] == 0
    assert math.isnan(still["spectrum_distance"])


def test_sets_without_pairs_may_differ_in_number_and_shape(real, features):
    others = [clip[:, :40] for clip in real[:8]]
    found = quality_scores(real, others, features, FPS, paired=False).scores
    assert "ssim" not in found and found["fvd_echo"] > 0


def test_the_users_networks_bring_the_bare_names(real, features):
    class Frames:
        def frames(self, frames, side=0):
            return np.stack([frames.mean((1, 2)), frames.std((1, 2))], 1)

    class Clips:
        def clips(self, clips, length):
            return np.stack([[clip[:length].mean(), clip[:length].std()] for clip in clips])

    networks = Networks(inception=Frames(), i3d=Clips(), hashes={"i3d": "abc"})
    found = quality_scores(real, [clip // 2 for clip in real], features, FPS, networks=networks, as_published=True)
    assert found.scores["fid"] > 100 and found.scores["fvd_16"] > 100 and "fvd_128" not in found.scores
    assert found.scores["fid.n"] == CLIPS * 5 and found.scores["as_published.fid_per_frame"] > 10
    assert found.about["features"]["i3d"] == "abc"
    assert {f"quality.{key}" for key in found.scores if not key.endswith((".n", ".missing"))} <= set(FIGURES)


def test_what_does_not_compare_is_refused_with_what_is_needed(real, features):
    with pytest.raises(InputError, match="7 generated clips: quality needs at least 8"):
        quality_scores(real, real[:7], features, FPS)
    with pytest.raises(InputError, match="9 real and 8 generated"):
        quality_scores(real, real[:8], features, FPS)
    with pytest.raises(InputError, match=r"pair 0: real \(20, 48, 48\), generated \(19, 48, 48\)"):
        quality_scores(real, [clip[1:] for clip in real], features, FPS)
    with pytest.raises(InputError, match="0.64 s"):
        quality_scores([clip[:12] for clip in real], [clip[:12] for clip in real], features, FPS)
    with pytest.raises(InputError, match="float64"):
        quality_scores(real, [clip / 255 for clip in real], features, FPS)
