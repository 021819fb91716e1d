"""Every command through `main`, in this process, on a tiny model: exit codes, refusals, nothing left behind."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from echopulse.cli import main

QUICK = ["--seconds", "1", "--steps", "1", "--guidance", "1"]


def write_ecg(path: Path, seconds: float = 4.0, *, flat: bool = False, rate_hz: float = 200.0) -> Path:
    """A table of seconds and millivolts: 75 beats a minute, or a line at 0.1 mV."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    wave = 0.005 * np.random.default_rng(0).standard_normal(len(time))
    for r in np.arange(0.4, seconds, 0.8):
        wave += np.exp(-(((time - r) / 0.012) ** 2)) + 0.25 * np.exp(-(((time - r - 0.28) / 0.05) ** 2))
    table = np.column_stack([time, np.full_like(time, 0.1) if flat else wave])
    np.savetxt(path, table, delimiter=",", header="time_s,I_mV", comments="", fmt="%.5f")
    return path


@pytest.fixture(scope="session")
def watch(tmp_path_factory) -> Path:
    return write_ecg(tmp_path_factory.mktemp("ecg") / "watch.csv")


@pytest.fixture
def run(tiny_model, tmp_path, monkeypatch, capsys):
    """Runs `echopulse generate` in an empty folder; gives exit code, what was said and what was complained of."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)

    def generate(*arguments) -> tuple[int, str, str]:
        code = main(["generate", *map(str, arguments), *QUICK, "--model", str(tiny_model)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return generate


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def assert_one_sentence(complaint: str) -> None:
    """One line that starts with the program's name, ends a sentence and holds no traceback."""
    assert complaint.startswith("echopulse: ") and complaint.count("\n") == 1 and complaint.rstrip()[-1] in ".)"
    assert "Traceback" not in complaint and "Error" not in complaint


# --- generate ---


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


def test_without_a_name_the_clip_is_called_after_the_ecg(run, watch):
    assert run(watch, "--plain")[0] == 0
    assert files_in(Path()) == ["watch.json", "watch.mp4"]


@pytest.mark.parametrize("ending", ["mp4", "gif", "webm", "png"])
def test_every_ending_gives_its_kind_of_file(run, watch, ending):
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


def test_an_existing_clip_is_replaced_with_force_only(run, watch):
    assert run(watch, "--out", "clip.npz", "--seed", 1)[0] == 0
    first = Path("clip.npz").read_bytes()
    code, _, complaint = run(watch, "--out", "clip.npz", "--seed", 2)
    assert code == 1 and "clip.npz: the file exists already" in complaint and "--force" in complaint
    assert_one_sentence(complaint)
    assert Path("clip.npz").read_bytes() == first
    assert run(watch, "--out", "clip.npz", "--seed", 2, "--force")[0] == 0
    assert Path("clip.npz").read_bytes() != first


def test_an_existing_report_is_not_overwritten_either(run, watch):
    Path("clip.json").write_text("precious")
    code, _, complaint = run(watch, "--out", "clip.npz")
    assert code == 1 and "clip.json: the file exists already" in complaint and files_in(Path()) == ["clip.json"]


# --- bad input ---


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
    return [write_ecg(folder / "flat.csv", flat=True)], "flat.csv: a flat line"


def under_two_seconds(folder):
    return [write_ecg(folder / "short.csv", 1.0)], "short.csv: 1.0 s of ECG at 200 Hz; at least 2 s"


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
    return ["ECG", "--image", write_ecg(folder / "ecg.csv")], "ecg.csv: .*an echo picture or loop is expected"


def an_image_that_is_missing(folder):
    return ["ECG", "--image", folder / "nowhere.png"], "nowhere.png: no such file"


def too_low_an_ef(folder):
    return ["ECG", "--ef", "0.04"], "--ef 0.04: an ejection fraction between 0.05 and 0.85"


