"""The same hearts at every frame rate, and what a tokenizer loses at each."""

import pytest
import torch

from echopulse.errors import InputError
from echopulse.evaluate import frame_rates
from echopulse.evaluate.frame_rates import errors_at_rates
from echopulse.model.config import PRESETS
from echopulse.model.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    torch.manual_seed(0)
    return Tokenizer(PRESETS["tiny"]["tokenizer"]).eval()


def test_the_same_hearts_are_filmed_at_every_rate_for_as_long(tokenizer, monkeypatch):
    asked, told, make = [], [], frame_rates.simulate

    def watch(count, **options):
        made = make(count, **options)
        asked.append((options["fps"], made.frames.shape[1], made.parameters.patients.age_years.tolist()))
        return made

    monkeypatch.setattr(frame_rates, "simulate", watch)
    rows = errors_at_rates(tokenizer, [16.0, 50.0], clips=2, seconds=0.5, on_step=told.append)
    assert [(fps, frames) for fps, frames, _ in asked] == [(16.0, 9), (50.0, 25)] and asked[0][2] == asked[1][2]
    assert [row["fps"] for row in rows] == [16.0, 50.0] and told == [0.5, 1.0]
    assert all(0 < row["mse"] < 1 and row["psnr_sector"] > 0 and abs(row["ssim_sector"]) < 1 for row in rows)


def test_a_clip_without_a_single_latent_frame_is_refused(tokenizer):
    with pytest.raises(InputError, match="0.1 s at 16 frames/s: 4 pictures at least are needed; ask for longer"):
        errors_at_rates(tokenizer, [16.0], clips=1, seconds=0.1)
