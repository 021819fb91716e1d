"""Anybody's generator is taken as it is, and what it gives is brought to the form that is judged or refused."""

import csv
import sys
from dataclasses import replace

import numpy as np
import pytest

from echopulse.ecg import read_ecg
from echopulse.echo import Clip, read_frame, write_clip
from echopulse.errors import InputError
from echopulse.evaluate.candidates import Called, bench_of, describe, fitted, load_candidate
from echopulse.evaluate.hearts import hearts_of, simulate_held_out
from echopulse.evaluate.tasks import FolderCandidate, key_of, tasks_of, write_tasks
from echopulse.pipeline import EchoPulse

RAMP = np.arange(50, dtype=np.uint8)[:, None, None].repeat(32, 1).repeat(32, 2)


def ramp(ecg, *, seconds, fps, image, view, ef, seed, at_s):
    return RAMP[: round(seconds * fps)]


def lacking(ecg, *, seconds, fps):
    return RAMP


@pytest.fixture(scope="module")
def few():
    return hearts_of(simulate_held_out(2, seed=5, size=32, frames=50, rhythm="sinus", heart_rate_bpm=80.0))


def test_candidates_are_found_by_what_names_them(tiny_model, tmp_path):
    assert isinstance(load_candidate(tiny_model), EchoPulse)
    assert load_candidate(f"{__name__}:ramp").name.endswith(":ramp")
    assert load_candidate(ramp).function is ramp
    for spec, says in (
        (tmp_path, "holds neither config.json nor tasks.csv"),
        ("nowhere", "no such folder"),
        ("json:nothing", "cannot be imported"),
        ("no.such.module:f", "cannot be imported"),
        ("json:__name__", "a str; a function"),
        (lacking, "cannot be called as candidate"),
    ):
        with pytest.raises(InputError, match=says):
            load_candidate(spec)


def test_a_module_in_the_current_folder_is_found(tmp_path, monkeypatch):
    (tmp_path / "somebodys_generator.py").write_text("def make(ecg, **conditions):\n    return conditions\n")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    assert load_candidate("somebodys_generator:make")(None, seed=3) == {"seed": 3}
    assert sys.path == before


def test_a_function_is_described_by_its_source():
    about = describe(load_candidate(ramp))
    assert about["name"] == "ramp" and len(about["hash"]) == 16 and about["kind"] == "Called"


def test_a_function_may_say_what_its_weights_are():
    def generate(ecg, **conditions):
        return RAMP

    generate.hash = "epoch 7"
    assert describe(load_candidate(generate))["hash"] == "epoch 7"


def test_a_function_hears_the_ecg_and_is_told_where_the_clip_begins(few):
    heard = {}

    def listen(ecg, **conditions):
        heard.update(conditions, ecg=ecg)
        return RAMP

    bench = bench_of(Called(listen, "listen"), lambda clip: clip, fps=25.0, size=32, rate_hz=200.0)
    seen = bench.beat(few[0], few[0].ecg, ef=0.4)
    assert seen.frames.shape == (50, 32, 32) and seen.view == few[0].view
    assert heard["at_s"] == pytest.approx(2.6) and heard["seconds"] == 2.0 and heard["ef"] == 0.4
    assert heard["ecg"].rate_hz == 200 and heard["ecg"].samples.shape == tuple(few[0].ecg.shape)
    assert heard["image"].dtype == np.uint8
    bench.show(few[0], None, image=False)
    assert heard["ecg"] is None and heard["image"] is None


def test_a_function_hears_the_names_of_the_leads_where_there_are_any(few):
    heard = []

    def listen(ecg, **conditions):
        heard.append(ecg.leads)
        return RAMP

    bench = bench_of(Called(listen, "listen"), lambda clip: clip, fps=25.0, size=32, rate_hz=200.0)
    heart = replace(few[0], leads=("V6", "III"))
    bench.show(heart, heart.ecg)
    bench.show(heart, heart.ecg[:1], leads=("aVR",))
    bench.show(replace(heart, leads=None), heart.ecg)
    assert heard == [("V6", "III"), ("aVR",), ("lead 1", "lead 2")]


def test_tasks_name_the_leads_of_the_ecg_that_is_given(few, tmp_path):
    named = [replace(few[0], leads=("V6", "III")), replace(few[1], leads=("I", "V2"))]
    write_tasks(tmp_path / "tasks", named, fps=25.0, rate_hz=200.0)
    found = {path.stem: read_ecg(path).leads for path in (tmp_path / "tasks" / "ecg").iterdir()}
    assert found["0000-same"] == found["0001-donor"] == ("V6", "III") and found["0001-same"] == ("I", "V2")


def test_frames_too_many_are_left_out_and_too_few_refused():
    assert fitted(RAMP, 40, 25.0, 32, "x").shape == (40, 32, 32)
    with pytest.raises(InputError, match=r"x: gave 50 frames where 60 are expected \(2.4 s at 25 frames/s\)"):
        fitted(RAMP, 60, 25.0, 32, "x")


def test_another_rate_is_blended_between_neighbours():
    clip = Clip(RAMP, np.arange(50) / 50)
    assert fitted(clip, 25, 25.0, 32, "x")[:, 0, 0].tolist() == list(range(0, 50, 2))
    slow = Clip(RAMP[:20:2], np.arange(10) / 12.5)
    assert fitted(slow, 19, 25.0, 32, "x")[:, 0, 0].tolist() == list(range(19))
    with pytest.raises(InputError, match="gave 1.00 s at 50 frames/s where 2 s are expected"):
        fitted(clip, 50, 25.0, 32, "x")


