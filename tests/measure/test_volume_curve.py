"""Volumes read with the other frames of the clip: what may change, whom a frame sees, and that the others help."""

import numpy as np
import pytest
import torch

from echopulse.measure import Segmenter, SegmenterConfig
from echopulse.measure.segmenter import outline_all
from echopulse.measure.volume_curve import LARGEST, REACH_S, CurveHead, curve_loss, strands_of
from echopulse.model.config import config_from_dict
from echopulse.phantom.types import LABELS

INPUTS = 6
CONFIG = SegmenterConfig(size=32, channels=(8, 8, 8), groups=4, classes=7, context_s=0.08, volumes=True, sequence=1)


def lively_head(layers: int = 2) -> CurveHead:
    """Untrained, but its corrections are not nothing."""
    torch.manual_seed(0)
    head = CurveHead(INPUTS, layers, width=16, heads=2).eval()
    torch.nn.init.normal_(head.change.weight, std=0.05)
    return head


def some_frames(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, INPUTS, generator=draw), 8 + 0.3 * torch.randn(n, generator=draw)


def test_untrained_it_leaves_volumes_as_they_are_and_trained_never_strays_beyond_its_bound():
    head = CurveHead(INPUTS, 2, width=16, heads=2).eval()
    seen, alone = some_frames(7)
    times = np.arange(7) * 0.08
    assert torch.equal(head.read(seen, alone, times), alone)
    with torch.no_grad():
        head.change.bias.fill_(100.0)
    assert head.read(seen, alone, times).numpy() == pytest.approx((alone + LARGEST).numpy(), abs=1e-4)


@pytest.mark.parametrize("frames_at_once", [1, 7, 50])
def test_a_long_clip_is_read_the_same_in_pieces_of_any_size(frames_at_once):
    head = lively_head()
    seen, alone = some_frames(120)
    times = np.cumsum(np.random.default_rng(0).uniform(0.05, 0.15, 120))
    whole = head.read(seen, alone, times, frames_at_once=1000)
    with torch.no_grad():
        trained_on = head(seen[None], alone[None], torch.from_numpy(times - times[0]).float()[None])[0]
    assert torch.allclose(whole, trained_on, atol=1e-5)
    assert torch.allclose(head.read(seen, alone, times, frames_at_once=frames_at_once), whole, atol=1e-5)


def test_a_frame_sees_those_within_reach_and_no_others():
    head = lively_head(layers=1)
    seen, alone = some_frames(40)
    times = np.arange(40) * 0.08
    other = seen.clone()
    other[20] += 1.0
    changed = np.flatnonzero((head.read(seen, alone, times) != head.read(other, alone, times)).numpy())
    assert changed.tolist() == np.flatnonzero(np.abs(times - times[20]) <= REACH_S).tolist()


def test_only_differences_of_times_matter():
    head = lively_head()
    seen, alone = some_frames(16)
    times = np.cumsum(np.random.default_rng(1).uniform(0.06, 0.3, 16))
    assert torch.allclose(head.read(seen, alone, times), head.read(seen, alone, times + 500), atol=1e-4)
    assert not torch.allclose(head.read(seen, alone, times), head.read(seen, alone, 2 * times), atol=1e-4)


def test_without_times_every_frame_is_one_alone():
    head = lively_head()
    seen, alone = some_frames(5)
    single = [float(head.read(seen[i : i + 1], alone[i : i + 1], np.array([0.3 * i]))) for i in range(5)]
    assert head.read(seen, alone, None).numpy() == pytest.approx(single, abs=1e-5)
    assert head.read(seen, alone, np.arange(5) * 0.08).numpy() != pytest.approx(single, abs=1e-3)


def test_frames_closer_than_it_learned_from_are_dealt_out_to_strands():
    rates = (3.0, 12.5, 16.0, 25.0, 30.0, 50.0, 100.0)
    assert [strands_of(np.arange(9) / rate) for rate in rates] == [1, 1, 1, 2, 2, 4, 8]
    assert strands_of(np.array([0.5])) == 1
    head = lively_head()
    seen, alone = some_frames(31)
    times = np.arange(31) * 0.04
    read = head.read(seen, alone, times)
    for first in range(2):
        own = head.read(seen[first::2], alone[first::2], times[first::2])
        assert torch.allclose(read[first::2], own, atol=1e-5)


def test_frames_without_a_time_each_are_refused():
    head = lively_head()
    with pytest.raises(ValueError, match="5 frames need as many times, got 4"):
        head.read(*some_frames(5), np.arange(4) * 0.08)


