"""The curve of volumes: what is looked at once, what it learns from, and what stays as it is."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from echopulse.errors import InputError
from echopulse.measure import Segmenter, SegmenterConfig
from echopulse.measure.segmenter import outline_all
from echopulse.phantom.types import LABELS
from echopulse.train import Settings, volume_curve
from echopulse.train.measurer import log_pixel_volumes
from echopulse.train.volume_curve import (
    draw_frames,
    ef_scores,
    look_at_bank,
    train_curve_head,
    with_curve_head,
    without_curve_head,
)

CONFIG = SegmenterConfig(size=32, channels=(8, 8, 8), groups=4, classes=7, context_s=0.08, volumes=True)
SETTINGS = Settings(steps=2, warmup=1, evaluate_every=2)


@pytest.fixture
def segmenter() -> Segmenter:
    """Untrained, but it takes everything for cavity."""
    torch.manual_seed(0)
    network = Segmenter(CONFIG).eval()
    with torch.no_grad():
        network.head.weight.mul_(0.1)
        network.head.bias.zero_()
        network.head.bias.view(len(LABELS), 4)[LABELS.index("lv")] = 9.0
    return network


@pytest.fixture
def small_bank(toy_bank):
    """Its first six frames."""
    return shortened(toy_bank, slice(None))


def shortened(bank, rows):
    per_frame = ("frames", "lv_mask", "volume_ml", "mitral_opening")
    return replace(bank, tensors={k: v[rows, :6] if k in per_frame else v[rows] for k, v in bank.tensors.items()})


def test_what_is_seen_of_a_bank_is_what_measuring_its_clips_sees(segmenter, small_bank, tmp_path):
    looks = look_at_bank(with_curve_head(segmenter, 1), small_bank, tmp_path, versions=2)
    assert looks.seen.shape[:3] == looks.alone.shape == looks.truth.shape == (4, 2, 6)
    for clip, alone in zip(small_bank.frames, looks.alone[:, 0], strict=True):
        measured = outline_all(segmenter, clip.numpy(), np.arange(6) / small_bank.fps).volumes
        assert alone.exp().numpy() == pytest.approx(measured, rel=2e-3)
    assert float((looks.seen[:, 1].float() - looks.seen[:, 0].float()).abs().max()) > 0.01  # the second is another look


def test_the_truth_grows_with_the_picture(segmenter, small_bank, tmp_path):
    looks = look_at_bank(with_curve_head(segmenter, 1), small_bank, tmp_path, versions=4)
    plain = log_pixel_volumes(small_bank, torch.arange(4), torch.arange(6).expand(4, -1))
    assert torch.allclose(looks.truth[:, 0], plain)
    grown = looks.truth - plain[:, None]
    assert torch.allclose(grown, grown[..., :1].expand_as(grown), atol=1e-5)  # the same in all frames of a clip
    assert 0.1 < float(grown[:, 1:].abs().max()) < 1.0


def test_a_bank_is_looked_at_once_and_by_every_segmenter_anew(segmenter, small_bank, tmp_path, monkeypatch):
    monkeypatch.setattr(volume_curve, "CLIPS_AT_ONCE", 2)
    made = []
    look = volume_curve._look_at_clips
    monkeypatch.setattr(volume_curve, "_look_at_clips", lambda *given: made.append(len(given[1])) or look(*given))
    grown = with_curve_head(segmenter, 1)
    told = []
    few = shortened(small_bank, slice(2))
    look_at_bank(grown, few, tmp_path, versions=2)
    first = look_at_bank(grown, small_bank, tmp_path, versions=2, on_progress=told.append)
    assert made == [2, 2] and told == [0.5, 1.0]  # the second call had only what came
    again = look_at_bank(with_curve_head(segmenter, 2, seed=5), small_bank, tmp_path, versions=2)
    assert made == [2, 2] and torch.equal(first.seen, again.seen)  # the curve head does not look
    with torch.no_grad():
        grown.head.bias.add_(1.0)
    look_at_bank(grown, small_bank, tmp_path, versions=2)
    assert made == [2, 2, 2, 2]


def test_only_the_curve_head_is_trained(segmenter, small_bank, tmp_path):
    before = {name: value.clone() for name, value in segmenter.state_dict().items()}
    untrained = with_curve_head(segmenter, 1, SETTINGS.seed).curve_head.state_dict()
    grown, scores = train_curve_head(segmenter, 1, small_bank, small_bank, tmp_path, SETTINGS, batch=2)
    assert set(scores) == {"ef_error", "ef_error_median", "ef_r2", "ef_error_alone"}
    assert all(torch.equal(value, before[name]) for name, value in segmenter.state_dict().items())
    assert all(torch.equal(value, before[name]) for name, value in without_curve_head(grown).state_dict().items())
    assert grown.config == replace(CONFIG, sequence=1)
    trained = grown.curve_head.state_dict()
    assert not torch.equal(trained["change.weight"], untrained["change.weight"])
    with pytest.raises(InputError, match="holds a run already"):
        train_curve_head(segmenter, 1, small_bank, small_bank, tmp_path, SETTINGS, batch=2)
    again, _ = train_curve_head(segmenter, 1, small_bank, small_bank, tmp_path, SETTINGS, batch=2, resume=True)
    assert all(torch.equal(value, trained[name]) for name, value in again.curve_head.state_dict().items())


def test_a_bank_without_apical_views_is_refused(segmenter, small_bank, tmp_path):
    short_axes = replace(small_bank, tensors={**small_bank.tensors, "view": torch.full((4,), 5)})
    with pytest.raises(InputError, match="no clip shows one of a4c, a2c, a3c"):
        train_curve_head(segmenter, 1, short_axes, small_bank, tmp_path, SETTINGS)


def test_clips_are_shown_whole_in_stretches_thinned_and_as_single_frames():
    shown = [draw_frames(3, 16, torch.Generator().manual_seed(seed)) for seed in range(200)]
    assert all(frames.shape[0] == 3 and bool((frames.diff(dim=1) > 0).all()) for frames in shown)
    assert all(0 <= int(frames.min()) and int(frames.max()) < 16 for frames in shown)
    counts = [frames.shape[1] for frames in shown]
    assert 0.3 < np.mean([k == 16 for k in counts]) < 0.55 and 1 in counts
    fewer = [frames for frames in shown if 2 < frames.shape[1] < 16]
    stretches = np.mean([bool((frames.diff(dim=1) == 1).all()) for frames in fewer])
    assert 0.3 < stretches < 0.8


def test_scores_are_those_of_the_truly_fullest_and_emptiest_frames():
    truth = torch.log(torch.tensor([[100.0, 50.0, 80.0], [100.0, 90.0, 30.0]]))
    read = torch.log(torch.tensor([[100.0, 40.0, 10.0], [200.0, 90.0, 60.0]]))
    found = ef_scores(read, truth)
    assert found["ef_error"] == pytest.approx(0.05) and found["ef_r2"] == pytest.approx(1 - 0.005 / 0.01)
