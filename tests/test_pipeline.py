"""The main road on a tiny model with random weights: same seed same frames, and every refusal in one sentence."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from echopulse.ecg import ECG, clean_ecg
from echopulse.ecg.stretch import around
from echopulse.echo import write_clip
from echopulse.echo.types import Clip
from echopulse.errors import InputError
from echopulse.measure.expected_ef import ExpectedEf
from echopulse.model.checkpoint import load_config
from echopulse.model.familiarity import Familiarity
from echopulse.pipeline import EchoPulse, Sampling, resample_frames

QUICK = Sampling(steps=2, guidance=1.0)


@pytest.fixture(scope="module")
def pulse(tiny_model) -> EchoPulse:
    return EchoPulse.from_pretrained(tiny_model)


def an_ecg(seconds: float = 8.0, *, rate_hz: float = 200.0, leads: int = 1, start_s: float = 0.0) -> ECG:
    """75 beats a minute: an R peak at 0.4 s and every 0.8 s after it, with a T wave."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    wave = 0.005 * np.random.default_rng(0).standard_normal(len(time))
    for r in np.arange(0.4, seconds + 1, 0.8):
        wave += np.exp(-(((time - r) / 0.012) ** 2)) - 0.2 * np.exp(-(((time - r - 0.03) / 0.012) ** 2))
        wave += 0.25 * np.exp(-(((time - r - 0.28) / 0.05) ** 2)) + 0.1 * np.exp(-(((time - r + 0.16) / 0.03) ** 2))
    samples = np.stack([wave * (1 - 0.3 * lead) for lead in range(leads)])
    return ECG(samples, rate_hz, tuple(f"L{i}" for i in range(leads)), start_s, {"path": "heart.csv"})


def a_flat_line(seconds: float = 8.0) -> ECG:
    return ECG(np.zeros((1, round(seconds * 200))), 200.0, ("I",), 0.0, {"path": "flat.csv"})


@pytest.fixture(scope="module")
def made(pulse):
    return pulse(an_ecg(), seconds=2, sampling=QUICK)


def frames_of(pulse, ecg=None, **options) -> np.ndarray:
    return pulse(ecg or an_ecg(), **{"seconds": 1, "sampling": QUICK, **options}).clip.frames


def test_same_seed_and_same_arguments_give_identical_frames(pulse):
    assert np.array_equal(frames_of(pulse, seed=4), frames_of(pulse, seed=4))


def test_another_seed_gives_other_frames(pulse):
    assert not np.array_equal(frames_of(pulse, seed=4), frames_of(pulse, seed=5))


def test_the_global_random_state_has_no_say(pulse):
    torch.manual_seed(1)
    np.random.seed(1)
    first = frames_of(pulse)
    torch.manual_seed(2)
    np.random.seed(2)
    assert np.array_equal(first, frames_of(pulse))


@pytest.mark.parametrize(
    ("seconds", "fps", "frames"),
    [(0.08, 25, 2), (1, 25, 25), (1.3, 25, 32), (4, 25, 100), (2, 10, 20), (1, 50, 50), (1, 30, 30), (0.5, 100, 50)],
)
def test_there_are_as_many_frames_as_seconds_and_rate_ask_for(pulse, seconds, fps, frames):
    clip = pulse(an_ecg(), seconds=seconds, fps=fps, sampling=Sampling(1, 1.0)).clip
    assert clip.frames.shape == (frames, 32, 32) and clip.frames.dtype == np.uint8
    assert clip.times_s.dtype == np.float64 and clip.fps == pytest.approx(fps)


def test_a_clip_begins_late_enough_to_have_heard_what_came_before(pulse):
    assert pulse(an_ecg(8), seconds=1, sampling=QUICK).start_s == pytest.approx(1.6)
    assert pulse(an_ecg(4), seconds=3.5, sampling=QUICK).start_s == pytest.approx(0.5)
    assert pulse(an_ecg(4), seconds=4, sampling=QUICK).start_s == 0


def test_a_clip_begins_after_the_electrodes_have_settled(pulse):
    ecg = an_ecg(20)
    ecg.samples[0, :300] += 3 * np.exp(-np.arange(300) / 100)
    made = pulse(ecg, seconds=1, sampling=QUICK)
    assert 1.0 <= made.start_s - 1.6 <= 2.0
    assert pulse(ecg, seconds=1, at_s=0.5, sampling=QUICK).start_s == 0.5


