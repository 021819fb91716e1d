"""`echopulse measure` and `train`."""

import json
from pathlib import Path

import pytest

from echopulse.cli import main


def test_measure_says_what_it_found_and_writes_it_where_asked(run, watch, tiny_model, capsys, assert_one_sentence):
    pytest.importorskip("echopulse.measure.report")
    assert run(watch, "--out", "clip.npz")[0] == 0
    assert main(["measure", "clip.npz", "--model", str(tiny_model), "--json", "found.json"]) == 0
    assert capsys.readouterr().out and isinstance(json.loads(Path("found.json").read_text()), dict)
    assert main(["measure", "clip.npz", "--model", str(tiny_model), "--json", "found.json"]) == 1
    assert_one_sentence(capsys.readouterr().err)


def test_measure_draws_a_page_and_an_overlay_and_joins_two_views(run, watch, tiny_model, capsys, assert_one_sentence):
    assert run(watch, "--out", "clip.npz")[0] == 0
    capsys.readouterr()
    common = ["measure", "clip.npz", "--model", str(tiny_model)]
    assert main([*common, "--view", "a2c", "--png", "page.png", "--overlay", "outlined.mp4"]) == 0
    assert "view a2c" in capsys.readouterr().out
    assert Path("page.png").stat().st_size > 5000 and Path("outlined.mp4").stat().st_size > 1000
    assert main([*common, "--png", "page.png"]) == 1 and main([*common, "--view", "sideways"]) == 1
    for complaint in capsys.readouterr().err.splitlines(keepends=True):
        assert_one_sentence(complaint)
    # untrained weights see no whole heartbeat, which biplane volumes need
    assert main([*common, "--biplane", "clip.npz"]) == 1
    assert "no whole heartbeat in the a4c clip" in capsys.readouterr().err


def test_measure_refuses_what_is_no_clip(watch, tiny_model, capsys, assert_one_sentence):
    assert main(["measure", str(watch), "--model", str(tiny_model)]) == 1
    complaint = capsys.readouterr().err
    assert_one_sentence(complaint)
    assert "watch.csv" in complaint


def test_train_refuses_what_it_cannot_do_before_any_work(tmp_path, capsys, files_in):
    assert main(["train", "tokenizer", "--preset", "huge", "--run", str(tmp_path / "r")]) == 1
    assert main(["train", "generator", "--preset", "tiny", "--run", str(tmp_path / "r")]) == 1
    assert main(["train", "tokenizer", "--preset", "tiny", "--resume", str(tmp_path / "r")]) == 1
    preset, tokenizer, resume = capsys.readouterr().err.splitlines()
    assert "huge" in preset and "--tokenizer" in tokenizer and "resume" in resume
    assert main(["train", "tokenizer", "--patch", "4", "--run", str(tmp_path / "r")]) == 1
    assert main(["train", "tokenizer", "--decoder", "bent", "--run", str(tmp_path / "r")]) == 1
    assert main(["train", "generator", "--patch", "8", "--run", str(tmp_path / "r")]) == 1
    patch, decoder, generator = capsys.readouterr().err.splitlines()
    assert "16 or 8 pixels" in patch and "plain, motion" in decoder and "not the generator" in generator
    assert files_in(tmp_path) == []


def test_train_takes_an_ecg_encoder_from_several_sources_and_gives_it_to_a_generator(tmp_path, monkeypatch, capsys):
    asked = {}

    def train(what, **options):
        asked.update(options, what=what)
        return {"hidden_error": 0.5}, tmp_path

    monkeypatch.setattr("echopulse.train.recipes.train", train)
    assert main(["train", "ecg-encoder", "--data", "bank", "--data", "my_ecgs"]) == 0
    assert (asked["what"], asked["data"], asked["more"]) == ("ecg-encoder", "bank", ["my_ecgs"])
    assert asked["run"] == Path("runs/out/ecg-encoder") and "hidden_error 0.5" in capsys.readouterr().out
    assert main(["train", "ecg-encoder", "--data", "my_ecgs", "--rate", "500"]) == 0 and asked["rate_hz"] == 500
    assert main(["train", "generator", "--from", "model", "--resume", "run"]) == 0
    assert (asked["start_from"], asked["run"], asked["resume"]) == (Path("model"), Path("run"), True)
    assert main(["train", "tokenizer", "--from", "model", "--resume", "run"]) == 1
    assert "leave one of them out" in capsys.readouterr().err
    assert main(["train", "generator", "--ecg-encoder", "ecg"]) == 0
    assert (asked["data"], asked["more"], asked["ecg_encoder"]) == ("phantom", [], "ecg")
    assert main(["train", "generator", "--ecg-encoder", "st-mem=encoder.pth"]) == 0
    assert asked["ecg_encoder"] == "st-mem=encoder.pth"
    asked["on_notice"]("ST-MEM's weights are licensed")
    assert capsys.readouterr().err == "echopulse: ST-MEM's weights are licensed.\n"


def test_training_on_ecgs_names_what_it_skips_and_refuses_a_folder_without_any(
    write_ecg, tmp_path, capsys, assert_one_sentence
):
    folder = tmp_path / "ecgs"
    folder.mkdir()
    write_ecg(folder / "a.csv"), write_ecg(folder / "b.csv")
    (folder / "letter.csv").write_text("Dear sir.\n")
    quick = ["train", "ecg-encoder", "--preset", "tiny", "--steps", "1", "--batch", "8"]
    assert main([*quick, "--data", str(folder), "--run", str(tmp_path / "run")]) == 0
    done = capsys.readouterr()
    assert "letter.csv: text, but no ECG in it" in done.err and "skipped." in done.err
    assert "hidden_error_straight" in done.out and "skipped 1" in done.out
    (tmp_path / "none").mkdir()
    assert main([*quick, "--data", str(tmp_path / "none"), "--run", str(tmp_path / "second")]) == 1
    said = capsys.readouterr().err
    assert_one_sentence(said)
    assert "a folder without any ECG" in said and not (tmp_path / "second").exists()


def test_train_passes_losses_on_and_refuses_what_is_none(tmp_path, monkeypatch, capsys, files_in, assert_one_sentence):
    asked = {}

    def train(what, **options):
        asked.update(options)
        return {"mse": 0.5}, tmp_path

    file = tmp_path / "i3d.pt"
    file.touch()
    with monkeypatch.context() as patch:
        patch.setattr("echopulse.train.recipes.train", train)
        words = ["--loss", "video=0.1", "--loss", "mse=0", "--balance", "--perceptual", f"i3d={file}"]
        assert main(["train", "tokenizer", *words, "--measurer", "there"]) == 0
    assert asked["losses"] == {"video": 0.1, "mse": 0.0} and asked["balance"] is True
    assert asked["perceptual"] == {"i3d": file} and str(asked["measurer_folder"]) == "there"
    file.unlink()
    capsys.readouterr()
    quick = ["train", "tokenizer", "--preset", "tiny", "--run", str(tmp_path / "r")]
    for words, complaint in (
        (["--loss", "fog=1"], "loss fog: this tokenizer knows l1, mse"),
        (["--loss", "speckle"], "--loss speckle: NAME=WEIGHT is expected"),
        (["--loss", "video=1"], "give --perceptual i3d=FILE"),
        (["--loss", "video=1", "--perceptual", f"i3d={file}"], f"--perceptual i3d={file}: there is no such file"),
    ):
        assert main([*quick, *words]) == 1
        said = capsys.readouterr().err
        assert_one_sentence(said)
        assert complaint in said
    assert files_in(tmp_path) == []
