"""`echopulse evaluate` through `main`: what reaches the evaluation, what is written, what is refused."""

import json
from pathlib import Path

import pytest

from echopulse.cli import main
from echopulse.cli.evaluate import DEFAULTS
from echopulse.errors import InputError
from echopulse.evaluate import candidates, hearts, runner
from echopulse.evaluate.report import read_results
from echopulse.evaluate.results import Results

KEY = "timing.first_image.ed_ms.median_abs"
FOUND = Results({KEY: 30.0, "tokenizer.mse": 0.001}, about={"settings": {"seed": 1}})


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """Stands in for model and evaluation, and tells how both were asked."""
    asked = []

    def evaluate(candidate, **options) -> Results:
        asked.append({"candidate": candidate, **options})
        options["on_step"](1.0)
        return FOUND

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(candidates, "load_candidate", lambda spec, adapters: f"<{spec}>")
    monkeypatch.setattr(runner, "evaluate", evaluate)
    return asked


def test_the_table_is_printed_and_all_three_files_are_written(calls, capsys):
    assert main(["evaluate", "--markdown", "t.md", "--json", "t.json", "--html", "t.html"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("2 of 2 bars met.") and "Not for diagnosis" in said
    page, headline, end = said.rpartition("\n\n2 of 2 bars met.\n")
    assert Path("t.md").read_text() == page and headline and not end
    assert read_results(Path("t.json")).scores == FOUND.scores
    assert Path("t.html").read_text().startswith("<!DOCTYPE html>")


def test_every_option_reaches_the_evaluation(calls):
    Path("i.pt").touch()
    assert main([
        "evaluate", "a.csv", "b.csv", "--model", "x:y", "--clips", "9", "--seconds", "1.5", "--seed", "3", "--start",
        "generated", "--only", "files, quality,privacy", "--work", "w", "--features", "i3d=i.pt", "--as-published",
        "--train-data", "t", "--reject-copies", "r",
    ]) == 0  # fmt: skip
    asked = calls[0]
    asked.pop("on_step")
    assert asked == {
        "candidate": "<x:y>", "ecg_files": [Path("a.csv"), Path("b.csv")], "clips": 9, "seconds": 1.5, "seed": 3,
        "start": "generated", "parts": ["files", "quality", "privacy"], "work": Path("w"),
        "features": {"i3d": Path("i.pt")}, "as_published": True, "train_data": Path("t"), "reject_copies": Path("r"),
    }  # fmt: skip


def test_nothing_is_replaced_and_no_wrong_ending_taken_before_any_work(calls, capsys, assert_one_sentence):
    Path("t.json").write_text("mine")
    for arguments in (["--json", "t.json"], ["--html", "t.txt"], ["--markdown", "none/t.md"]):
        assert main(["evaluate", *arguments]) == 1
        assert_one_sentence(capsys.readouterr().err)
    assert not calls and Path("t.json").read_text() == "mine"
    assert main(["evaluate", "--json", "t.json", "--force"]) == 0 and json.loads(Path("t.json").read_text())


def test_a_feature_file_that_is_not_there_is_refused(calls, capsys, assert_one_sentence):
    assert main(["evaluate", "--features", "i3d=nowhere.pt"]) == 1
    complaint = capsys.readouterr().err
    assert_one_sentence(complaint)
    assert "nowhere.pt" in complaint and not calls


def test_what_an_evaluation_refuses_is_said_in_one_sentence_and_nothing_is_written(
    calls, monkeypatch, capsys, files_in, tmp_path, assert_one_sentence
):
    def refuse(*_, **__):
        raise InputError("12 clips: the Fréchet distance needs 50 or more; ask for --clips 50.")

    monkeypatch.setattr(runner, "evaluate", refuse)
    assert main(["evaluate", "--json", "t.json", "--html", "t.html"]) == 1
    complaint = capsys.readouterr().err
    assert_one_sentence(complaint)
    assert "12 clips" in complaint and files_in(tmp_path) == []


def test_claims_that_hold_give_0_and_others_1(calls, capsys):
    Path("README.md").write_text(
        f"<!-- evaluate: clips=48, ecg=x/a.csv -->\n30 ms <!-- claim: {KEY} = 30 ± 1 -->\n"
        "<!-- claim: tokenizer.mse ≤ 0.01 -->\n", encoding="utf-8",
    )  # fmt: skip
    assert main(["evaluate", "--reproduce", "README.md", "--work", "w"]) == 0
    assert "2 of 2 claims hold." in capsys.readouterr().out
    asked = calls[0]
    assert asked["clips"] == 48 and asked["ecg_files"] == [Path("x/a.csv")] and asked["work"] == Path("w")
    assert asked["parts"] == ("timing", "tokenizer") and "ecg" not in asked
    Path("README.md").write_text(f"29 ms <!-- claim: {KEY} = 29 ± 0.5 -->\n", encoding="utf-8")
    assert main(["evaluate", "--reproduce", "README.md"]) == 1
    assert "**differs**" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--reproduce", "README.md", "--json", "t.json", "--clips", "9"], "--clips, --json with --reproduce"),
        (["--reproduce", "README.md", "watch.csv"], "ECG files with --reproduce"),
        (["--export-tasks", "out", "--only", "timing"], "--only with --export-tasks"),
        (["--export-tasks", "out", "--reproduce", "README.md"], "--reproduce with --export-tasks"),
        (["--only", "timing", "watch.csv"], "ECG files with --only timing: only files would look"),
        (["--only", "timing", "--as-published"], "--as-published with --only timing: only quality would look"),
        (["--only", "timing,controls", "--start", "generated"], "only files and speed would look"),
    ],
)
def test_what_would_be_ignored_is_refused(calls, capsys, assert_one_sentence, arguments, says):
    assert main(["evaluate", *arguments]) == 1
    complaint = capsys.readouterr().err
    assert_one_sentence(complaint)
    assert says in complaint and not calls and not Path("out").exists()


def test_the_usual_numbers_are_those_of_the_evaluation():
    told = [DEFAULTS[name] for name in ("clips", "seconds", "seed")]
    assert told == [hearts.CLIPS, hearts.SECONDS, hearts.SEED]


def test_a_page_without_claims_is_refused_before_any_evaluation(calls, capsys, assert_one_sentence):
    Path("README.md").write_text("Our model is good.")
    assert main(["evaluate", "--reproduce", "README.md"]) == 1
    assert_one_sentence(capsys.readouterr().err)
    assert not calls


def test_tasks_are_exported_as_asked_and_nothing_is_evaluated(calls, monkeypatch, capsys):
    asked = []

    def export(folder, **options) -> int:
        asked.append((folder, {name: value for name, value in options.items() if name != "on_step"}))
        return 7

    monkeypatch.setattr(candidates, "export_tasks", export)
    assert main(["evaluate", "--export-tasks", "out", "--clips", "5", "--seed", "4", "--seconds", "1"]) == 0
    assert asked == [(Path("out"), {"clips": 5, "seed": 4, "seconds": 1.0})] and not calls
    assert capsys.readouterr().out.startswith("7 tasks in out/tasks.csv")


def test_an_unknown_part_is_refused(tiny_model, capsys, assert_one_sentence):
    assert main(["evaluate", "--only", "poetry", "--model", str(tiny_model)]) == 1
    complaint = capsys.readouterr().err
    assert_one_sentence(complaint)
    assert "--only poetry: expected some of speed" in complaint