def test_a_clip_may_begin_anywhere_in_the_ecg_and_keeps_its_clock(pulse):
    late = pulse(an_ecg(start_s=100.0), seconds=1, at_s=5.0, sampling=QUICK)
    assert late.start_s == late.clip.times_s[0] == pytest.approx(105.0)
    same = pulse(an_ecg(), seconds=1, at_s=5.0, sampling=QUICK)
    assert np.array_equal(late.clip.frames, same.clip.frames)


def test_far_into_a_long_recording_the_clip_is_that_of_its_surroundings(pulse):
    long, at = an_ecg(60), 30.3
    short = long.crop(at - 12, 26)
    here = pulse(long, seconds=1, at_s=at, sampling=QUICK)
    there = pulse(short, seconds=1, at_s=12, sampling=QUICK)
    assert np.array_equal(here.clip.frames, there.clip.frames)


def test_any_beginning_at_all_can_be_cut_out_of_a_recording():
    ecg = an_ecg(30.004, rate_hz=250)
    for at in np.arange(10, 28, 0.0373):
        part = around(ecg, at, at + 2)
        assert part.start_s <= at - 9.99 and part.start_s + part.duration_s >= min(at + 11.99, 30)
    assert around(ecg, 12.006, 22).duration_s > 27.9  # begins between two samples, ends with the recording


def test_rate_and_number_of_leads_are_free(pulse):
    for ecg in (an_ecg(rate_hz=512), an_ecg(rate_hz=100), an_ecg(leads=5)):
        assert frames_of(pulse, ecg).shape == (25, 32, 32)


def test_of_many_leads_the_two_clearest_are_heard(pulse):
    ecg = an_ecg(leads=3)
    ecg.samples[0] = 0.3 * np.random.default_rng(0).standard_normal(ecg.samples.shape[1])
    heard = pulse.prepare_ecg(ecg)
    assert heard.shape == (2, 1600) and torch.allclose(heard, torch.from_numpy(ecg.samples[1:]), atol=1e-4)


def test_progress_ends_at_one(pulse):
    told: list[float] = []
    pulse(an_ecg(), seconds=4, sampling=QUICK, on_step=told.append)
    assert told == sorted(told) and told[-1] == 1.0 and len(told) > 1


# --- the first picture ---


def a_picture(size: int = 32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (size, size), dtype=np.uint8)


def test_a_given_image_is_the_first_picture(pulse):
    picture = a_picture()
    made = pulse(an_ecg(), image=picture, seconds=1, sampling=QUICK)
    with torch.no_grad():
        as_tokens = pulse.tokenizer.decode(pulse.tokenizer.encode(torch.from_numpy(picture).float()[None, None] / 255))
    assert np.abs(made.clip.frames[0] / 255.0 - as_tokens[0, 0].numpy()).mean() < 0.05
    assert made.clip.provenance["first_image"] == "image"


def test_another_image_gives_another_clip_and_a_file_the_same_as_its_pixels(pulse, tmp_path):
    first, other = frames_of(pulse, image=a_picture()), frames_of(pulse, image=a_picture(seed=1))
    assert not np.array_equal(first, other)
    clip = Clip(np.stack([a_picture()] * 2), np.array([0.0, 0.04]))
    path = write_clip(clip, tmp_path / "image.npz")
    assert np.array_equal(frames_of(pulse, image=path), first)


def test_later_pictures_stand_where_their_time_is(pulse):
    ed, es, late = a_picture(seed=1), a_picture(seed=2), a_picture(seed=3)
    made = pulse(an_ecg(), image=ed, images=[(es, 0.35), (late, 2.3)], seconds=2.4, sampling=QUICK)
    for picture, place in ((es, 3), (late, 15)):  # of latent frames that last 0.16 s; the first is one picture
        ids = pulse.encode_picture(torch.from_numpy(picture), still=True)[-1]
        assert torch.equal(made.tokens.ids[place], ids)
        assert not torch.equal(made.tokens.ids[place - 1], ids)
    assert torch.equal(made.tokens.ids[:1], pulse.encode_picture(torch.from_numpy(ed)))
    assert made.arguments["images"] == [[None, 0.35], [None, 2.3]]


