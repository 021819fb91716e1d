"""The simulated scanner makes of scatterers what a scanner makes of them."""

import math

import pytest
import torch

from echopulse.errors import InputError
from echopulse.phantom.scanner.beam import BEAMS, DEPTHS, beam_blur, beam_widening
from echopulse.phantom.scanner.image import envelope_power, form_image, grey_map, prepare
from echopulse.phantom.scanner.settings import as_received, draw_scanner
from echopulse.phantom.texture import speckle_field


def generators(n: int, seed: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(1000 * seed + i) for i in range(n)]


def settings(n: int = 1, prior: str = "clinical", seed: int = 0, **pinned):
    return draw_scanner(n, torch.Generator().manual_seed(seed), prior, **pinned)


def scatterers(n: int, t: int = 1, level: float = 1.0, seed: int = 0) -> torch.Tensor:
    """Fully developed speckle of one mean amplitude everywhere, [n, t, 3, depths, beams]."""
    noise = torch.stack([speckle_field(generators(n, seed + k), (DEPTHS, BEAMS), "cpu") for k in range(t)], 1)
    return level * torch.cat((torch.ones_like(noise[:, :, :1]), noise), 2)


def acquire(n: int = 1, prior: str = "easy", size: int = 64, seed: int = 0, **pinned):
    return prepare(settings(n, prior, **pinned), torch.full((n,), 15.0), size, generators(n, seed))


def test_speckle_is_rayleigh():
    """Mean over standard deviation 1.91, 5.57 dB of the logarithm; its mean power that of the scatterers."""
    drawn = as_received(settings(4))
    echoes = beam_blur(drawn, torch.tensor([11.0, 14.0, 17.0, 20.0]))(scatterers(4, t=4))
    envelope = envelope_power(echoes, torch.ones(4)).sqrt()
    assert abs(envelope.mean() / envelope.std() - 1.913) < 0.03
    assert abs((20 * envelope.log10()).std() - 5.57) < 0.15
    assert abs(envelope.square().mean() - 1) < 0.05


def test_compounding_flattens_speckle_and_keeps_its_power():
    echoes = beam_blur(as_received(settings(1)), torch.tensor([15.0]))(scatterers(1, t=2))
    once, compound = (envelope_power(echoes, torch.tensor([weight])) for weight in (1.0, 0.4))
    assert compound.std() < 0.5 * once.std() and abs(compound.mean() / once.mean() - 1) < 0.05


def test_the_beam_is_narrowest_at_its_focus():
    drawn = settings(1, focus=0.6)
    width = beam_widening(drawn, torch.tensor([15.0]))[0]
    assert width.argmin() == pytest.approx(0.6 * DEPTHS, abs=2)
    assert width[int(0.1 * DEPTHS)] > 2 and width[-1] > 1.005


def test_a_higher_frequency_resolves_more():
    def size_of_a_point(frequency_mhz: float) -> tuple[float, float]:
        """Samples above half, counted as area over height, in depth and across."""
        field = torch.zeros(1, 1, 3, DEPTHS, BEAMS)
        field[:, :, :, 80, 48] = 1
        drawn = settings(1, "easy", frequency_mhz=frequency_mhz, smoothing=0.01)
        echo = beam_blur(drawn, torch.tensor([9.0]))(field)[0, 0, 1] ** 2
        return float(echo[:, 48].sum() / echo.max()), float(echo[80].sum() / echo.max())

    (long, wide), (short, narrow) = size_of_a_point(1.6), size_of_a_point(4.5)
    assert short < 0.9 * long and narrow < 0.7 * wide


def test_bright_reflectors_smear_sideways_and_ghost_deeper():
    field = torch.zeros(1, 1, 3, DEPTHS, BEAMS)
    field[:, :, :, 40, 48] = 1
    depth = torch.tensor([12.7])  # a sample every millimetre
    spoilt = settings(1, "easy", side_lobe_db=-26.0, ghost_db=-20.0, ghost_cm=2.0)
    clean, dirty = (beam_blur(s, depth)(field)[0, 0, 1] for s in (settings(1, "easy"), spoilt))
    assert dirty[40, 64] > 3 * clean[40, 64]
    assert dirty[60, 48] > 3 * clean[60, 48] and clean[60, 48] >= 0


def test_harmonic_pictures_have_less_clutter_and_weaker_side_lobes():
    fundamental, harmonic = (as_received(settings(1, harmonic=value)) for value in (0, 1))
    for name in ("clutter_db", "haze_db", "side_lobe_db", "bands_db"):
        assert getattr(harmonic, name) < getattr(fundamental, name)


def test_grey_maps_rise_from_black_to_white():
    level = torch.linspace(-0.5, 1.5, 101)[None, None, None]
    shades = grey_map(level, settings(40)).clamp(0, 1)[:, 0, 0]
    assert torch.all(shades.diff() >= 0)
    assert torch.all(shades[:, 0] == 0) and torch.all(shades[:, -1] == 1)


def test_pictures_are_grey_frames_in_a_sector_with_a_scale():
    acquisition = acquire(2, "clinical", size=48)
    frames = form_image(acquisition, scatterers(2, t=3, level=0.05), torch.arange(3) / 30)
    assert frames.shape == (2, 3, 48, 48) and frames.dtype == torch.uint8
    assert acquisition.sector.shape == (2, 48, 48) and 0.3 < acquisition.sector.float().mean() < 0.9
    assert not frames[~acquisition.sector[:, None].expand_as(frames)].any() and frames.any()
    assert acquisition.x_cm.shape == acquisition.y_cm.shape == (2, DEPTHS, BEAMS)