def too_high_an_ef(folder):
    return ["ECG", "--ef", "55"], "--ef 55: an ejection fraction between 0.05 and 0.85"


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
    bad, tiny_model, watch, tmp_path, monkeypatch, capsys
):
    inputs, work = tmp_path / "inputs", tmp_path / "work"
    inputs.mkdir()
    work.mkdir()
    monkeypatch.chdir(work)
    given, words = bad(inputs)
    before = files_in(inputs)
    given = [str(watch) if word == "ECG" else str(word) for word in given]
    assert main(["generate", "--model", str(tiny_model), *QUICK, *given]) == 1
    complaint = capsys.readouterr().err
    assert_one_sentence(complaint)
    assert re.search(words, complaint), complaint
    assert files_in(work) == [] and files_in(inputs) == before


def test_a_flat_line_is_taken_when_it_is_allowed(run, tmp_path):
    code, said, _ = run(write_ecg(tmp_path / "flat.csv", flat=True), "--allow-flat", "--out", "clip.npz")
    assert code == 0 and "ECG rate none" in said


def test_a_bare_array_is_taken_when_its_rate_is_given(run, tmp_path):
    table = np.loadtxt(write_ecg(tmp_path / "x.csv"), delimiter=",", skiprows=1)
    np.save(tmp_path / "bare.npy", table[:, 1])
    assert run(tmp_path / "bare.npy", "--rate", "200", "--out", "clip.npz")[0] == 0


def test_a_traceback_is_shown_only_on_request(run, tmp_path):
    assert "Traceback" not in run(tmp_path / "nowhere.csv")[2]
    assert "Traceback" in run(tmp_path / "nowhere.csv", "--verbose")[2]


# --- several ECGs ---


def test_one_that_fails_does_not_stop_the_rest_and_the_exit_code_says_so(run, watch, tmp_path):
    flat = write_ecg(tmp_path / "flat.csv", flat=True)
    other = write_ecg(tmp_path / "other.csv")
    code, said, complaint = run(watch, flat, other, "--plain", "--out", "made")
    assert code == 1 and "2 of 3 clips written" in said
    assert_one_sentence(complaint)
    assert "flat.csv: a flat line" in complaint
    assert files_in(Path("made")) == ["other.json", "other.mp4", "watch.json", "watch.mp4"]


def test_even_a_failure_that_nobody_foresaw_does_not_stop_the_rest(run, watch, tmp_path, monkeypatch):
    from echopulse import ecg

    read = ecg.read_ecg

    def stumbles(path, **options):
        if path.stem == "odd":
            raise ZeroDivisionError("division by zero")
        return read(path, **options)

    monkeypatch.setattr(ecg, "read_ecg", stumbles)
    code, said, complaint = run(write_ecg(tmp_path / "odd.csv"), watch, "--plain")
    assert code == 1 and "1 of 2 clips written" in said and "division by zero" in complaint
    assert files_in(Path("clips")) == ["watch.json", "watch.mp4"]


def test_a_folder_without_ecgs_among_others_does_not_stop_them(run, watch, tmp_path):
    (tmp_path / "bare").mkdir()
    code, said, complaint = run(tmp_path / "bare", watch, "--plain")
    assert code == 1 and "1 of 2 clips written" in said and "bare: a folder without any ECG" in complaint
    assert files_in(Path("clips")) == ["watch.json", "watch.mp4"]


def test_a_folder_gives_a_clip_for_every_ecg_in_it(run, tmp_path):
    (tmp_path / "ecgs" / "deep").mkdir(parents=True)
    write_ecg(tmp_path / "ecgs" / "a.csv")
    write_ecg(tmp_path / "ecgs" / "deep" / "b.csv")
    code, said, _ = run(tmp_path / "ecgs", "--plain")
    assert code == 0 and "2 of 2 clips written" in said
    assert files_in(Path("clips")) == ["a.json", "a.mp4", "b.json", "b.mp4"]


