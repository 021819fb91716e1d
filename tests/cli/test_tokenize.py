"""`echopulse tokenize`, `decode` and `bench` on a tiny model."""

import json
from pathlib import Path

import numpy as np
import pytest

from echopulse.cli import main
from echopulse.echo import Clip, read_clip, write_clip


@pytest.fixture
def clip(tmp_path, monkeypatch) -> Path:
    """A sector of 96 pixels at 30 frames a second in an empty folder."""
    monkeypatch.chdir(tmp_path)
    y, x = np.mgrid[0:96, 0:96] / 96
    sector = (np.abs(np.arctan2(x - 0.5, y + 1e-9)) < 0.7) & (np.hypot(x - 0.5, y) < 0.97)
    grey = 70 + 30 * np.sin(np.arange(20))[:, None, None] * sector
    frames = (grey * sector).astype(np.uint8)
    return write_clip(Clip(frames, 0.5 + np.arange(20) / 30, sector=sector), "clip.npz")


def test_a_clip_goes_there_and_back(clip, tiny_model, capsys):
    model = ["--model", str(tiny_model)]
    assert main(["tokenize", str(clip), "--out", "t.npz", "--png", "s.png", "--json", "f.json", *model]) == 0
    said = capsys.readouterr().out
    assert "16 pictures at 25/s (read: 20 at 30/s) as 5 latent frames of 2×2 tokens of 16384 codes" in said
    assert "PSNR" in said and "in the sector" in said
    figures = json.loads(Path("f.json").read_text())
    assert figures["frames"] == 16 and figures["bits_per_second"] == 5 * 4 * 14 * 25 / 16
    assert Path("s.png").stat().st_size > 1000
    assert main(["decode", "t.npz", "--out", "back.npz", *model]) == 0
    back = read_clip("back.npz", 32)
    assert back.frames.shape == (16, 32, 32) and back.synthetic
    assert np.allclose(back.times_s, 0.5 + np.arange(16) / 25)
    assert main(["decode", "t.npz", "--out", "back.mp4", "--plain", *model]) == 0
    assert Path("back.mp4").stat().st_size > 500


def test_nothing_is_overwritten_and_wrong_tokens_are_refused(clip, tiny_model, capsys, assert_one_sentence):
    model = ["--model", str(tiny_model)]
    assert main(["tokenize", str(clip), "--out", "t.npz", *model]) == 0
    before = Path("t.npz").read_bytes()
    capsys.readouterr()
    assert main(["tokenize", str(clip), "--out", "t.npz", *model]) == 1
    assert main(["tokenize", str(clip), "--out", "t.npz", "--force", *model]) == 0
    assert main(["decode", "t.npz", "--out", "t.npz", *model]) == 1
    assert main(["decode", str(clip), "--out", "b.mp4", *model]) == 1
    assert main(["decode", "t.npz", "--out", "b.mp4"]) == 1  # the bundled tokenizer is another
    assert main(["tokenize", "none.mp4", "--out", "u.npz", *model]) == 1
    complaints = capsys.readouterr().err.splitlines(keepends=True)
    assert len(complaints) == 5 and "these tokens are of the tokenizer" in complaints[3]
    for complaint in complaints:
        assert_one_sentence(complaint)
    assert len(Path("t.npz").read_bytes()) == len(before) and not Path("b.mp4").exists()


def test_the_bench_prints_a_table_and_writes_json(tiny_model, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["bench", "--only", "tokenizer", "--model", str(tiny_model), "--json", "b.json"]) == 0
    said = capsys.readouterr().out
    assert "encode 3 s of video" in said and "float32" in said and "4 latent frames at a time" in said
    scores = json.loads(Path("b.json").read_text())["tokenizer"]
    assert scores["float32.encode_s"] > 0 and scores["float32.chunks_differ"] < 1e-5


def test_the_bench_says_how_much_video_comes_of_many_clips_at_once(tiny_model, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    batches = ["bench", "--only", "batches", "--model", str(tiny_model), "--batch"]
    assert main([*batches, "1,3", "--json", "b.json"]) == 0
    assert "video made in a second, 3 at once" in capsys.readouterr().out
    scores = json.loads(Path("b.json").read_text())["batches"]
    assert set(scores) == {"batch.1", "batch.3"} and min(scores.values()) > 0
    for wrong in ("0", "1,two", ""):
        assert main([*batches, wrong]) == 1
        assert "numbers of clips are expected" in capsys.readouterr().err


def test_what_does_not_fit_into_memory_ends_the_series_and_the_first_is_refused(tiny_model, monkeypatch):
    import torch

    from echopulse.errors import InputError
    from echopulse.evaluate import batch_speed

    def made(tokenizer, generator, count, sampling):
        if count > 4:
            raise torch.OutOfMemoryError("too much")
        return float(count)

    monkeypatch.setattr(batch_speed, "_video_per_second", made)
    assert batch_speed.batch_speed(None, None, (1, 4, 16, 64)) == {"batch.1": 1.0, "batch.4": 4.0}
    with pytest.raises(InputError, match="--batch 16: too many clips"):
        batch_speed.batch_speed(None, None, (16,))


def test_tokens_of_an_adapted_tokenizer_are_read_with_its_adapter_alone(clip, tiny_model, capsys):
    import torch

    from echopulse.model.adapter_files import save_adapter
    from echopulse.model.lora import Lora
    from echopulse.model.networks import load_network

    lora = Lora.fresh(load_network(tiny_model, "tokenizer"), generator=torch.Generator().manual_seed(0), rank=1)
    for part in lora.parts:
        torch.nn.init.constant_(part.up, 0.1)
    save_adapter(lora, Path("look"), network="tokenizer")
    model = ["--model", str(tiny_model)]
    assert main(["tokenize", str(clip), "--out", "t.npz", *model, "--adapter", "look"]) == 0
    assert main(["decode", "t.npz", "--out", "back.npz", *model, "--adapter", "look"]) == 0
    assert main(["decode", "t.npz", "--out", "other.npz", *model]) == 1
    assert "these tokens are of the tokenizer" in capsys.readouterr().err and not Path("other.npz").exists()


def test_training_on_videos_names_what_it_skips_on_standard_error(clip, tmp_path, capsys):
    films = tmp_path / "films"
    films.mkdir()
    for number in range(3):
        write_clip(read_clip(clip), films / f"{number}.mp4", plain=True)
    (films / "broken.avi").write_text("no video")
    arguments = ["train", "tokenizer", "--data", str(films), "--preset", "tiny", "--quantizer", "vq:64"]
    assert main([*arguments, "--steps", "4", "--batch", "2", "--run", "run"]) == 0
    said = capsys.readouterr()
    assert said.err.startswith("echopulse: broken.avi: cannot be decoded") and said.err.endswith("; skipped.\n")
    assert "perplexity" in said.out and "skipped 1" in said.out
    assert main([*arguments, "--run", "other", "--quantizer", "pq:3"]) == 1
    assert main(["train", "tokenizer", "--data", str(tmp_path / "run"), "--preset", "tiny", "--run", "third"]) == 1
    assert "no videos here" in capsys.readouterr().err