def test_unrounded_pictures_are_the_same_and_show_what_is_no_number():
    field = scatterers(2, t=2, level=0.05)
    whole = form_image(acquire(2), field, torch.arange(2) / 30)
    exact = form_image(acquire(2), field, torch.arange(2) / 30, rounded=False)
    assert exact.dtype == torch.float32 and torch.equal((exact + 0.5).to(torch.uint8), whole)
    field[1, 1, :, 40, 30] = torch.nan
    broken = form_image(acquire(2), field, torch.arange(2) / 30, rounded=False)
    assert broken.isfinite().flatten(2).all(2).tolist() == [[True, True], [True, False]]


def test_what_lies_in_a_place_is_shown_in_that_place():
    """A spot at 8 cm depth, 2 cm to the right, appears at the pixel that says it is there."""
    acquisition = acquire(size=128)
    spot = torch.exp(-((acquisition.x_cm - 2) ** 2 + (acquisition.y_cm - 8) ** 2) / 0.08)
    frame = form_image(acquisition, spot[:, None, None].expand(-1, 1, 3, -1, -1), torch.zeros(1))[0, 0].float()
    weight = frame * (frame > 100)
    for place, wanted in ((acquisition.screen_x_cm, 2.0), (acquisition.screen_y_cm, 8.0)):
        assert float((weight * place[0]).sum() / weight.sum()) == pytest.approx(wanted, abs=0.1)
    assert float(acquisition.screen_x_cm[0, 0].diff().mean()) == pytest.approx(float(acquisition.pixel_spacing_cm[0]))


def test_the_sector_begins_on_an_arc_that_is_highest_at_its_ends():
    acquisition = acquire(size=128, skin_radius_cm=1.4, half_angle_rad=0.75)
    first = acquisition.sector[0].float().argmax(0)
    assert first[64] > first[57] and acquisition.sector[0, :, 64].any()


def test_a_clip_is_the_same_in_every_batch_and_however_its_frames_are_cut():
    drawn, field, times = settings(2), scatterers(2, t=4, level=0.05), torch.arange(4) / 50
    depth = torch.tensor([14.0, 17.0])
    both = form_image(prepare(drawn, depth, 32, generators(2)), field, times)
    alone = prepare(drawn.rows(slice(1, 2)), depth[1:], 32, generators(2)[1:])
    pieces = [form_image(alone, field[1:, at : at + 2].clone(), times[at : at + 2]) for at in (0, 2)]
    change = (torch.cat(pieces, 1).int() - both[1:].int()).abs()
    assert change.max() <= 1


def test_the_field_that_is_given_is_left_as_it_was():
    field = scatterers(1)
    before = field.clone()
    form_image(acquire(), field, torch.zeros(1))
    assert torch.equal(field, before)


def test_noise_changes_with_time_not_with_the_number_of_frames():
    """Frames 11 ms apart are more alike than frames 40 ms apart."""
    acquisition = acquire(prior="clinical", noise_db=-30.0, persistence_s=0.05, haze_db=-60.0)
    frames = form_image(acquisition, scatterers(1, level=1e-4).expand(-1, 4, -1, -1, -1),
                        torch.tensor([0.0, 0.011, 0.2, 0.24])).float()  # fmt: skip
    near, far = ((frames[0, k] - frames[0, k + 1]).abs().mean() for k in (0, 2))
    assert near < 0.7 * far


def test_ribs_cast_shadows_with_hard_edges():
    pins = {"rib_place": 0.0, "rib_width": 0.3, "rib_edge": 0.02}
    lit, shaded = (acquire(rib_db=value, **pins).shades[0, 0] for value in (0.0, 25.0))
    ratio = shaded / lit
    assert ratio[90, 48] < 0.1 and ratio[90, 30] == 1 and ratio[2, 48] > 0.9
    assert (ratio[90].diff().abs() > 0.3).any()


def test_lung_hides_one_side_and_slides():
    acquisition = acquire(lung_db=30.0, lung_place=0.5)
    out, lung_in = acquisition.shades[0]
    assert out[80, 90] < 0.1 and out[80, 10] == 1 and not torch.equal(out, lung_in)


def test_equal_shifts_change_nothing_and_strain_decorrelates():
    acquisition, field, times = acquire(), scatterers(1, level=0.05), torch.zeros(1)
    plain = form_image(acquisition, field, times).float()
    even = form_image(acquisition, field, times, shift_cm=torch.full((1, 1, DEPTHS, BEAMS), 0.02)).float()
    strain = torch.linspace(0, 2, DEPTHS)[None, None, :, None].expand(1, 1, DEPTHS, BEAMS)
    strained = form_image(acquisition, field, times, shift_cm=strain).float()
    assert (even - plain).abs().mean() < 0.1 * (strained - plain).abs().mean()


@pytest.mark.parametrize("prior", ["easy", "clinical", "uniform"])
def test_settings_are_finite_and_in_place(prior):
    drawn = settings(50, prior)
    assert all(torch.isfinite(value).all() and value.shape == (50,) for value in vars(drawn).values())
    assert torch.all(drawn.half_angle_rad < math.pi / 3) and torch.all(drawn.bottom > drawn.top)


def test_settings_that_no_scanner_has_are_refused():
    for pins in ({"frequency_mhz": 40.0}, {"half_angle_rad": 2.0}, {"harmonic": 3}):
        with pytest.raises(InputError, match="lies between"):
            settings(1, **pins)
    with pytest.raises(InputError, match="no parameter"):
        settings(1, depth_ratio=1.0)
