"""`echopulse simulate`: what it hands on, what it writes and what it refuses."""

from pathlib import Path

import pytest

from echopulse.cli import main


def test_simulate_writes_pairs(tmp_path, capsys, files_in):
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