def test_ecgs_of_the_same_name_do_not_overwrite_each_other(run, tmp_path):
    for folder in ("x/ward", "y/ward", "z"):
        (tmp_path / folder).mkdir(parents=True)
        write_ecg(tmp_path / folder / "1.csv")
    code, _, _ = run(*(tmp_path / folder / "1.csv" for folder in ("x/ward", "y/ward", "z")), "--plain")
    assert code == 0 and len(list(Path("clips").glob("*.mp4"))) == 3


def test_several_ecgs_need_a_folder_and_not_one_name(run, watch):
    code, _, complaint = run(watch, watch, "--out", "clip.mp4")
    assert code == 1 and "several ECGs need a folder" in complaint and files_in(Path()) == []


def test_no_clip_of_several_is_begun_where_one_is_there_already(run, watch, tmp_path):
    other = write_ecg(tmp_path / "other.csv")
    Path("clips").mkdir()
    Path("clips/other.mp4").write_text("precious")
    code, _, complaint = run(watch, other)
    assert code == 1 and "other.mp4: the file exists already" in complaint
    assert files_in(Path("clips")) == ["other.mp4"]


def test_a_folder_for_several_that_cannot_be_made_is_named(run, watch, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, complaint = run(watch, write_ecg(tmp_path / "b.csv"), "--out", tmp_path / "file" / "clips")
    assert code == 1 and "cannot make this folder" in complaint
    assert_one_sentence(complaint)


def test_without_a_model_no_folder_is_made_either(watch, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["generate", str(watch), str(watch), "--model", str(tmp_path / "no-model")]) == 1
    assert "no config.json here" in capsys.readouterr().err and files_in(tmp_path) == []


# --- the program itself ---


@pytest.mark.parametrize(
    "arguments",
    [[], ["fly"], ["generate"], ["generate", "x.csv", "--ef", "half"], ["train", "poet"], ["simulate"],
     ["simulate", "--out", "a", "--bank", "b"], ["measure"]],
)  # fmt: skip
def test_wrong_use_ends_with_two_and_says_how_to_do_it(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2 and "usage: echopulse" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["generate", "simulate", "measure", "train", "evaluate"])
def test_every_command_explains_itself_with_an_example(verb, capsys):
    with pytest.raises(SystemExit) as end:
        main([verb, "--help"])
    said = capsys.readouterr().out
    assert end.value.code == 0 and f"echopulse {verb} " in said.split("example:")[1]


def test_the_version_is_that_of_the_package(capsys):
    from echopulse import __version__

    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0 and capsys.readouterr().out.strip() == f"echopulse {__version__}"


def test_being_interrupted_is_no_traceback(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("echopulse.data.export.export", interrupted)
    assert main(["simulate", "--out", "x"]) == 1 and capsys.readouterr().err == "Stopped.\n"


# --- the other commands ---


def test_simulate_writes_pairs(tmp_path, capsys):
    pairs = str(tmp_path / "pairs")
    command = ["simulate", "--out", pairs, "--clips", "1", "--seconds", "0.2", "--size", "32", "--set", "ef=0.3"]
    assert main(command) == 0
    endings = ("atr", "csv", "dat", "hea", "json", "mp4", "npz")
    assert files_in(tmp_path / "pairs") == [*(f"00000.{ending}" for ending in endings), "simulation.json"]
    assert "1 heart made now, with ECG and truth" in capsys.readouterr().out
    assert main(command) == 0 and "0 hearts made now" in capsys.readouterr().out


def test_simulate_hands_on_what_it_was_told(tmp_path, monkeypatch, capsys):
    told = {}
    monkeypatch.setattr("echopulse.data.export.export", lambda *given, **options: told.update(options) or 3)
    settings = "--format camus --views a4c,a2c --leads II,V5 --set rhythm=af --ecg x.csv --at 2 --workers 3 --fps 40"
    assert main(["simulate", "--out", str(tmp_path), *settings.split()]) == 0
    assert told["form"] == "camus" and told["views"] == ("a4c", "a2c") and told["leads"] == ("II", "V5")
    assert told["pins"] == {"rhythm": "af"} and told["ecg"] == Path("x.csv") and told["at_s"] == 2
    assert told["workers"] == 3 and told["fps"] == 40 and told["seconds"] is None and not told["force"]


def test_simulate_writes_a_bank_in_whole_shards(tmp_path, monkeypatch, capsys):
    import torch

    from echopulse.data import bank
    from echopulse.phantom import simulate

    def few(n, **options):
        """One clip: what the shard holds is not the point here."""
        assert n == 32
        return simulate(1, **{**options, "size": 16})

    monkeypatch.setattr(bank, "simulate", few)
    command = ["simulate", "--bank", str(tmp_path), "--clips", "5", "--seconds", "0.2", "--workers", "1"]
    assert main(command) == 0
    assert files_in(tmp_path) == ["shard-000000-00000.safetensors"] and "32 hearts" in capsys.readouterr().out
    assert isinstance(bank.Bank.load(tmp_path).frames, torch.Tensor)
    assert main([*command, "--set", "ef=0.3"]) == 1 and "made with other settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--set", "colour=1"], "no parameter 'colour'"),
        (["--set", "rhythm=waltz"], "rhythm 'waltz' is unknown; choose one of sinus"),
        (["--set", "ef=0.9"], "ef lies between"),
        (["--set", "fps=30"], "fps is a setting of the recording"),
        (["--format", "avi"], "--format avi: expected one of pairs, echonet, camus, dicom, shards"),
        (["--workers", "0"], "--workers 0: at least one"),
        (["--views", "apical"], "view 'apical' is unknown"),
        (["--leads", "V9"], "V9"),
        (["--prior", "hopeful"], "prior 'hopeful' is unknown"),
    ],
)
def test_simulate_refuses_what_it_cannot_do_and_writes_nothing(tmp_path, capsys, given, words):
    assert main(["simulate", "--out", str(tmp_path / "pairs"), "--clips", "1", *given]) == 1
    complaint = capsys.readouterr().err
    assert_one_sentence(complaint)
    assert words in complaint and files_in(tmp_path) == []


