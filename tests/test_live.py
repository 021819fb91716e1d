"""Video while the ECG arrives, on a tiny model: however it was cut, the same frames, none before it was heard."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from echopulse.ecg import ECG
from echopulse.errors import InputError
from echopulse.live import Arriving, cut, in_order
from echopulse.pipeline import EchoPulse, Sampling
from tests.test_pipeline import an_ecg

QUICK = {"sampling": Sampling(steps=1, guidance=1.0)}


@pytest.fixture(scope="module")
def pulse(tiny_model) -> EchoPulse:
    return EchoPulse.from_pretrained(tiny_model)


def whole(pulse, pieces, **options) -> tuple[np.ndarray, np.ndarray]:
    blocks = list(pulse.stream(pieces, **{"seed": 3} | QUICK | options))
    return np.concatenate([block.frames for block in blocks]), np.concatenate([block.times_s for block in blocks])


def test_however_the_ecg_is_cut_the_frames_are_the_same(pulse):
    ecg = an_ecg(9, leads=3, rate_hz=250, start_s=5.0)
    frames, times = whole(pulse, [ecg])
    for seconds in (0.1, 0.73, 4.0):
        again, when = whole(pulse, cut(ecg, seconds))
        assert np.array_equal(frames, again) and np.array_equal(times, when)
    assert times[0] == pytest.approx(6.6) and np.allclose(np.diff(times), 0.04)
    assert len(frames) == 33 + 7 * 20 and frames.dtype == np.uint8  # 0.4 s before the end at the latest


def test_it_is_the_clip_that_is_made_at_once_as_long_as_nothing_had_to_be_cleaned(pulse, monkeypatch):
    def leave(ecg, **_):
        return replace(ecg, provenance={**ecg.provenance, "polarity": "as recorded"})

    for place in ("echopulse.live.clean_ecg", "echopulse.pipeline.clean_ecg"):
        monkeypatch.setattr(place, leave)
    ecg = an_ecg(9)
    options = {"image": np.full((32, 32), 90, np.uint8), "seed": 3}
    frames, times = whole(pulse, [ecg], **options)
    made = pulse(ecg, seconds=len(frames) / 25, at_s=1.6, **QUICK, **options)
    shared = 33 + 6 * 20  # the last window of a clip that ends knows more
    assert np.array_equal(made.clip.frames[:shared], frames[:shared]) and np.allclose(made.clip.times_s, times)


def test_a_block_comes_as_soon_as_its_ecg_is_there_and_no_later_ecg_changes_it(pulse):
    ecg, heard = an_ecg(8), []

    def arriving(other: float):
        for piece in cut(ecg, 0.2):
            heard.append(piece.start_s + piece.duration_s)
            yield piece if piece.start_s < other else replace(piece, samples=piece.samples + 0.3)

    blocks = {}
    for other in (99.0, 6.0):
        blocks[other] = []
        for block in pulse.stream(arriving(other), **QUICK):
            blocks[other].append((heard[-1], block))
    assert [at for at, _ in blocks[99.0]][:2] == [pytest.approx(4.0), pytest.approx(4.2)]
    for at, block in blocks[99.0][1:]:
        assert at == pytest.approx(block.times_s[-1] + 0.02 + 0.4, abs=0.21)
    before = [number for number, (at, _) in enumerate(blocks[99.0]) if at <= 6.0]
    assert before and all(
        np.array_equal(blocks[99.0][number][1].frames, blocks[6.0][number][1].frames) for number in before
    )


def test_age_and_sex_reach_the_generators_conditions_in_every_window(pulse):
    heard = []
    watch = pulse.generator.register_forward_pre_hook(lambda _, given: heard.append(given[-1]))
    try:
        blocks = list(pulse.stream([an_ecg(6)], sex="f", age=40.0, **QUICK))
    finally:
        watch.remove()
    assert len(blocks) > 1 and len(heard) >= len(blocks)
    assert all(float(one.female) == 1 and float(one.age_years) == 40 for one in heard)


def test_what_consumes_the_blocks_computes_as_it_always_does(pulse):
    for _ in pulse.stream([an_ecg(5)], **QUICK):
        assert not torch.is_inference_mode_enabled() and not torch.is_autocast_enabled("cpu")


def test_memory_stays_level_and_what_is_kept_is_on_the_streams_clock():
    arriving = Arriving(3.0)
    for piece in cut(an_ecg(60, start_s=7.0), 0.5):
        arriving.add(piece)
        assert arriving.ecg.samples.shape[1] <= 600
    with pytest.raises(ValueError, match="kept no more"):
        arriving.cut(50.0, 66.0)
    part = arriving.cut(65.0, 66.0)
    assert part.start_s == pytest.approx(65.0) and np.array_equal(part.samples, an_ecg(60).crop(58, 1).samples)


def test_pieces_that_do_not_follow_each_other_are_refused_and_a_short_gap_is_one():
    first, second = cut(an_ecg(4), 2.0)
    parts = list(in_order([first, replace(second, start_s=2.5)]))
    samples = np.concatenate([part.samples for part in parts], 1)
    assert samples.shape == (1, 900) and np.isnan(samples[:, 400:500]).all() and np.isfinite(samples[:, 500:]).all()
    for piece, words in (
        (replace(second, start_s=1.0), "begins at 1.000 s after one that ended at 2.000 s"),
        (replace(second, leads=("V1",)), "a piece of V1 at 200 Hz after one of L0"),
        (replace(second, start_s=400.0), "398 s of the ECG are missing"),
        (replace(second, start_s=float("nan")), "a piece that begins at nan s"),
    ):
        with pytest.raises(InputError, match=words):
            list(in_order([first, piece]))
    for seconds in (0, -1, float("nan")):
        with pytest.raises(InputError, match="a length above 0"):
            next(cut(first, seconds))


@pytest.mark.parametrize("drift", [3e-4, -3e-4])
def test_a_clock_that_runs_off_or_is_coarse_makes_no_gap(drift):
    pieces = [replace(piece, start_s=round(piece.start_s * (1 + drift), 2)) for piece in cut(an_ecg(600), 0.13)]
    parts = list(in_order(pieces))
    assert sum(part.samples.shape[1] for part in parts) == 600 * 200
    ends = [part.start_s + part.duration_s for part in parts]
    assert np.allclose([part.start_s for part in parts[1:]], ends[:-1])


@pytest.mark.parametrize("gap_s", [1.0, 4.0, 12.0])
def test_a_gap_is_survived_and_is_the_same_as_missing_samples(pulse, gap_s):
    before, after = cut(an_ecg(24), 12.0)
    late = replace(after, start_s=after.start_s + gap_s)
    nothing = replace(after, samples=np.full((1, round(gap_s * 200)), np.nan, np.float32))
    frames, times = whole(pulse, [before, late])
    same, _ = whole(pulse, [before, nothing, late])
    assert np.array_equal(frames, same) and np.allclose(np.diff(times), 0.04)
    assert times[-1] > 22.5 + gap_s


def test_what_cannot_be_is_refused_before_any_piece_is_asked_for(pulse):
    def never():
        raise AssertionError("a piece was asked for")
        yield

    for options, words in (({"view": "psax"}, "--view psax"), ({"ef": 2.0}, "--ef 2"), ({"start": "x"}, "--start x"),
                           ({"prompt": "LVEF: high"}, "an LVEF of"), ({"image": "no.png"}, "no.png: no such file")):
        with pytest.raises(InputError, match=words):
            pulse.stream(never(), **options)
    flat = ECG(np.zeros((1, 1000)), 200.0, ("I",))
    with pytest.raises(InputError, match="a flat line"):
        list(pulse.stream([flat]))
    assert list(pulse.stream([an_ecg(3.9)])) == []  # too short to decide anything


def test_of_a_picture_whose_stream_has_no_beat_no_ef_is_expected(pulse, monkeypatch):
    asked = []
    monkeypatch.setattr(pulse, "expect_ef", lambda *_: asked.append(1))
    options = {"image": np.zeros((32, 32), np.uint8), "any_image": True, "allow_flat": True, **QUICK}
    for ecg, times in ((ECG(np.zeros((1, 1000)), 200.0, ("I",)), 0), (an_ecg(), 1)):
        next(pulse.stream(cut(ecg, 1.0), **options))
        assert len(asked) == times