@pytest.mark.parametrize("times", [(0.0,), (-1.0,), (0.97,), (float("nan"),), (0.3, 0.31), (0.02,)])
def test_later_pictures_that_lie_nowhere_of_their_own_are_refused(pulse, times):
    with pytest.raises(InputError, match="--image at .* 0.16 s or more apart"):
        frames_of(pulse, image=a_picture(), images=[(a_picture(), at) for at in times])


def test_later_pictures_need_a_first_one(pulse):
    with pytest.raises(InputError, match="need a first one"):
        frames_of(pulse, images=[(a_picture(), 0.3)])


def test_several_clips_are_those_of_seeds_in_a_row(pulse):
    first, second = pulse.several(an_ecg(), 2, seed=4, seconds=1, sampling=QUICK)
    assert np.array_equal(second.clip.frames, frames_of(pulse, seed=5)) and first.seed == 4
    with pytest.raises(InputError, match="--samples 0: from 1 to 1000"):
        pulse.several(an_ecg(), 0)


def test_without_an_image_a_simulated_heart_opens_or_the_generator_itself(pulse):
    phantom = pulse(an_ecg(), seconds=1, sampling=QUICK)
    own = pulse(an_ecg(), seconds=1, start="generated", sampling=QUICK)
    assert phantom.clip.provenance["first_image"] == "phantom" and phantom.clip.pixel_spacing_cm is not None
    assert own.clip.provenance["first_image"] == "generated" and own.clip.pixel_spacing_cm is None
    assert not np.array_equal(phantom.clip.frames, own.clip.frames)


def test_the_ef_in_the_report_is_the_one_that_steered(pulse, monkeypatch):
    steered: list[float | None] = []
    fill = pulse.generate_ids

    def listens(*arguments, ef, **options):
        steered.append(ef)
        return fill(*arguments, ef=ef, **options)

    monkeypatch.setattr(pulse, "generate_ids", listens)
    options = ({}, {"ef": 0.4}, {"start": "generated"})
    aimed = [pulse(an_ecg(), seconds=1, sampling=QUICK, **some).ef_aimed for some in options]
    assert steered == aimed and aimed[1:] == [pytest.approx(0.4), None] and 0.1 < aimed[0] < 0.8


def test_age_and_sex_reach_the_generators_conditions(pulse):
    heard = []
    watch = pulse.generator.register_forward_pre_hook(lambda _, given: heard.append(given[-1]))
    try:
        for options in ({"age": 63.0}, {"sex": "m"}, {}):
            pulse(an_ecg(), seconds=1, sampling=Sampling(1, 1.0), **options)
    finally:
        watch.remove()
    assert [float(one.age_years) for one in heard] == pytest.approx([63, math.nan, math.nan], nan_ok=True)
    assert [float(one.female) for one in heard] == pytest.approx([math.nan, 0, math.nan], nan_ok=True)


def test_of_a_picture_whose_ecg_has_no_beat_no_ef_is_expected(pulse, monkeypatch):
    monkeypatch.setattr(pulse, "expect_ef", lambda *_: ExpectedEf(torch.tensor([0.4]), torch.tensor([0.1])))
    picture = np.zeros((32, 32), np.uint8)
    options = {"image": picture, "any_image": True, "seconds": 1, "allow_flat": True, "sampling": QUICK}
    still, beating = pulse(a_flat_line(), **options), pulse(an_ecg(), **options)
    assert still.ef_aimed is None and still.ef_expected is None
    assert beating.ef_aimed == pytest.approx(0.4) and beating.ef_expected == pytest.approx((0.4, 0.1))


def test_a_flat_line_is_allowed_when_asked_for(pulse):
    made = pulse(a_flat_line(), seconds=1, allow_flat=True, sampling=QUICK)
    assert len(made.clip.frames) == 25 and made.report()["ecg"]["heart_rate_bpm"] is None


