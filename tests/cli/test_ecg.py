"""`echopulse ecg`: what it says, draws, converts and refuses."""

import json
from pathlib import Path

import numpy as np
import pytest

from echopulse.cli import main
from echopulse.ecg import read_ecg


@pytest.fixture
def here(tmp_path, monkeypatch, write_ecg):
    """An empty folder with twelve seconds of `watch.csv`, 75/min, at 200 Hz."""
    monkeypatch.chdir(tmp_path)
    return write_ecg(Path("watch.csv"), 12.0)


def test_it_says_what_was_read_and_how_each_thing_was_decided(here, capsys):
    assert main(["ecg", "watch.csv"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("watch.csv: 1 lead, 200 Hz, 12.00 s\n")
    for words in ("format", "table of numbers", "200 Hz, from the time column", "75/min", "quality", "clear"):
        assert words in said
    assert any(line.split()[:1] == ["I"] and "mV" in line for line in said.splitlines())


def test_its_json_holds_the_same_for_programs(here, capsys):
    assert main(["ecg", "watch.csv", "--json", "found.json"]) == 0
    found = json.loads(Path("found.json").read_text())
    assert found["leads"] == ["I"] and found["rate_hz"] == 200 and found["seconds"] == 12
    assert found["peak_to_peak_mv"]["I"] == pytest.approx(1.02, abs=0.05) and found["quality"] > 0.7
    assert set(found["provenance"]) >= {"path", "format", "rate", "unit", "leads"}
    beats = found["beats"]
    assert beats["heart_rate_bpm"] == pytest.approx(75, abs=0.5) and beats["count"] == len(beats["r_peaks_s"]) == 15
    assert beats["r_peaks_s"] == pytest.approx(0.4 + 0.8 * np.arange(15), abs=0.01)


@pytest.mark.parametrize(
    ("arguments", "seconds", "start"),
    [
        (["--at", "3", "--seconds", "4"], 4, 3), (["--seconds", "5"], 5, 0), (["--at", "9"], 3, 9),
        (["--best", "4"], 4, None), (["--at", "2", "--best", "3"], 3, None), (["--rate", "100"], 24, 0),
    ],
)  # fmt: skip
def test_only_the_part_that_was_asked_for(here, arguments, seconds, start):
    assert main(["ecg", "watch.csv", "--json", "found.json", *arguments]) == 0
    found = json.loads(Path("found.json").read_text())
    assert found["seconds"] == pytest.approx(seconds) and (start is None or found["start_s"] == pytest.approx(start))
    assert ("best" in found["provenance"]) == ("--best" in arguments)


def test_the_best_stretch_is_where_the_noise_is_not(here, capsys):
    time, wave = np.loadtxt(here, delimiter=",", skiprows=1).T
    wave[(time < 7)] += np.random.default_rng(1).normal(0, 1.0, (time < 7).sum())
    np.savetxt("noisy.csv", np.column_stack([time, wave]), delimiter=",", header="time_s,I_mV", comments="", fmt="%.5f")
    assert main(["ecg", "noisy.csv", "--best", "4", "--json", "found.json"]) == 0
    assert json.loads(Path("found.json").read_text())["start_s"] >= 7


def test_unit_and_polarity_as_given(here):
    plain = read_ecg("watch.csv").samples
    assert main(["ecg", "watch.csv", "--unit", "uV", "--invert", "--out", "other.npz"]) == 0
    with np.load("other.npz") as other:
        assert np.allclose(other["samples"], -plain / 1000, atol=1e-7)


@pytest.mark.parametrize("ending", ["hea", "csv", "npz", "dcm"])
def test_it_converts(here, ending):
    assert main(["ecg", "watch.csv", "--out", f"made.{ending}"]) == 0
    assert Path(f"made.{ending}").stat().st_size > 50
    if ending in ("hea", "csv"):
        made, plain = read_ecg(f"made.{ending}"), read_ecg("watch.csv")
        assert made.leads == plain.leads and made.rate_hz == plain.rate_hz
        assert np.abs(made.samples - plain.samples).max() < 6e-4


@pytest.mark.parametrize(("ending", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_it_draws_a_page(here, ending, magic):
    assert main(["ecg", "watch.csv", "--plot", f"page.{ending}"]) == 0
    assert Path(f"page.{ending}").read_bytes().startswith(magic)


def test_a_lead_of_several_and_a_flat_line(here, tmp_path, write_ecg, capsys, assert_one_sentence):
    table = np.loadtxt(here, delimiter=",", skiprows=1)
    both = np.column_stack([table, 2 * table[:, 1]])
    np.savetxt("two.csv", both, delimiter=",", header="time_s,I_mV,II_mV", comments="", fmt="%.5f")
    assert main(["ecg", "two.csv", "--lead", "III", "--json", "found.json"]) == 0
    assert json.loads(Path("found.json").read_text())["leads"] == ["III"]
    write_ecg(Path("flat.csv"), 5.0, flat=True)
    capsys.readouterr()
    assert main(["ecg", "flat.csv", "--plot", "flat.png"]) == 0 and "no beats" in capsys.readouterr().out
    assert main(["ecg", "two.csv", "--lead", "V9"]) == 1
    assert_one_sentence(capsys.readouterr().err)


def test_nothing_is_replaced_and_what_is_wrong_is_one_sentence(here, capsys, assert_one_sentence, files_in):
    assert main(["ecg", "watch.csv", "--out", "a.csv", "--plot", "a.png", "--json", "a.json"]) == 0
    before, names = Path("a.csv").read_bytes(), files_in(Path("."))
    wrong = [
        ["--out", "a.csv"], ["--plot", "a.png"], ["--json", "a.json"], ["--out", "b.xml"], ["--plot", "b.bmp"],
        ["--json", "b.txt"], ["--at", "100"], ["--seconds", "0.5"], ["--best", "60"], ["--best", "1"],
        ["--best", "5", "--seconds", "4"], ["--unit", "kg"], ["--rate", "3"],
    ]  # fmt: skip
    for arguments in wrong:
        capsys.readouterr()
        assert main(["ecg", "watch.csv", *arguments]) == 1, arguments
        said = capsys.readouterr()
        assert_one_sentence(said.err)
        assert not said.out, arguments
    assert main(["ecg", "nothing.csv"]) == 1
    assert files_in(Path(".")) == names and Path("a.csv").read_bytes() == before
    assert main(["ecg", "watch.csv", "--out", "a.csv", "--plot", "a.png", "--json", "a.json", "--force"]) == 0
