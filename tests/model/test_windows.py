"""Windows cover a clip of any length, each latent frame new exactly once."""

import pytest
import torch

from echopulse.model.windows import (
    OVERLAP,
    heard_seconds,
    latent_times,
    picture_seconds,
    plan_windows,
    reference_at_most,
)

WINDOW = 9


@pytest.mark.parametrize("latents", range(1, 60))
def test_every_latent_frame_is_new_in_exactly_one_window(latents):
    new = [latent for plan in plan_windows(latents, WINDOW) for latent in plan.latents[plan.known :]]
    assert new == list(range(latents))


@pytest.mark.parametrize("latents", range(1, 60))
def test_what_a_window_counts_as_known_has_been_filled_in_before(latents):
    done: set[int] = set()
    for plan in plan_windows(latents, WINDOW):
        assert set(plan.latents[: plan.known]) <= done
        done |= set(plan.latents)
        assert len(set(plan.latents)) == len(plan.latents) == min(latents, WINDOW)


@pytest.mark.parametrize("latents", [10, 14, 15, 26, 57])
def test_later_windows_keep_the_reference_in_sight_and_lean_on_the_frames_before(latents):
    first, *later = plan_windows(latents, WINDOW)
    assert first.first and first.known == 0 and first.latents == tuple(range(WINDOW))
    for plan in later:
        assert not plan.first and plan.latents[0] == 0 and plan.known >= 1 + OVERLAP
        assert list(plan.latents[1:]) == list(range(plan.latents[1], plan.latents[1] + WINDOW - 1))


def test_the_time_of_a_latent_frame_is_the_middle_of_its_pictures():
    times = latent_times(torch.tensor([0, 1, 2]), frames_per_latent=4, fps=25.0)
    of_pictures = torch.arange(9) / 25
    assert times.tolist() == pytest.approx([0.0, float(of_pictures[1:5].mean()), float(of_pictures[5:9].mean())])


@pytest.mark.parametrize("fps", [16.0, 100 / 3, 50.0])
def test_at_another_frame_rate_too(fps):
    times = latent_times(torch.tensor([0, 1, 2]), fps=fps)
    of_pictures = torch.arange(9) / fps
    assert times.tolist() == pytest.approx([0.0, float(of_pictures[1:5].mean()), float(of_pictures[5:9].mean())])
    assert picture_seconds(3, fps=fps) == pytest.approx(float(of_pictures[-1]))
    assert heard_seconds(WINDOW, fps=fps) == pytest.approx(1.6 + 32 / fps + 0.4)


def test_a_reference_is_put_no_further_back_than_banks_show_it_nor_than_the_ecg_is_heard():
    assert [reference_at_most(fps) for fps in (16, 25, 50)] == pytest.approx([1.28, 1.28, 0.64])
    assert reference_at_most(25.0) == 32 / 25
