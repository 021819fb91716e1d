"""The simulated scanner shows the heart it is given and knows where it is."""

import math

import torch

from echopulse.phantom.anatomy.heart import draw_anatomy, heart_coordinates
from echopulse.phantom.scanner.scan import draw_scanner, scan
from echopulse.phantom.types import Motion


def beating(edv: torch.Tensor, ef: torch.Tensor, t: int) -> Motion:
    """A cosine of a heart: end-diastole at the first frame, end-systole in the middle; it stands still at EF 0."""
    ejected = (0.5 - 0.5 * torch.cos(2 * math.pi * torch.arange(t) / (t - 1 or 1))) * (ef[:, None] > 0)
    volume, one = edv[:, None] * (1 - ef[:, None] * ejected), torch.ones(len(edv), 1)
    return Motion(
        volume, (1 - ejected) * (ejected > 0), ejected, 1 - ejected, 1 - ejected, edv, ef, 0 * one, one, one, one
    )


def acquire(n: int = 2, seed: int = 0, t: int = 5, prior: str = "clinical", size: int = 128, scanner=None, **pinned):
    generator = torch.Generator().manual_seed(seed)
    edv, ef = torch.linspace(60, 280, n), torch.linspace(0.7, 0.2, n)
    anatomy = draw_anatomy(n, generator, edv, ef, prior, **pinned)
    settings = draw_scanner(n, generator, prior, **(scanner or {}))
    motion = beating(edv, ef, t)
    return anatomy, settings, motion, scan(anatomy, settings, motion, size=size, generator=generator)


def test_a_scan_is_grey_frames_with_a_mask_a_sector_and_a_scale():
    _, _, _, pictures = acquire()
    assert pictures.frames.shape == pictures.lv_mask.shape == (2, 5, 128, 128)
    assert pictures.frames.dtype == torch.uint8 and pictures.lv_mask.dtype == torch.bool
    assert pictures.sector.shape == (2, 128, 128) and torch.all(pictures.pixel_spacing_cm > 0.05)
    assert not pictures.frames[~pictures.sector[:, None].expand_as(pictures.frames)].any()


def test_the_mask_holds_the_volume():
    """A pixel at distance |w| from the axis stands for pi |w| per area of the solid of revolution."""
    anatomy, settings, motion, pictures = acquire(6, scanner={"drift_cm": 0.0})
    spacing = pictures.pixel_spacing_cm[:, None, None]
    place = torch.arange(128) + 0.5
    x = ((place[None, None, :] - 64) * spacing).expand(-1, 128, -1)
    y = ((place[None, :, None] - settings.top[:, None, None] * 128) * spacing).expand(-1, -1, 128)
    w, _ = heart_coordinates(anatomy, x, y)
    volume = (pictures.lv_mask * (math.pi * w.abs() * spacing**2)[:, None]).sum((2, 3))
    assert (volume / motion.volume_ml - 1).abs().max() < 0.025
    assert (volume / motion.volume_ml - 1).abs().mean() < 0.01


def test_the_cavity_is_dark_and_the_wall_around_it_bright():
    _, _, _, pictures = acquire(4, prior="easy")
    frames, mask = pictures.frames.float(), pictures.lv_mask.float()
    grown = torch.nn.functional.max_pool2d(mask, 9, 1, 4) - mask
    cavity, around = (frames * mask).sum() / mask.sum(), (frames * grown).sum() / grown.sum()
    assert around > 3 * cavity


def test_four_chambers_have_their_left_ventricle_on_the_right():
    _, _, _, pictures = acquire(12, t=1, size=64, view="a4c")
    columns = torch.arange(64) - 31.5
    weight = pictures.lv_mask.float()
    assert ((weight * columns).sum((1, 2, 3)) / weight.sum((1, 2, 3))).mean() > 1


def test_same_generator_same_clip_whatever_the_batch():
    *_, once = acquire(2)
    *_, again = acquire(2)
    assert torch.equal(once.frames, again.frames)
    *_, other = acquire(2, seed=1)
    assert not torch.equal(once.frames, other.frames)


def test_a_standing_heart_hardly_changes_and_a_beating_one_does():
    *_, still = acquire(1, t=3, prior="easy")
    one = torch.Generator().manual_seed(0)
    edv, ef = torch.tensor([60.0]), torch.tensor([0.7])
    anatomy = draw_anatomy(1, one, edv, ef, "easy")
    standing = beating(edv, 0 * ef, 3)
    frames = scan(anatomy, draw_scanner(1, one, "easy"), standing, generator=one).frames.float()
    change = (frames[:, 1] - frames[:, 0]).abs().mean()
    assert change < 1.0 < (still.frames[:, 1].float() - still.frames[:, 0].float()).abs().mean()


def test_extreme_hearts_give_pictures():
    generator = torch.Generator().manual_seed(3)
    edv, ef = torch.tensor([40.0, 350.0, 350.0]), torch.tensor([0.8, 0.1, 0.8])
    anatomy = draw_anatomy(3, generator, edv, ef)
    pictures = scan(anatomy, draw_scanner(3, generator), beating(edv, ef, 3), generator=generator)
    assert torch.all(pictures.frames.float().mean((1, 2, 3)) > 1) and torch.all(pictures.lv_mask.sum((2, 3)) > 50)
