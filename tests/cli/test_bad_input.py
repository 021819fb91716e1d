"""What `echopulse generate` cannot take is refused in one sentence, and nothing is left behind."""

import re

import numpy as np
import pytest

from echopulse.cli import main

QUICK = ["--seconds", "1", "--steps", "1", "--guidance", "1"]


@pytest.fixture(scope="module")
def recordings(watch, write_ecg, tmp_path_factory):
    """What the words in capitals stand for."""
    folder = tmp_path_factory.mktemp("recordings")
    flat, short = write_ecg(folder / "flat.csv", flat=True), write_ecg(folder / "short.csv", 1.0)
    return {"ECG": watch, "FLAT": flat, "SHORT": short}


def missing(folder):
    return [folder / "nowhere.csv"], "nowhere.csv: there is no such file"


def empty(folder):
    (folder / "empty.csv").write_bytes(b"")
    return [folder / "empty.csv"], "empty.csv: the file is empty"


def table_header_without_data(folder):
    (folder / "header.csv").write_text("time_s,I_mV\n")
    return [folder / "header.csv"], "header.csv: "


def wfdb_header_without_data(folder):
    (folder / "rec.hea").write_text("rec 1 360 1000\nrec.dat 212 200 11 1024 995 -22131 0 MLII\n")
    return [folder / "rec.hea"], "rec.dat"


def text_that_is_no_ecg(folder):
    (folder / "letter.txt").write_text("Dear colleague,\nthank you for referring this patient.\n")
    return [folder / "letter.txt"], "letter.txt: text, but no ECG in it"


def a_flat_line(folder):
    return ["FLAT"], "flat.csv: a flat line"


def under_two_seconds(folder):
    return ["SHORT"], "short.csv: 1.0 s of ECG at 200 Hz; at least 2 s"


def nan_throughout(folder):
    np.save(folder / "nan.npy", np.full(2000, np.nan))
    return [folder / "nan.npy", "--rate", "200"], "nan.npy: "


def unknown_sampling_rate(folder):
    np.save(folder / "bare.npy", np.random.default_rng(0).standard_normal(2000))
    return [folder / "bare.npy"], "--rate"


def a_folder_without_ecgs(folder):
    (folder / "photos").mkdir()
    (folder / "photos" / "cat.jpg").write_bytes(b"\xff\xd8\xff")
    return [folder / "photos"], "photos: a folder without any ECG"


def an_unwritable_output(folder):
    (folder / "file").write_text("")
    return ["ECG", "--out", folder / "file" / "clip.mp4"], "file"


def an_output_folder_that_is_not_there(folder):
    return ["ECG", "--out", folder / "none" / "clip.mp4"], "the folder .*none does not exist"


def an_unknown_ending(folder):
    return ["ECG", "--out", "clip.avi"], r"clip.avi: the ending .avi; one of .mp4"


def an_image_that_is_text(folder):
    (folder / "image.png").write_text("not a picture")
    return ["ECG", "--image", folder / "image.png"], "image.png: .*an echo picture or loop is expected"


def an_image_that_is_an_ecg(folder):
    return ["ECG", "--image", "SHORT"], "short.csv: .*an echo picture or loop is expected"


def an_image_that_is_missing(folder):
    return ["ECG", "--image", folder / "nowhere.png"], "nowhere.png: no such file"


def too_low_an_ef(folder):
    return ["ECG", "--ef", "0.04"], "--ef 0.04: an ejection fraction between 0.05 and 0.85"


def too_high_an_ef(folder):
    return ["ECG", "--ef", "55"], r"--ef 55: an ejection fraction between 0.05 and 0.85 is expected \(0.55 for 55 %\)"


def more_seconds_than_the_ecg_has(folder):
    return ["ECG", "--seconds", "9"], "watch.csv: 9 s asked for, but the ECG has 4.0 s"


def a_lead_that_is_not_there(folder):
    return ["ECG", "--lead", "V9"], "watch.csv: no lead 'V9'; it has I"


def an_unknown_view(folder):
    return ["ECG", "--view", "plax"], "--view plax: this model knows a4c, a2c"


def no_model_there(folder):
    return ["ECG", "--model", folder / "no-model"], "no-model: no config.json here"


BAD = [
    missing, empty, table_header_without_data, wfdb_header_without_data, text_that_is_no_ecg, a_flat_line,
    under_two_seconds, nan_throughout, unknown_sampling_rate, a_folder_without_ecgs, an_unwritable_output,
    an_output_folder_that_is_not_there, an_unknown_ending, an_image_that_is_text, an_image_that_is_an_ecg,
    an_image_that_is_missing, too_low_an_ef, too_high_an_ef, more_seconds_than_the_ecg_has, a_lead_that_is_not_there,
    an_unknown_view, no_model_there,
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.__name__)
def test_bad_input_is_refused_in_one_sentence_and_nothing_is_written(
    bad, tiny_model, recordings, tmp_path, monkeypatch, capsys, files_in, assert_one_sentence
):
    inputs, work = tmp_path / "inputs", tmp_path / "work"
    inputs.mkdir()
    work.mkdir()
    monkeypatch.chdir(work)
    given, words = bad(inputs)
    before = files_in(inputs)
    given = [str(recordings.get(word, word)) for word in given]
    assert main(["generate", "--model", str(tiny_model), *QUICK, *given]) == 1
    complaint = capsys.readouterr().err
    assert_one_sentence(complaint)
    assert re.search(words, complaint), complaint
    assert files_in(work) == [] and files_in(inputs) == before


def test_a_flat_line_is_taken_when_it_is_allowed(run, tmp_path, write_ecg):
    code, said, _ = run(write_ecg(tmp_path / "flat.csv", flat=True), "--allow-flat", "--out", "clip.npz")
    assert code == 0 and "ECG rate none" in said


def test_a_bare_array_is_taken_when_its_rate_is_given(run, tmp_path, write_ecg):
    table = np.loadtxt(write_ecg(tmp_path / "x.csv"), delimiter=",", skiprows=1)
    np.save(tmp_path / "bare.npy", table[:, 1])
    assert run(tmp_path / "bare.npy", "--rate", "200", "--out", "clip.npz")[0] == 0


def test_a_traceback_is_shown_only_on_request(run, tmp_path):
    assert "Traceback" not in run(tmp_path / "nowhere.csv")[2]
    assert "Traceback" in run(tmp_path / "nowhere.csv", "--verbose")[2]