def test_weights_that_hold_guidance_are_asked_once_a_step_unless_more_is_asked_for(pulse, monkeypatch):
    passes = []
    watch = pulse.generator.register_forward_hook(lambda *_: passes.append(1))

    def count(held: float, **asked) -> int:
        passes.clear()
        monkeypatch.setattr(pulse.generator, "config", replace(pulse.generator.config, guidance=held))
        pulse.generate_ids(torch.zeros(1, 2000), 2.0, 33, sampling=Sampling(steps=4, corrections=0, opening=0, **asked))
        return len(passes)

    assert count(3.0) == 4 and count(1.0) == 6 and count(3.0, guidance=2.0) == 6
    watch.remove()


def test_how_strange_an_ecg_is_stands_in_the_report_where_the_weights_know(pulse, made, monkeypatch):
    assert made.report()["ecg"]["strangeness"] is None
    length = pulse.generator.config.ecg.width * 2
    known = torch.randn(20, length, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(pulse, "familiarity", Familiarity.fit(known, known))
    found = pulse(an_ecg(), seconds=1, sampling=QUICK).report()["ecg"]["strangeness"]
    assert found > 0 and found == pytest.approx(pulse.strangeness(pulse.prepare_ecg(clean_ecg(an_ecg())), 1.6, 1.0))


# --- the report ---


def test_the_report_has_the_documented_keys(made):
    report = made.report()
    assert set(report) == {"ecg", "video", "model", "seed", "arguments", "seconds", "notice"}
    assert {"path", "leads", "rate_hz", "start_s", "r_peaks_s", "heart_rate_bpm", "provenance"} <= set(report["ecg"])
    assert {"fps", "frames", "ed_frames", "es_frames", "ef", "heart_rate_bpm", "rate"} <= set(report["video"])
    assert {"view", "ef", "seconds", "fps", "start", "steps", "guidance", "image"} <= set(report["arguments"])
    assert {"clean", "beats", "first_image", "fill_in", "decode"} <= set(report["seconds"])
    assert report["model"] == {"name": "tiny", "licences": {}} and report["seed"] == 0
    assert "Not for diagnosis" in report["notice"]


def test_the_report_is_plain_json_without_nan(made):
    assert json.loads(json.dumps(made.report(), allow_nan=False)) == made.report()


def test_the_reports_beats_are_those_inside_the_clip(made):
    report = made.report()["ecg"]
    assert report["heart_rate_bpm"] == pytest.approx(75, abs=1)
    assert report["r_peaks_s"] == pytest.approx([2.0, 2.8], abs=0.02)  # of a clip from 1.6 s to 3.6 s
    assert report["path"] == "heart.csv" and report["leads"] == ["L0"] and report["rate_hz"] == 200


def test_the_report_says_how_polarity_and_beats_were_decided(made):
    decided = made.report()["ecg"]["provenance"]
    assert decided["path"] == "heart.csv" and decided["polarity"] == "as recorded"
    assert "neurokit" in decided["beats: detectors"] and "cleaned" not in made.ecg.provenance


def test_a_saved_clip_has_its_report_beside_and_inside_it(made, tmp_path):
    report = made.save(tmp_path / "clip.npz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.json", "clip.npz"]
    assert json.loads((tmp_path / "clip.json").read_text()) == report and report["seconds"]["write"] >= 0
    with np.load(tmp_path / "clip.npz") as stored:
        assert stored["frames"].dtype == np.uint8 and np.array_equal(stored["frames"], made.clip.frames)
        assert stored["times"].dtype == np.float64 and np.array_equal(stored["times"], made.clip.times_s)
        inside = json.loads(str(stored["report"]))
    assert inside["video"] == report["video"] and inside["ecg"] == report["ecg"]


@pytest.mark.parametrize("there", ["clip.npz", "clip.json"])
def test_neither_the_clip_nor_its_report_is_overwritten_without_force(made, tmp_path, there):
    (tmp_path / there).write_text("precious")
    with pytest.raises(InputError, match=rf"{there}: the file exists already.*--force"):
        made.save(tmp_path / "clip.npz")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]
    made.save(tmp_path / "clip.npz", force=True)
    assert json.loads((tmp_path / "clip.json").read_text())["video"]["frames"] == 50


# --- frame rates ---


