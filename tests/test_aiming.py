"""How a clip is kept to its EF: told more where less came of it, and left alone where nothing can be read."""

import math
from types import SimpleNamespace

import pytest
import torch

from echopulse import aiming
from echopulse.aiming import Aim, aim_at, expect_ef, read_ef
from echopulse.measure.expected_ef import ExpectedEf
from echopulse.measure.steering import Steering, SteeringConfig
from echopulse.model.generator import EF_RANGE
from echopulse.pipeline import EchoPulse

STEERING = Steering(
    SteeringConfig(inputs=1, bits=1, grid=1, hidden=1, members=1, channels=1, width=2, heads=1, layers=0)
)


def filled(aim: Aim, seen_of, tries: int) -> tuple[float, list[float]]:
    """What was kept of a window that shows `seen_of(told)`, and all that the generator was told."""
    told: list[float] = []

    def make(ef):
        told.append(ef)
        return torch.tensor(math.nan if ef is None else seen_of(ef))

    return float(aim.fill(make, lambda made: float(made), tries)), told


def test_a_generator_that_shows_too_little_is_told_more():
    aim = Aim(0.6, STEERING)
    kept, told = filled(aim, lambda ef: ef - 0.1, 2)
    assert told[0] == 0.6 and told[1] == pytest.approx(0.66) and kept == pytest.approx(0.56)


def test_what_was_learned_of_one_window_is_kept_for_the_next():
    aim = Aim(0.5, STEERING)
    filled(aim, lambda ef: ef + 0.2, 1)
    _, told = filled(aim, lambda ef: ef + 0.2, 1)
    assert told[0] == pytest.approx(0.38)


def test_the_nearest_window_is_kept_and_one_near_enough_ends_the_search():
    kept, told = filled(Aim(0.5, STEERING), lambda ef: {0.5: 0.46}.get(ef, 0.1), 2)
    assert kept == pytest.approx(0.46) and len(told) == 2
    _, told = filled(Aim(0.5, STEERING), lambda ef: ef - 0.02, 5)
    assert len(told) == 1


def test_a_long_clip_is_told_one_ef_once_its_beginning_has_been_read():
    aim, told = Aim(0.5, STEERING), []
    for window in range(50):  # the reader's error grows: were it followed, the heart would change
        told += filled(aim, lambda ef, window=window: ef - 0.1 - 0.01 * window, 2 if window == 0 else 1)[1]
    assert len(told) == 51 and len(set(told[3:])) == 1 and told[-1] == pytest.approx(0.6, abs=0.03)


def test_nobody_is_told_what_no_heart_has():
    aim = Aim(0.8, STEERING)
    filled(aim, lambda _: 0.2, 3)
    assert aim.told == EF_RANGE[1]


def test_without_steering_without_a_target_or_where_nothing_can_be_read_there_is_one_try():
    for aim in (Aim(0.5), Aim(None, STEERING)):
        assert len(filled(aim, lambda _: 0.1, 3)[1]) == 1
    told: list[float] = []
    Aim(0.5, STEERING).fill(lambda ef: told.append(ef), lambda _: None, 3)
    assert told == [0.5]


def test_an_expectation_is_aimed_at_by_its_quantile():
    expected = ExpectedEf(torch.tensor([0.5]), torch.tensor([0.1]))
    assert aim_at(expected) == pytest.approx(0.5) and aim_at(None) is None
    assert aim_at(expected, 0.8413) == pytest.approx(0.6, abs=1e-3)
    assert aim_at(expected, 0.1) + aim_at(expected, 0.9) == pytest.approx(1.0, abs=1e-5)
    assert aim_at(expected, 1 - 1e-9) == EF_RANGE[1]
    assert aim_at(ExpectedEf(torch.tensor([0.5]), torch.tensor([0.0])), 1e-9) == pytest.approx(0.5)


def test_a_heart_that_is_expected_to_stand_still_is_told_nothing():
    assert aim_at(ExpectedEf(torch.tensor([0.01]), torch.tensor([0.02]))) is None


