"""What a published ECG network is given: its rate, its band, its leads, its scale, and every beat where it was."""

import numpy as np
import pytest
import torch

from echopulse.errors import InputError
from echopulse.model.ecg_input import FLOOR_MV, HEARING, as_heard, bridge_gaps, for_encoder, in_places
from echopulse.phantom.rhythm.leads import LEADS, lead_places

BEATS_S = (0.6, 1.4, 2.2, 2.9)
II = LEADS.index("II")

every_kind = pytest.mark.parametrize("hearing", HEARING.values(), ids=HEARING)


def an_ecg(rate_hz: float = 200.0, seconds: float = 3.28, leads: int = 1) -> torch.Tensor:
    """Sharp peaks at `BEATS_S`, larger from lead to lead: [1, leads, n] mV."""
    times = torch.arange(round(seconds * rate_hz)) / rate_hz
    peaks = sum(torch.exp(-(((times - at) / 0.02) ** 2)) for at in BEATS_S)
    return torch.stack([peaks * (1 + 0.5 * lead) for lead in range(leads)])[None]


@every_kind
@pytest.mark.parametrize("rate_hz", [125, 200, 360, 500, 1000])
def test_any_rate_becomes_the_networks_and_every_beat_stays_where_it_was(hearing, rate_hz):
    signal, present = for_encoder(an_ecg(rate_hz), ("II",), rate_hz, hearing)
    assert signal.shape == present.shape and signal.shape[:2] == (1, 12)
    assert abs(signal.shape[-1] / hearing.rate_hz - 3.28) < 2 / hearing.rate_hz
    times = torch.arange(signal.shape[-1]) / hearing.rate_hz
    for at in BEATS_S:
        near = (times - at).abs() < 0.2
        assert float(times[near][signal[0, II, near].argmax()]) == pytest.approx(at, abs=1 / hearing.rate_hz + 1e-6)


@every_kind
def test_two_rates_of_one_ecg_are_heard_alike(hearing):
    coarse, fine = (for_encoder(an_ecg(rate), ("II",), rate, hearing)[0][0, II] for rate in (250, 500))
    count = min(len(coarse), len(fine)) - 20
    assert float((coarse[20:count] - fine[20:count]).abs().max()) < 0.05 * float(fine.abs().max())


