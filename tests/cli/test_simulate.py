"""`echopulse simulate`: what it hands on, what it writes and what it refuses."""

from pathlib import Path

import pytest

from echopulse.cli import main
from echopulse.data.export import Exported


def test_simulate_writes_pairs(tmp_path, capsys, files_in):
    pairs = str(tmp_path / "pairs")
    command = ["simulate", "--out", pairs, "--clips", "1", "--seconds", "0.2", "--size", "32", "--set", "ef=0.3"]
    assert main(command) == 0
    endings = ("atr", "csv", "dat", "hea", "json", "mp4", "npz")
    assert files_in(tmp_path / "pairs") == [*(f"00000.{ending}" for ending in endings), "simulation.json"]
    assert "1 heart made now, 1 there in all, with ECG and truth" in capsys.readouterr().out
    assert main(command) == 0 and "0 hearts made now, 1 there in all" in capsys.readouterr().out


def test_simulate_hands_on_what_it_was_told(tmp_path, monkeypatch, capsys):
    told = {}
    monkeypatch.setattr("echopulse.data.export.export", lambda *_, **options: told.update(options) or Exported(3, 3))
    settings = "--format camus --views a4c,a2c --leads II,V5 --set rhythm=af --ecg x.csv --at 2 --workers 3 --fps 40"
    settings += " --rate 500 --allow-flat"
    assert main(["simulate", "--out", str(tmp_path), *settings.split()]) == 0
    assert told["form"] == "camus" and told["views"] == ("a4c", "a2c") and told["leads"] == ("II", "V5")
    assert told["pins"] == {"rhythm": "af"} and told["ecg"] == Path("x.csv") and told["at_s"] == 2
    assert told["rate_hz"] == 500 and told["allow_flat"]
    assert told["workers"] == 3 and told["fps"] == 40 and told["seconds"] is None and not told["force"]


def test_the_help_says_how_many_frames_training_takes_and_lengths_that_are_taken(capsys):
    with pytest.raises(SystemExit):
        main(["simulate", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "1 + 4k frames: at 25/s 1.32 (33 frames" in said
    for seconds in (1.32, 1.48, 2.6):
        assert str(seconds) in said and round(seconds * 25) % 4 == 1


def test_simulate_writes_a_bank_in_whole_shards(tmp_path, monkeypatch, capsys, files_in):
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
    assert files_in(tmp_path) == ["shard-000000-00000.safetensors"]
    assert "32 hearts made now, 1 there in all (5 asked for; every shard holds 32)" in capsys.readouterr().out
    assert isinstance(bank.Bank.load(tmp_path).frames, torch.Tensor)
    assert main([*command, "--set", "ef=0.3"]) == 1 and "made with other settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--set", "colour=1"], "no parameter 'colour'; `echopulse simulate --parameters` lists them all"),
        (["--set", "rate=70"], "did you mean heart_rate_bpm"),
        (["--set", "rhythm=bradycardia", "--set", "heart_rate_bpm=150"], "a bradycardia has at most 60/min"),
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
def test_simulate_refuses_what_it_cannot_do_and_writes_nothing(
    tmp_path, capsys, given, words, files_in, assert_one_sentence
):
    assert main(["simulate", "--out", str(tmp_path / "pairs"), "--clips", "1", *given]) == 1
    complaint = capsys.readouterr().err
    assert_one_sentence(complaint)
    assert words in complaint and files_in(tmp_path) == []


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("--check --set ef=0.3 --views a4c", "--set, --views with --check"),
        ("--check --rate 200 --allow-flat", "--rate, --allow-flat with --check"),
        ("--out x --rate 200", "--rate needs --ecg FILE"),
        ("--out x --json y.json", "--json without --check"),
        ("--bank x --format camus", "--bank with --format camus"),
        ("--out x --format echonet --set rhythm=asystole", "this format is for hearts that beat"),
        ("--out x --device abacus", "device abacus: not usable here"),
    ],
)
def test_simulate_refuses_what_it_would_have_to_ignore(settings, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", *settings.split()]) == 1
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_others_may_read_a_bank(tmp_path, monkeypatch):
    from echopulse.data import bank
    from echopulse.phantom import simulate

    monkeypatch.setattr(bank, "simulate", lambda n, **options: simulate(1, **{**options, "size": 16}))
    command = ["simulate", "--bank", str(tmp_path / "bank"), "--clips", "1", "--seconds", "0.2", "--workers", "1"]
    assert main(command) == 0
    (shard,) = (tmp_path / "bank").glob("shard-*.safetensors")
    other = tmp_path / "other"
    other.write_text("")
    assert shard.stat().st_mode == other.stat().st_mode


def test_the_parameters_are_listed_with_range_unit_and_meaning_one_line_each(capsys):
    from echopulse.phantom.limits import LIMITS
    from echopulse.phantom.priors import NAMES

    assert main(["simulate", "--parameters"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.startswith("  ")}
    assert set(lines) == set(LIMITS) | set(NAMES) - {"origin"}
    assert lines["heart_rate_bpm"].split()[1:5] == ["25", "to", "220", "1/min"]
    assert "ejection fraction of a regular beat" in lines["ef"] and "sinus, af, pvc" in lines["rhythm"]


def test_the_check_tells_of_every_part_that_is_done(monkeypatch, capsys):
    def check(clips, *, on_step, **_):
        on_step(0.5, None)
        on_step(0.75, "events")
        return []

    monkeypatch.setattr("echopulse.evaluate.phantom.check_phantom", check)
    monkeypatch.setattr("echopulse.evaluate.phantom.as_table", lambda rows: "the table")
    assert main(["simulate", "--check"]) == 0
    said = capsys.readouterr()
    assert said.err == "checking the phantom: events done, 75 % of all\n" and said.out == "the table\n"
