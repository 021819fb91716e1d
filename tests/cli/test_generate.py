"""`echopulse generate`: what is written, what is kept, and what several ECGs become."""

import json
from pathlib import Path

import numpy as np
import pytest

from echopulse.cli import main
from echopulse.cli.generate import named_images, spread_of, strangeness_in_words
from echopulse.errors import InputError
from echopulse.model.generator import Generator


def test_an_ecg_becomes_a_clip_and_its_report(run, watch):
    code, said, complaint = run(watch, "--out", "clip.npz", "--seed", 3)
    assert code == 0 and complaint == ""
    assert "clip.npz: 25 frames, ECG rate 75/min" in said and "Not for diagnosis" in said
    report = json.loads(Path("clip.json").read_text())
    assert report["seed"] == 3 and report["ecg"]["path"] == str(watch) and report["video"]["frames"] == 25
    assert "read" in report["seconds"]


def test_the_same_command_twice_writes_the_same_frames(run, watch):
    for name in ("a.npz", "b.npz"):
        assert run(watch, "--out", name)[0] == 0
    with np.load("a.npz") as a, np.load("b.npz") as b:
        assert np.array_equal(a["frames"], b["frames"])


def test_without_a_name_the_clip_is_called_after_the_ecg(run, watch, files_in):
    assert run(watch, "--plain")[0] == 0
    assert files_in(Path()) == ["watch.json", "watch.mp4"]


@pytest.mark.parametrize("ending", ["mp4", "gif", "webm", "png"])
def test_every_ending_gives_its_kind_of_file(run, watch, ending, files_in):
    assert run(watch, "--out", f"clip.{ending}", *(["--plain"] if ending == "webm" else []))[0] == 0
    magic = {"mp4": (4, b"ftyp"), "gif": (0, b"GIF8"), "webm": (0, b"\x1aE\xdf\xa3"), "png": (1, b"PNG")}[ending]
    data = Path(f"clip.{ending}").read_bytes()
    assert data[magic[0] : magic[0] + len(magic[1])] == magic[1]
    assert files_in(Path()) == sorted(["clip.json", f"clip.{ending}"])


def test_options_reach_the_clip(run, watch):
    chosen = ["--view", "a2c", "--ef", "0.3", "--at", "2", "--fps", "20", "--start", "generated"]
    code, _, _ = run(watch, "--out", "clip.npz", *chosen)
    report = json.loads(Path("clip.json").read_text())
    assert code == 0 and report["video"]["view"] == "a2c" and report["video"]["fps"] == pytest.approx(20)
    assert report["arguments"]["ef"] == 0.3 and report["ecg"]["start_s"] == 2
    assert report["video"]["first_image"] == "generated" and report["arguments"]["steps"] == 1


def test_several_clips_of_one_ecg_have_seeds_and_names_of_their_own_and_a_spread_of_ef(run, watch, files_in):
    code, said, _ = run(watch, "--out", "clip.npz", "--samples", 2, "--seed", 5)
    assert code == 0 and files_in(Path()) == ["clip_1.json", "clip_1.npz", "clip_2.json", "clip_2.npz"]
    assert [json.loads(Path(f"clip_{number}.json").read_text())["seed"] for number in (1, 2)] == [5, 6]
    before = Path("clip_2.npz").read_bytes()
    code, _, complaint = run(watch, "--out", "clip.npz", "--samples", 3)
    assert code == 1 and "clip_1.npz: the file exists already" in complaint
    assert Path("clip_2.npz").read_bytes() == before
    assert not Path("clip_3.npz").exists()
    code, _, complaint = run(watch, "--out", "other.npz", "--samples", 0)
    assert code == 1 and "--samples 0: from 1 to 1000 clips" in complaint
    code, _, complaint = run(watch, "--out", "other.npz", "--samples", 2, "--seed", 2**63 - 1)
    assert code == 1 and f"--seed {2**63}" in complaint and not list(Path().glob("other*"))


def test_the_spread_of_several_clips_is_told_in_words():
    said = spread_of([0.4, 0.5, 0.6])
    assert said.startswith("EF of 3 clips (of each the median over its beats) from 40 to 60 %, median 50 %, standard")
    assert "deviation 10.0 %: what the ECG and all else that was given leave open" in said


@pytest.mark.parametrize(("strangeness", "words"), [(1.01, "slightly"), (1.49, "slightly"), (1.5, "much"), (9, "much")])
def test_how_strange_an_ecg_is_is_told_by_degrees(strangeness, words):
    said = strangeness_in_words(strangeness)
    assert said.startswith(f"an ECG {words} unlike") and f"strangeness {strangeness:.2f}; 99 in 100" in said