def test_the_loss_is_nothing_for_the_truth_and_sees_the_share_that_is_left():
    truth = torch.tensor([[5.0, 4.6, 4.2, 4.7]])
    assert float(curve_loss(truth, truth)) == 0
    flatter = truth + torch.tensor([[-0.05, 0.0, 0.05, 0.0]])
    assert 0 < float(curve_loss(truth + 0.05, truth)) < float(curve_loss(flatter, truth))
    alone = torch.tensor([[5.0]])
    assert float(curve_loss(alone + 0.1, alone)) == pytest.approx(float(torch.nn.functional.smooth_l1_loss(
        alone + 0.1, alone, beta=0.1)))  # fmt: skip


def hearts_with_dropouts(clips: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features, volumes read alone, times and true volumes of hearts of which a third of the frames is misread."""
    draw = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, count: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(clips, count, generator=draw)

    times = torch.cumsum(uniform(0.05, 0.11, 14), 1)
    phase = times / uniform(0.7, 1.0, 1) + uniform(0, 1, 1)
    truth = uniform(7.5, 8.5, 1) + 0.25 * torch.cos(2 * torch.pi * phase)
    alone = truth - 0.4 * (uniform(0, 1, 14) < 0.3)
    return torch.randn(clips, 14, INPUTS, generator=draw), alone, times, truth


def test_other_frames_help_where_some_are_misread():
    errors = {}
    for together in (True, False):
        torch.manual_seed(0)
        head = CurveHead(INPUTS, 1, width=16, heads=2)
        optimizer = torch.optim.AdamW(head.parameters(), 1e-2)

        def read(seen, alone, times, head=head, together=together):
            shown = (seen, alone, times) if together else (seen.flatten(0, 1)[:, None], alone.flatten()[:, None],
                                                           times.flatten()[:, None])  # fmt: skip
            return head(*shown).reshape(alone.shape)

        for step in range(60):
            *shown, truth = hearts_with_dropouts(16, seed=step)
            if step == 0:
                head.set_scale(shown[0].flatten(0, 1), shown[1].flatten())
            loss = curve_loss(read(*shown), truth)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        *shown, truth = hearts_with_dropouts(64, seed=10_000)
        with torch.no_grad():
            errors[together] = float((read(*shown) - truth).abs().mean())
    assert errors[True] < 0.6 * errors[False]


def test_clips_are_read_with_their_frames_and_those_without_a_ventricle_stay_out_of_it():
    torch.manual_seed(0)
    network = Segmenter(CONFIG).eval()
    plain = Segmenter(SegmenterConfig(**{**vars(CONFIG), "sequence": 0})).eval()
    plain.load_state_dict({k: v for k, v in network.state_dict().items() if not k.startswith("curve_head.")})
    frames = torch.randint(0, 255, (6, 64, 64), dtype=torch.uint8).numpy()
    times = np.arange(6) * 0.08
    everything_is_cavity(network)
    everything_is_cavity(plain)
    before = outline_all(plain, frames, times).volumes
    assert outline_all(network, frames, times).volumes == pytest.approx(before, rel=1e-6)
    torch.nn.init.normal_(network.curve_head.change.weight, std=0.05)
    together, single = (outline_all(network, frames, t).volumes for t in (times, None))
    assert np.isfinite(together).all() and np.abs(together / single - 1).max() > 1e-4


def everything_is_cavity(network: Segmenter) -> None:
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.zero_()
        network.head.bias.view(len(LABELS), 4)[LABELS.index("lv")] = 9.0


def test_frames_without_a_ventricle_say_nothing_to_the_others(monkeypatch):
    torch.manual_seed(0)
    network = Segmenter(CONFIG).eval()
    everything_is_cavity(network)
    told = []
    monkeypatch.setattr(
        "echopulse.measure.segmenter.keep_cavity", lambda masks: masks & (np.arange(len(masks)) != 2)[:, None, None]
    )
    monkeypatch.setattr(
        network.curve_head, "read", lambda looks, alone, times: told.append((len(looks), times.tolist())) or alone
    )
    found = outline_all(network, np.zeros((4, 32, 32), np.uint8), np.arange(4) * 0.5)
    assert told == [(3, [0.0, 0.5, 1.5])]
    assert np.isnan(found.volumes).tolist() == [False, False, True, False]


def test_a_configuration_from_before_has_no_sequence_and_its_weights_no_curve_head():
    written = {"size": 32, "channels": [8, 8, 8], "groups": 4, "classes": 7, "volumes": True}
    config = config_from_dict(SegmenterConfig, written)
    assert config.sequence == 0
    assert not [name for name in Segmenter(config).state_dict() if "curve" in name]
    for wrong in ({"sequence": -1}, {"sequence": 2, "classes": 7}):
        with pytest.raises(ValueError, match="sequence .* needs volumes"):
            SegmenterConfig(**wrong)