@every_kind
def test_the_filter_is_scipys_that_runs_both_ways(hearing):
    signal = pytest.importorskip("scipy.signal")
    rate = hearing.rate_hz
    draw = torch.Generator().manual_seed(0)
    ecg = an_ecg(rate, 9.0) + 0.05 * torch.randn(1, 1, round(9 * rate), generator=draw) + 2.0
    known = ecg[0, 0].double().numpy()
    for edge, kind in ((hearing.low_hz, "highpass"), (hearing.high_hz, "lowpass")):
        known = signal.sosfiltfilt(signal.butter(hearing.order, edge, kind, fs=rate, output="sos"), known)
    found = for_encoder(ecg, ("II",), rate, hearing)[0][0, II].numpy()
    inside = slice(len(known) // 4, 3 * len(known) // 4)
    scaled = (known - known.mean()) / known.std()
    assert np.abs(scaled - found)[inside].max() < 0.03 * np.abs(scaled).max()


@every_kind
def test_leads_stand_in_the_standard_order_whatever_theirs_was(hearing):
    names = ("V6", "avr", "I", "MLII")
    ecg = an_ecg(leads=4)
    signal, present = for_encoder(ecg, names, 200, hearing)
    assert present.any(-1)[0].nonzero().flatten().tolist() == [0, 1, 3, 11]
    order = [3, 0, 2, 1]
    again, _ = for_encoder(ecg[:, order], [names[i] for i in order], 200, hearing)
    assert torch.allclose(signal, again, atol=1e-5)
    assert float(signal[0, 1].max()) > float(signal[0, 0].max()) > float(signal[0, 3].max())  # as large as they were


@every_kind
def test_absent_leads_are_zeros_and_do_not_change_the_others(hearing):
    ecg = an_ecg(leads=2)
    alone, _ = for_encoder(ecg, ("I", "V2"), 200, hearing)
    absent = torch.full((1, 12, ecg.shape[-1]), torch.nan)
    absent[:, [0, 7]] = ecg
    among, present = for_encoder(absent, LEADS, 200, hearing)
    assert torch.allclose(alone, among, atol=1e-5)
    assert bool((among[:, [1, 2, 3, 4, 5, 6, 8, 9, 10, 11]] == 0).all()) and int(present.any(-1).sum()) == 2


@every_kind
def test_a_gap_is_zeros_and_leaves_the_rest_as_it_was(hearing):
    ecg = an_ecg()
    whole, _ = for_encoder(ecg, ("II",), 200, hearing)
    ecg[..., 340:400] = torch.nan  # from 1.7 to 2.0 s, between two beats
    signal, present = for_encoder(ecg, ("II",), 200, hearing)
    times = torch.arange(signal.shape[-1]) / hearing.rate_hz
    inside, outside = (times > 1.71) & (times < 1.985), (times < 1.69) | (times > 2.01)
    assert not bool(present[0, II, inside].any()) and bool((signal[0, II, inside] == 0).all())
    assert bool(present[0, II, outside].all())
    assert float((signal - whole)[0, II, outside].abs().max()) < 0.1 * float(whole.abs().max())


@every_kind
def test_a_flat_line_stays_flat_and_quiet_noise_quiet(hearing):
    assert float(for_encoder(torch.full((1, 2, 656), 0.7), ("I", "II"), 200, hearing)[0].abs().max()) < 1e-3
    noise = 0.002 * torch.randn(1, 1, 656, generator=torch.Generator().manual_seed(0))
    assert float(for_encoder(noise, ("II",), 200, hearing)[0].std()) < 0.003 / FLOOR_MV


@every_kind
def test_gain_offset_and_slow_wander_hardly_matter(hearing):
    ecg = an_ecg()
    plain, _ = for_encoder(ecg, ("II",), 200, hearing)
    wander = 0.3 * torch.sin(2 * torch.pi * 0.15 * torch.arange(656) / 200)
    other, _ = for_encoder(3 * (ecg + wander) + 5, ("II",), 200, hearing)
    inside = slice(plain.shape[-1] // 5, -plain.shape[-1] // 5)
    assert float((plain - other)[..., inside].abs().max()) < 0.1 * float(plain.abs().max())


@every_kind
def test_no_ecg_at_all_gives_zeros(hearing):
    signal, present = for_encoder(torch.full((2, 1, 656), torch.nan), ("II",), 200, hearing)
    assert bool((signal == 0).all()) and not bool(present.any())


@every_kind
def test_clips_of_a_batch_are_heard_one_by_one(hearing):
    both = torch.cat([an_ecg(), 0.4 * an_ecg().roll(20, -1)])
    together, _ = for_encoder(both, torch.tensor([[1], [6]]), 200, hearing)
    assert torch.allclose(together[1:, 6], for_encoder(both[1:], ("V1",), 200, hearing)[0][:, 6], atol=1e-5)
    assert float(together[0, 6].abs().max()) == 0


@every_kind
@pytest.mark.parametrize("loose_mv", [8.0, 300.0])
def test_a_loose_electrode_does_not_hush_the_other_leads(hearing, loose_mv):
    ecg = an_ecg(leads=4)
    without, _ = for_encoder(ecg[:, :3], LEADS[:3], 200, hearing)
    ecg[:, 3] = loose_mv * torch.randn(656, generator=torch.Generator().manual_seed(0))
    signal, present = for_encoder(ecg, LEADS[:4], 200, hearing)
    assert torch.allclose(signal, without, atol=1e-5)
    assert present.any(-1)[0].nonzero().flatten().tolist() == [0, 1, 2]


@every_kind
def test_a_clip_with_a_loose_electrode_leaves_the_others_of_its_batch_alone(hearing):
    ecg = torch.cat([an_ecg(leads=2), an_ecg(leads=2)])
    ecg[0, 1] *= 100
    _, present = for_encoder(ecg, ("II", "V5"), 200, hearing)
    assert present.any(-1)[:, [1, 10]].tolist() == [[True, False], [True, True]]


@every_kind
def test_leads_that_a_heart_can_make_and_whole_ecgs_in_another_unit_are_all_kept(hearing):
    small = torch.cat([0.06 * an_ecg(), 3 * an_ecg()], 1)  # near its null axis the one, over a large heart the other
    flat = torch.cat([torch.zeros(1, 1, 656), 40 * an_ecg()], 1)
    for ecg in (small, 1000 * an_ecg(leads=3), 60 * an_ecg(), flat):
        _, present = for_encoder(ecg, LEADS[: ecg.shape[1]], 200, hearing)
        assert int(present.any(-1).sum()) == ecg.shape[1]


@every_kind
def test_memory_grows_with_an_ecgs_length_and_not_with_its_square(hearing):
    ecg = an_ecg(201.0, seconds=20)  # a rate of its own, so that nothing is kept from before
    with torch.autograd.profiler.profile(profile_memory=True) as watch:
        for_encoder(ecg, ("II",), 201.0, hearing)
    largest = max(event.cpu_memory_usage for event in watch.function_events)
    assert 0 < largest <= 12 * 16 * 20 * hearing.rate_hz  # bytes: twelve leads of the widest numbers


@every_kind
@pytest.mark.parametrize(("rate_hz", "samples"), [(200, 656), (199.3, 401), (360, 700)])
def test_the_new_rate_is_what_the_sum_of_all_cosines_gives(hearing, rate_hz, samples):
    ecg = torch.randn(samples, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = for_encoder(ecg[None, None].float(), ("II",), rate_hz, hearing)[0][0, II].double()
    mirrored = torch.cat([ecg, ecg[1:-1].flip(0)])
    hertz = torch.arange(samples, dtype=torch.float64) * rate_hz / len(mirrored)
    power = 2 * hearing.order
    gain = 1 / (1 + (hearing.low_hz / hertz.clamp(min=1e-9)) ** power) / (1 + (hertz / hearing.high_hz) ** power)
    share = torch.fft.rfft(mirrored).real / len(mirrored) * gain * (hertz <= hearing.rate_hz / 2)
    share[1:-1] *= 2
    times = torch.arange(len(found), dtype=torch.float64) / hearing.rate_hz
    expected = share @ torch.cos(2 * torch.pi * hertz[:, None] * times)
    expected = (expected - expected.mean()) / expected.std(correction=0)
    assert float((found - expected).abs().max()) < 2e-5


def test_names_and_samples_have_to_go_together():
    with pytest.raises(InputError, match="an ECG of 2 leads and 656 samples: a name for every lead"):
        for_encoder(an_ecg(leads=2), ("II",), 200, HEARING["st-mem"])
    with pytest.raises(InputError, match="an ECG of 1 leads and 1 samples"):
        for_encoder(an_ecg()[..., :1], ("II",), 200, HEARING["st-mem"])


def test_leads_without_a_known_name_take_the_usual_places_only_where_no_other_has_one():
    assert lead_places(("ECG",)) == (1,) and lead_places(("", "")) == (1, 10)
    assert lead_places(("ECG", "V5", "ml2")) == (-1, 10, 1)
    assert lead_places(("II", "MLII")) == (1, -1)  # of one name the first
    assert lead_places(["x"] * 14)[12:] == (-1, -1)


def test_places_may_differ_from_clip_to_clip():
    values = torch.arange(8.0).reshape(2, 2, 2)
    placed = in_places(values, torch.tensor([[0, 11], [3, -1]]))
    assert placed[0, 0].tolist() == [0, 1] and placed[0, 11].tolist() == [2, 3] and placed[1, 3].tolist() == [4, 5]
    assert int(placed.isnan().all(-1).sum()) == 21


def test_gaps_are_bridged_by_straight_lines_and_ends_by_the_nearest_value():
    nan = torch.nan
    samples = torch.tensor([[nan, 1.0, nan, nan, 4.0, nan], [nan] * 6])
    bridged = bridge_gaps(samples, ~samples.isnan())
    assert bridged.tolist() == [[1, 1, 2, 3, 4, 4], [0] * 6]


def test_named_leads_take_their_places_for_published_encoders_alone():
    ecg = an_ecg(leads=2)[0]
    placed = as_heard(ecg, ("V6", "MLII"), "st-mem")
    assert placed.shape == (12, ecg.shape[-1]) and placed.isfinite().all(1).nonzero().flatten().tolist() == [II, 11]
    assert torch.equal(placed[11], ecg[0]) and torch.equal(placed[II], ecg[1])
    assert as_heard(ecg, None, "st-mem") is ecg and as_heard(ecg, ("V6", "MLII"), "own") is ecg