def test_a_usual_ecg_and_one_of_unknown_strangeness_are_not_warned_of():
    assert strangeness_in_words(1.0) is None and strangeness_in_words(None) is None


def test_a_strange_ecg_is_told_of_once_however_many_clips_are_made_of_it(run, watch, monkeypatch):
    monkeypatch.setattr("echopulse.pipeline.EchoPulse.strangeness", lambda *_: 1.1)
    code, _, complaint = run(watch, "--out", "clip.npz", "--samples", 2)
    assert code == 0 and complaint.count("\n") == 1 and complaint.startswith("watch.csv: an ECG slightly unlike")


def test_fast_halves_the_passes_unless_they_are_counted_otherwise(watch, tiny_model, tmp_path, capsys):
    common = ["generate", str(watch), "--seconds", "1", "--model", str(tiny_model), "--fast"]
    assert main([*common, "--out", str(tmp_path / "fast.npz")]) == 0
    assert json.loads((tmp_path / "fast.json").read_text())["arguments"]["steps"] == 4
    assert main([*common, "--out", str(tmp_path / "other.npz"), "--steps", "2"]) == 1
    assert "--fast with --steps 2" in capsys.readouterr().err


def test_a_prompt_says_view_and_ef(run, watch):
    assert run(watch, "--out", "clip.npz", "--prompt", "LVEF: 42, ViewType: 2CH")[0] == 0
    report = json.loads(Path("clip.json").read_text())
    assert report["video"]["view"] == "a2c" and report["arguments"]["ef"] == pytest.approx(0.42)
    code, _, complaint = run(watch, "--out", "other.npz", "--prompt", "LVEF: 42", "--ef", 0.3)
    assert code == 1 and "the prompt says 0.42" in complaint


@pytest.mark.parametrize(
    "options", [["--age", "63", "--sex", "f"], ["--prompt", "LVEF: 42, ViewType: 2CH, Age: 63, Sex: F"]]
)
def test_age_and_sex_reach_the_generator_by_option_and_by_prompt(run, watch, monkeypatch, options):
    heard = []
    forward = Generator.forward

    def listens(generator, *arguments):
        heard.append(arguments[-1])
        return forward(generator, *arguments)

    monkeypatch.setattr(Generator, "forward", listens)
    assert run(watch, "--out", "clip.npz", *options)[0] == 0
    assert heard and all(one.age_years.item() == 63 and one.female.item() == 1 for one in heard)
    if "--prompt" in options:
        assert all(one.view.item() == 1 and one.ef.item() == pytest.approx(0.42) for one in heard)
    arguments = json.loads(Path("clip.json").read_text())["arguments"]
    assert arguments["age"] == 63 and arguments["sex"] == "f"


def test_pictures_at_times_are_told_from_the_first_one(tmp_path):
    odd = tmp_path / "at@2"
    odd.touch()
    given = named_images(["ed.png", "es.png@0.35", str(odd)[:-2] + "@1.5"])
    assert given == {"image": Path("ed.png"), "images": [(Path("es.png"), 0.35), (tmp_path / "at", 1.5)]}
    assert named_images([str(odd)]) == {"image": odd, "images": []} and named_images([])["image"] is None
    with pytest.raises(InputError, match="only one picture comes first"):
        named_images(["a.png", "b.png"])
    with pytest.raises(InputError, match=r"'\.5s' is no time in seconds"):
        named_images(["ed.png", f"{odd}@.5s"])
    with pytest.raises(InputError, match="only one picture"):
        named_images(["ed.png", "a" * 300 + "@x"])


def test_an_existing_clip_is_replaced_with_force_only(run, watch, assert_one_sentence):
    assert run(watch, "--out", "clip.npz", "--seed", 1)[0] == 0
    first = Path("clip.npz").read_bytes()
    code, _, complaint = run(watch, "--out", "clip.npz", "--seed", 2)
    assert code == 1 and "clip.npz: the file exists already" in complaint and "--force" in complaint
    assert_one_sentence(complaint)
    assert Path("clip.npz").read_bytes() == first
    assert run(watch, "--out", "clip.npz", "--seed", 2, "--force")[0] == 0
    assert Path("clip.npz").read_bytes() != first


def test_an_existing_report_is_not_overwritten_either(run, watch, files_in):
    Path("clip.json").write_text("precious")
    code, _, complaint = run(watch, "--out", "clip.npz")
    assert code == 1 and "clip.json: the file exists already" in complaint and files_in(Path()) == ["clip.json"]