def test_measure_says_what_it_found_and_writes_it_where_asked(run, watch, tiny_model, capsys):
    pytest.importorskip("echopulse.measure.report")
    assert run(watch, "--out", "clip.npz")[0] == 0
    assert main(["measure", "clip.npz", "--model", str(tiny_model), "--json", "found.json"]) == 0
    assert capsys.readouterr().out and isinstance(json.loads(Path("found.json").read_text()), dict)
    assert main(["measure", "clip.npz", "--model", str(tiny_model), "--json", "found.json"]) == 1
    assert_one_sentence(capsys.readouterr().err)


def test_measure_refuses_what_is_no_clip(watch, tiny_model, capsys):
    assert main(["measure", str(watch), "--model", str(tiny_model)]) == 1
    complaint = capsys.readouterr().err
    assert_one_sentence(complaint)
    assert "watch.csv" in complaint


def test_train_refuses_what_it_cannot_do_before_any_work(tmp_path, capsys):
    assert main(["train", "tokenizer", "--preset", "huge", "--run", str(tmp_path / "r")]) == 1
    assert main(["train", "generator", "--preset", "tiny", "--run", str(tmp_path / "r")]) == 1
    assert main(["train", "tokenizer", "--preset", "tiny", "--resume", str(tmp_path / "r")]) == 1
    preset, tokenizer, resume = capsys.readouterr().err.splitlines()
    assert "huge" in preset and "--tokenizer" in tokenizer and "resume" in resume
    assert files_in(tmp_path) == []


def test_evaluate_refuses_an_unknown_part(tiny_model, capsys):
    pytest.importorskip("echopulse.evaluate.report")
    assert main(["evaluate", "--only", "poetry", "--model", str(tiny_model)]) == 1
    assert "--only poetry: expected some of tokenizer" in capsys.readouterr().err
