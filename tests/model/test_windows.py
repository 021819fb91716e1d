"""Windows cover a clip of any length, each latent frame new exactly once."""

import pytest
import torch

from echopulse.model.windows import OVERLAP, latent_times, plan_windows

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