def test_clips_of_one_name_and_two_endings_share_a_report_so_the_second_is_refused(run, watch, files_in):
    assert run(watch, "--out", "clip.png", "--seed", 1)[0] == 0
    code, _, complaint = run(watch, "--out", "clip.npz", "--seed", 2)
    assert code == 1 and "clip.json: the file exists already" in complaint
    assert files_in(Path()) == ["clip.json", "clip.png"] and json.loads(Path("clip.json").read_text())["seed"] == 1
    assert run(watch, "--out", "clip.npz", "--seed", 2, "--force")[0] == 0
    assert json.loads(Path("clip.json").read_text())["seed"] == 2


# --- several ECGs ---


def test_one_that_fails_does_not_stop_the_rest_and_the_exit_code_says_so(
    run, watch, tmp_path, write_ecg, files_in, assert_one_sentence
):
    flat = write_ecg(tmp_path / "flat.csv", flat=True)
    other = write_ecg(tmp_path / "other.csv")
    code, said, complaint = run(watch, flat, other, "--plain", "--out", "made")
    assert code == 1 and "2 of 3 ECGs became clips" in said
    assert_one_sentence(complaint)
    assert "flat.csv: a flat line" in complaint
    assert files_in(Path("made")) == ["other.json", "other.mp4", "watch.json", "watch.mp4"]


def test_even_a_failure_that_nobody_foresaw_does_not_stop_the_rest(
    run, watch, tmp_path, monkeypatch, write_ecg, files_in
):
    from echopulse import ecg

    read = ecg.read_ecg

    def stumbles(path, **options):
        if path.stem == "odd":
            raise ZeroDivisionError("division by zero")
        return read(path, **options)

    monkeypatch.setattr(ecg, "read_ecg", stumbles)
    code, said, complaint = run(write_ecg(tmp_path / "odd.csv"), watch, "--plain")
    assert code == 1 and "1 of 2 ECGs became clips" in said and "division by zero" in complaint
    assert files_in(Path("clips")) == ["watch.json", "watch.mp4"]


def test_a_folder_without_ecgs_among_others_does_not_stop_them(run, watch, tmp_path, files_in):
    (tmp_path / "bare").mkdir()
    code, said, complaint = run(tmp_path / "bare", watch, "--plain")
    assert code == 1 and "1 of 2 ECGs became clips" in said and "bare: a folder without any ECG" in complaint
    assert files_in(Path("clips")) == ["watch.json", "watch.mp4"]


def test_a_folder_gives_a_clip_for_every_ecg_in_it(run, tmp_path, write_ecg, files_in):
    (tmp_path / "ecgs" / "deep").mkdir(parents=True)
    write_ecg(tmp_path / "ecgs" / "a.csv")
    write_ecg(tmp_path / "ecgs" / "deep" / "b.csv")
    code, said, _ = run(tmp_path / "ecgs", "--plain")
    assert code == 0 and "2 of 2 ECGs became clips" in said
    assert files_in(Path("clips")) == ["a.json", "a.mp4", "b.json", "b.mp4"]


def test_ecgs_of_the_same_name_do_not_overwrite_each_other(run, tmp_path, write_ecg):
    for folder in ("x/ward", "y/ward", "z"):
        (tmp_path / folder).mkdir(parents=True)
        write_ecg(tmp_path / folder / "1.csv")
    code, _, _ = run(*(tmp_path / folder / "1.csv" for folder in ("x/ward", "y/ward", "z")), "--plain")
    assert code == 0 and len(list(Path("clips").glob("*.mp4"))) == 3


def test_several_ecgs_need_a_folder_and_not_one_name(run, watch, files_in):
    code, _, complaint = run(watch, watch, "--out", "clip.mp4")
    assert code == 1 and "several ECGs need a folder" in complaint and files_in(Path()) == []


def test_no_clip_of_several_is_begun_where_one_is_there_already(run, watch, tmp_path, write_ecg, files_in):
    other = write_ecg(tmp_path / "other.csv")
    Path("clips").mkdir()
    Path("clips/other.mp4").write_text("precious")
    code, _, complaint = run(watch, other)
    assert code == 1 and "other.mp4: the file exists already" in complaint
    assert files_in(Path("clips")) == ["other.mp4"]


def test_a_folder_for_several_that_cannot_be_made_is_named(run, watch, tmp_path, write_ecg, assert_one_sentence):
    (tmp_path / "file").write_text("")
    code, _, complaint = run(watch, write_ecg(tmp_path / "b.csv"), "--out", tmp_path / "file" / "clips")
    assert code == 1 and "cannot make this folder" in complaint
    assert_one_sentence(complaint)


def test_without_a_model_no_folder_is_made_either(watch, tmp_path, monkeypatch, capsys, files_in):
    monkeypatch.chdir(tmp_path)
    assert main(["generate", str(watch), str(watch), "--model", str(tmp_path / "no-model")]) == 1
    assert "no config.json here" in capsys.readouterr().err and files_in(tmp_path) == []