def test_resampling_at_the_same_rate_changes_nothing_and_blends_between_neighbours():
    pictures = np.arange(5, dtype=np.uint8)[:, None, None] * 10
    assert resample_frames(pictures, 25, 25, 4)[:, 0, 0].tolist() == [0, 10, 20, 30]
    assert resample_frames(pictures, 25, 50, 9)[:, 0, 0].tolist() == [0, 5, 10, 15, 20, 25, 30, 35, 40]
    assert resample_frames(pictures, 25, 12.5, 3)[:, 0, 0].tolist() == [0, 20, 40]


# --- refusals ---


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"view": "plax"}, "--view plax: this model knows a4c, a2c"),
        ({"ef": 0.9}, "--ef 0.9: an ejection fraction between 0.05 and 0.85"),
        ({"ef": 0.04}, "--ef 0.04"),
        ({"ef": float("nan")}, "--ef nan"),
        ({"start": "dream"}, "--start dream: expected phantom or generated"),
        ({"fps": 3}, "--fps 3: between 5 and 100"),
        ({"fps": float("nan")}, "--fps nan"),
        ({"seconds": 0}, "--seconds 0: at least two frames"),
        ({"seconds": -1}, "--seconds -1"),
        ({"seconds": float("nan")}, "--seconds nan"),
        ({"seconds": float("inf")}, "--seconds inf"),
        ({"seconds": 8.5}, r"heart.csv: 8.5 s asked for, but the ECG has 8.0 s"),
        ({"at_s": 7.5}, r"heart.csv: 1 s of video can begin from 0 to 7.0 s; got --at 7.5"),
        ({"at_s": -1}, "got --at -1"),
        ({"at_s": float("nan")}, "got --at nan"),
        ({"seed": 10**30}, "--seed 10+: a whole number"),
        ({"sampling": Sampling(steps=0)}, "--steps 0: at least one pass"),
        ({"sampling": Sampling(guidance=float("nan"))}, "--guidance nan"),
        ({"image": "nowhere.png"}, "nowhere.png: no such file"),
        ({"image": np.zeros((16, 16), np.uint8)}, r"\[16, 16\] pixels; this model takes 32 by 32"),
        ({"image": np.zeros((32, 32, 3), np.uint8)}, r"image: uint8 \[h, w\] is expected, got uint8 \[32, 32, 3\]"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_sentence(pulse, options, words):
    with pytest.raises(InputError, match=words) as refusal:
        pulse(an_ecg(), **{"seconds": 1, "sampling": QUICK, **options})
    assert "\n" not in str(refusal.value)


def test_an_ecg_of_under_two_seconds_is_refused(pulse):
    with pytest.raises(InputError, match=r"heart.csv: 1.5 s of ECG at 200 Hz; at least 2 s"):
        pulse(an_ecg(1.5), seconds=1)


def test_a_flat_line_is_refused_unless_allowed(pulse):
    with pytest.raises(InputError, match="flat.csv: a flat line.*--allow-flat"):
        pulse(a_flat_line(), seconds=1)


def test_an_ecg_of_nothing_but_nan_is_refused(pulse):
    ecg = ECG(np.full((1, 1600), np.nan), 200.0, ("I",), 0.0, {"path": "gap.csv"})
    with pytest.raises(InputError, match="gap.csv: no valid sample"):
        pulse(ecg, seconds=1)


def test_half_a_model_is_refused_by_what_is_missing(tiny_model, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"tokenizer": load_config(tiny_model)["tokenizer"]}))
    with pytest.raises(InputError, match="no generator, measurer"):
        EchoPulse.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text((tiny_model / "config.json").read_text())
    with pytest.raises(InputError, match="tokenizer.safetensors: no such weights"):
        EchoPulse.from_pretrained(tmp_path)


def test_a_heart_without_beats_is_told_no_ef_whatever_its_picture(pulse, monkeypatch):
    told = []
    monkeypatch.setattr(pulse, "expect_ef", lambda *_: pytest.fail("an EF was expected of a flat line"))
    fill = pulse.generate_ids
    monkeypatch.setattr(pulse, "generate_ids", lambda *a, **o: told.append(o["ef"]) or fill(*a, **o))
    pulse(a_flat_line(), image=np.full((32, 32), 90, np.uint8), any_image=True, seconds=1, allow_flat=True,
          sampling=QUICK)  # fmt: skip
    assert told == [None]