@pytest.fixture
def oracle(tiny_model, monkeypatch):
    """A tiny model whose ECG says how full the ventricle is, and a steering that reads volumes of EF 0.4 off tokens."""
    pulse, beats = EchoPulse.from_pretrained(tiny_model), [True]

    def beat(times):
        return 0.5 + 0.5 * torch.cos(2 * torch.pi * times)

    def said(begin_s, times):
        return beat(times + begin_s)[..., None] if beats[0] else torch.ones(*times.shape, 1)

    monkeypatch.setattr(aiming, "hear", lambda _, ecg, at_s, fps: at_s)
    monkeypatch.setattr(pulse.generator.ecg_encoder, "read_out", said)

    def volumes(codes, times):
        frames = times[..., None] + (torch.arange(4) - 1.5) / 25
        frames[:, 0] = torch.where(times[:, :1] == 0, times[:, :1], frames[:, 0])
        return (80 * (1 - 0.4 * (1 - beat(frames)))).log()

    steering = SimpleNamespace(
        config=SimpleNamespace(frames=4, bits=pulse.generator.config.bits, fps=25.0), volumes=volumes,
        token_noise=torch.tensor(0.05), picture_noise=torch.tensor(0.05),
    )  # fmt: skip
    return pulse, steering, beats


@pytest.mark.parametrize("first", [0, 6])
def test_tokens_are_read_at_the_times_of_their_pictures(oracle, first):
    pulse, steering, _ = oracle
    grid = pulse.generator.config.grid
    ids = torch.zeros(8, grid, grid, dtype=torch.long)
    seen = read_ef(steering, pulse.generator, ids, range(first, first + 8), torch.zeros(1, 10), 0.0, 25.0)
    assert seen == pytest.approx(0.4, abs=0.02)


def test_under_a_line_without_beats_no_ef_is_read(oracle):
    pulse, steering, beats = oracle
    beats[0] = False
    grid = pulse.generator.config.grid
    ids = torch.zeros(8, grid, grid, dtype=torch.long)
    assert read_ef(steering, pulse.generator, ids, range(8), torch.zeros(1, 10), 0.0, 25.0) is None


def test_pictures_of_two_moments_tell_more_than_one(oracle, monkeypatch):
    pulse, steering, _ = oracle
    steering.expectation = lambda _: ExpectedEf(torch.tensor([0.55]), torch.tensor([0.1]))
    shrunk = torch.tensor([80.0, 80 * 0.6]).log()  # EF 0.4 half a beat later
    monkeypatch.setattr(aiming, "look_at_pictures", lambda _, shown: (torch.zeros(len(shown), 3), shrunk[: len(shown)]))
    monkeypatch.setattr(aiming, "features_of", lambda *_: torch.zeros(1, 3))
    picture = torch.zeros(32, 32, dtype=torch.uint8)

    def told(*times: float) -> ExpectedEf:
        pictures = [(picture, at) for at in times]
        return expect_ef(steering, None, pulse.generator, pictures, torch.zeros(1, 10), 0.0, "a4c")

    assert float(told(0.0).mean) == pytest.approx(0.55)
    assert float(told(0.0, 0.5).mean) == pytest.approx(0.45, abs=0.06) and float(told(0.0, 0.5).sd) < 0.1


def test_what_is_expected_is_heard_as_it_was_learned_whatever_the_rate_of_the_clip(oracle, monkeypatch):
    pulse, steering, _ = oracle
    heard, steering.config.fps = [], 20.0
    steering.expectation = lambda _: ExpectedEf(torch.tensor([0.55]), torch.tensor([0.1]))
    monkeypatch.setattr(aiming, "hear", lambda _, ecg, at_s, fps: heard.append(fps) or at_s)
    monkeypatch.setattr(aiming, "look_at_pictures", lambda *_: (torch.zeros(1, 3), torch.zeros(1)))
    monkeypatch.setattr(aiming, "features_of", lambda *_: torch.zeros(1, 3))
    expect_ef(steering, None, pulse.generator, [(torch.zeros(32, 32), 0.0)], torch.zeros(1, 10), 0.0, "a4c")
    assert heard == [20.0]
