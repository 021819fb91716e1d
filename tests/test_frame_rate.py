"""Clips at frame rates that the weights have learned are made at them; others are blended from the nearest."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from echopulse.errors import InputError
from echopulse.model.config import GeneratorConfig, config_from_dict
from echopulse.model.ecg_encoder import Memory
from echopulse.model.familiarity import Familiarity
from echopulse.model.types import split_ids
from echopulse.pipeline import EchoPulse, Sampling, resample_frames
from tests.test_pipeline import a_picture, an_ecg

ONCE = Sampling(steps=1, guidance=1.0)


@pytest.fixture(scope="module")
def old(tiny_model) -> EchoPulse:
    """Weights of before there were rates: 25/s is all they know."""
    return EchoPulse.from_pretrained(tiny_model)


@pytest.fixture(scope="module")
def pulse(tiny_model) -> EchoPulse:
    pulse = EchoPulse.from_pretrained(tiny_model)
    pulse.generator.config = replace(pulse.generator.config, rates=(16.0, 50.0))
    return pulse


def made_at(pulse, fps: float, **options):
    return pulse(an_ecg(), **{"seconds": 2, "fps": fps, "sampling": ONCE, **options})


# --- what weights know ---


def test_weights_that_say_nothing_of_rates_know_25_frames_a_second():
    config = config_from_dict(GeneratorConfig, {"width": 32, "heads": 2})
    assert config.rates == (25.0, 25.0) and config.known_rates == "25"
    assert [config.nearest_rate(fps) for fps in (10, 25.0, 60)] == [25, 25, 25]


def test_a_rate_between_the_lowest_and_the_highest_is_known_and_so_is_one_that_rounding_moved():
    config = config_from_dict(GeneratorConfig, {"rates": [16, 100 / 3]})
    assert [config.nearest_rate(fps) for fps in (10, 16, 24, 33.33333, 40)] == [16, 16, 24, 33.33333, 100 / 3]


@pytest.mark.parametrize("rates", [[50, 16], [0, 25], [25], [16, float("inf")], [float("nan"), 25]])
def test_rates_that_cannot_be_are_refused(rates):
    with pytest.raises(InputError, match="rates .*the lowest and the highest frame rate"):
        config_from_dict(GeneratorConfig, {"rates": rates})


# --- clips ---


@pytest.mark.parametrize("fps", [16, 24, 25, 40, 50])
def test_a_known_rate_is_native(pulse, fps):
    made = made_at(pulse, fps)
    assert made.report()["video"]["rate"] == "native"
    assert len(made.clip.frames) == 2 * fps and made.clip.fps == pytest.approx(fps)
    assert len(made.tokens.ids) == 1 + -(-(2 * fps - 1) // 4)  # a latent frame holds four pictures at every rate
    assert np.allclose(np.diff(made.tokens.times_s)[1:], 4 / fps, atol=1e-5)
    pictures = pulse.decode(made.tokens.ids, grain_seed=None)[: 2 * fps]
    assert np.array_equal(made.clip.frames, pictures)  # none of them blended


@pytest.mark.parametrize(("fps", "nearest"), [(100, 50), (12, 16)])
def test_an_unknown_rate_is_blended_from_the_nearest_one_that_is_known(pulse, fps, nearest):
    made = made_at(pulse, fps)
    assert made.report()["video"]["rate"] == f"blended from {nearest} frames/s"
    enough = 1 + int(np.ceil((2 * fps - 1) * nearest / fps))
    whole = made_at(pulse, nearest, seconds=enough / nearest, at_s=made.start_s).clip.frames
    assert np.array_equal(made.clip.frames, resample_frames(whole, nearest, fps, 2 * fps))


def test_weights_of_one_rate_blend_every_other(old):
    assert made_at(old, 50).report()["video"]["rate"] == "blended from 25 frames/s"
    assert made_at(old, 25).report()["video"]["rate"] == "native"


def tell_the_time(pulse, monkeypatch, fps: float, begin_s: float) -> None:
    """The generator becomes an oracle: of every latent frame it says the number, by the time that its ECG tells.

    It hears an ECG whose samples are the seconds at which they lie, and nothing else.
    """
    config = pulse.generator.config

    def encode(samples, start_s):
        return Memory(samples.transpose(1, 2), start_s[:, None] + torch.arange(samples.shape[-1]) / 200)

    def say(ids, hidden, times_s, far, conditions):
        memory = conditions.memory
        heard = (memory.times_s[0, None] - times_s[0, :, None]).abs().argmin(-1)
        seconds = memory.tokens[0, heard, 0] - begin_s
        number = ((seconds + 1.5 / fps) * fps / 4).round().long().clamp(min=0)
        ids = number[None, :, None, None].expand(ids.shape)
        choices = split_ids(ids, config.groups, config.group_bits)
        return 50.0 * torch.nn.functional.one_hot(choices, 2**config.group_bits).float()

    monkeypatch.setattr(pulse.generator, "encode_ecg", encode)
    monkeypatch.setattr(pulse.generator, "forward", say)


@pytest.mark.parametrize("fps", [16.0, 25.0, 100 / 3, 50.0])
def test_at_every_rate_a_window_hears_the_ecg_around_its_own_seconds_and_an_oracle_is_given_back(
    pulse, monkeypatch, fps
):
    begin_s, frames = 3.0, 101
    tell_the_time(pulse, monkeypatch, fps, begin_s)
    ecg = (torch.arange(round(200 * (begin_s + frames / fps + 2))) / 200)[None]
    ids = pulse.generate_ids(ecg, begin_s, frames, fps=fps, sampling=ONCE)
    expected = torch.arange(26)[:, None, None].expand(26, 2, 2)  # in four windows
    assert torch.equal(ids, expected)


def test_a_rate_that_is_not_the_one_of_the_times_is_heard(pulse, monkeypatch):
    tell_the_time(pulse, monkeypatch, 50.0, 3.0)
    ecg = (torch.arange(2400) / 200)[None]
    ids = pulse.generate_ids(ecg, 3.0, 33, fps=25.0, sampling=ONCE)
    assert ids[:, 0, 0].tolist()[2:5] == [4, 6, 8]  # so the oracle can tell


def test_later_pictures_stand_at_their_time_at_every_rate(pulse):
    ed, es = a_picture(seed=1), a_picture(seed=2)
    places = {}
    for fps in (16, 50):
        made = made_at(pulse, fps, image=ed, images=[(es, 0.35)])
        ids = pulse.encode_picture(torch.from_numpy(es), still=True)[-1]
        places[fps] = [number for number, one in enumerate(made.tokens.ids) if torch.equal(one, ids)]
    assert 2 in places[16] and 5 in places[50]  # of latent frames that last 0.25 s and 0.08 s
    with pytest.raises(InputError, match="0.08 s or more apart"):
        made_at(pulse, 50, image=ed, images=[(es, 0.35), (es, 0.36)])


def test_how_strange_an_ecg_is_does_not_hang_on_the_frame_rate(pulse, monkeypatch):
    known = torch.randn(20, pulse.generator.config.ecg.width * 2, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(pulse, "familiarity", Familiarity.fit(known, known))
    found = [made_at(pulse, fps, seconds=1).strangeness for fps in (16, 25, 50)]
    assert found[0] == found[1] == found[2] > 0


# --- live ---


def test_a_stream_at_a_known_rate_is_the_clip_of_that_rate(pulse, monkeypatch):
    def leave(ecg, **_):
        return replace(ecg, provenance={**ecg.provenance, "polarity": "as recorded"})

    for place in ("echopulse.live.clean_ecg", "echopulse.pipeline.clean_ecg"):
        monkeypatch.setattr(place, leave)
    options = {"image": a_picture(), "seed": 3, "sampling": ONCE, "fps": 40}
    blocks = list(pulse.stream([an_ecg(8)], **options))
    frames = np.concatenate([block.frames for block in blocks])
    times = np.concatenate([block.times_s for block in blocks])
    made = pulse(an_ecg(8), seconds=len(frames) / 40, at_s=1.6, **options)
    shared = len(frames) - 20  # the last window of a clip that ends knows more
    assert len(blocks) > 3 and np.allclose(made.clip.times_s, times) and np.allclose(np.diff(times), 1 / 40)
    assert np.array_equal(made.clip.frames[:shared], frames[:shared])


def test_a_stream_at_the_slowest_rate_waits_for_all_that_its_first_window_hears(pulse):
    blocks = list(pulse.stream([an_ecg(4.2)], fps=16, sampling=ONCE))
    assert [len(block.frames) for block in blocks] == [33]
    assert list(pulse.stream([an_ecg(3.9)], fps=16, sampling=ONCE)) == []


@pytest.mark.parametrize("fps", [15, 60, float("nan")])
def test_a_stream_at_an_unknown_rate_is_refused_at_once(pulse, old, fps):
    with pytest.raises(InputError, match=f"fps {fps:g}: a stream has the 16 to 50 frames/s"):
        pulse.stream([], fps=fps)
    with pytest.raises(InputError, match=f"fps {fps:g}: a stream has the 25 frames/s"):
        old.stream([], fps=fps)