def test_another_size_is_padded_to_a_square_and_resized():
    wide = np.full((5, 32, 64), 200, np.uint8)
    made = fitted(wide, 5, 25.0, 32, "x")
    assert made.shape == (5, 32, 32)
    assert (made[:, :16] == 200).all() and (made[:, 16:] == 0).all()


@pytest.mark.parametrize(
    "answer",
    [None, "clip", np.zeros((5, 8, 8)), np.zeros((5, 8, 8, 3), np.uint8), np.zeros((5, 0, 0), np.uint8)],
)
def test_what_is_no_clip_is_refused(answer):
    with pytest.raises(InputError, match=r"a Clip or grey frames uint8 \[t, h, w\] are expected"):
        fitted(answer, 5, 25.0, 8, "x")


def test_a_function_that_breaks_is_named_and_is_no_refusal(few):
    def broken(ecg, **conditions):
        raise ZeroDivisionError("by zero")

    bench = bench_of(Called(broken, "broken"), lambda clip: clip, fps=25.0, size=32, rate_hz=200.0)
    with pytest.raises(RuntimeError, match=r"broken: failed with ZeroDivisionError \(by zero\) on .* seed 0") as found:
        bench.show(few[0], few[0].ecg)
    assert not isinstance(found.value, InputError)


def test_tasks_go_out_and_clips_come_back(few, tmp_path):
    folder = tmp_path / "tasks"
    count = write_tasks(folder, few, fps=25.0, rate_hz=200.0, controls=2)
    with (folder / "tasks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == count == len({row["task"] for row in rows}) and len({row["key"] for row in rows}) == count
    same = next(row for row in rows if row["task"] == "0000-same")
    ecg = read_ecg(folder / same["ecg"])
    assert ecg.rate_hz == pytest.approx(200) and ecg.samples.shape == tuple(few[0].ecg.shape)
    assert ecg.samples == pytest.approx(few[0].ecg.numpy(), abs=1e-4)
    assert float(same["at_s"]) == pytest.approx(2.6) and float(same["seconds"]) == 2.0
    assert read_frame(folder / same["image"], 32).shape == (32, 32)
    assert next(row for row in rows if row["control"] == "none")["ecg"] == ""
    assert next(row for row in rows if row["control"] == "unmoved")["image"] == ""

    with pytest.raises(InputError, match=rf"of {count} clips are missing \(0000-same, .*clips/TASK.mp4"):
        FolderCandidate.load(folder)
    for number, row in enumerate(rows):
        if row["control"] not in ("flat", "zero"):
            frames = np.full((50, 32, 32), number, np.uint8)
            write_clip(Clip(frames, np.arange(50) / 25), folder / "clips" / f"{row['task']}.npz")
    candidate = load_candidate(folder)
    bench = bench_of(candidate, lambda clip: clip, fps=25.0, size=32, rate_hz=200.0)
    for number, task in enumerate(tasks_of(few, controls=2)):
        if task.control in ("flat", "zero"):
            with pytest.raises(InputError, match="no clip was made from this ECG"):
                bench.show(task.heart, task.ecg, image=task.image, ef=task.ef)
        else:
            assert (bench.show(task.heart, task.ecg, image=task.image, ef=task.ef) == number).all(), task.name
    with pytest.raises(InputError, match="no task for what is asked of heart 0"):
        bench.show(few[0], 2 * few[0].ecg)
    assert len(describe(candidate)["hash"]) == 16


def test_films_come_back_whole_without_a_search_for_the_sector(few, tmp_path):
    folder = tmp_path / "one"
    write_tasks(folder, few[:1], fps=25.0, rate_hz=200.0)
    frames = np.zeros((50, 32, 32), np.uint8)
    frames[:, 8:24, 8:24] = 120
    for row in csv.DictReader((folder / "tasks.csv").open()):
        write_clip(Clip(frames, np.arange(50) / 25), folder / "clips" / f"{row['task']}.mp4", plain=True)
    bench = bench_of(load_candidate(folder), lambda clip: clip, fps=25.0, size=32, rate_hz=200.0)
    shown = bench.show(few[0], few[0].ecg).astype(int)
    assert np.abs(shown - frames).mean() < 4 and shown[:, 12:20, 12:20].min() > 100


def test_an_export_never_writes_into_a_folder_that_holds_something(few, tmp_path):
    (tmp_path / "note.txt").touch()
    with pytest.raises(InputError, match="not an empty folder"):
        write_tasks(tmp_path, few, fps=25.0, rate_hz=200.0)


def test_a_task_is_known_by_all_that_is_given():
    ecg, image = np.ones((1, 4), np.float32), np.ones((2, 2), np.uint8)
    keys = {
        key_of(ecg, image, "a4c", None, 0), key_of(None, image, "a4c", None, 0), key_of(ecg, None, "a4c", None, 0),
        key_of(ecg, image, "a2c", None, 0), key_of(ecg, image, "a4c", 0.3, 0), key_of(ecg, image, "a4c", None, 1),
        key_of(-ecg, image, "a4c", None, 0),
    }  # fmt: skip
    assert len(keys) == 7
    assert key_of(ecg + 1e-4, image, "a4c", None, 0) in keys  # what rounding hides is the same task
