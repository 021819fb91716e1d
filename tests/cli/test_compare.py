"""`echopulse compare` through `main`: what it prints, writes and refuses."""

import json
from pathlib import Path

import pytest

from echopulse.cli import main
from echopulse.evaluate.report import to_json
from echopulse.evaluate.results import Results

KEY = "timing.ecg_alone.r"


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(name: str, r: float, data: str = "d") -> str:
        about = {"versions": {"echopulse": "0.1.0"}, "data": {"hash": data}, "measurer": {"hash": "m"}}
        Path(name).write_text(to_json(Results({KEY: r}, {KEY: [r - 0.1, r, r + 0.1]}, about)))
        return name

    return write


def test_two_evaluations_are_compared_and_written_where_asked(write, capsys):
    arguments = ["compare", write("a.json", 0.5), write("b.json", 0.75), "--json", "out.json"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert f"| `{KEY}` | 0.5 | 0.75 | +0.25 | +0.25 to +0.25 (paired) | **differs** |" in said
    first, last = said.splitlines()[0], said.splitlines()[-1]
    assert first == last and "differ beyond chance (b.json against a.json: 1 higher without a bar)" in first
    assert json.loads(Path("out.json").read_text())["figures"][KEY]["difference"] == 0.25
    assert main(arguments) == 1  # nothing is replaced without --force
    assert main([*arguments, "--force"]) == 0


def test_unlike_data_need_a_word(write, capsys, assert_one_sentence):
    arguments = ["compare", write("a.json", 0.5), write("b.json", 0.75, "other")]
    assert main(arguments) == 1
    complaint = capsys.readouterr().err
    assert_one_sentence(complaint)
    assert "held-out data (hash): d and other" in complaint and "--anyway" in complaint
    assert main([*arguments, "--anyway"]) == 0 and "| data.hash | d | other |" in capsys.readouterr().out


def test_what_is_no_evaluation_is_refused(write, capsys, assert_one_sentence):
    Path("note.json").write_text("{}")
    for other in ("note.json", "nowhere.json"):
        assert main(["compare", write("a.json", 0.5), other]) == 1
        complaint = capsys.readouterr().err
        assert_one_sentence(complaint)
        assert other in complaint
