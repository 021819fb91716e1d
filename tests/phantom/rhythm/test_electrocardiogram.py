"""Every lead shows the same heart."""

import pytest
import torch

from echopulse.errors import InputError
from echopulse.phantom.rhythm.artefacts import add_noise
from echopulse.phantom.rhythm.electrocardiogram import LEADS, draw_electrocardiogram, synthesize_ecg
from echopulse.phantom.rhythm.timing import beat_times, beats_at, draw_rhythm
from echopulse.phantom.types import CONDUCTIONS, RHYTHMS

TIMES = torch.arange(0, 3, 1 / 200)
FINE = torch.arange(-0.4, 0.8, 0.001)  # around one beat with its R peak at 0


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def recording(patients):
    """Beats, parameters and ECG of n hearts."""

    def make(n=8, rhythm="sinus", conduction="normal", prior="clinical", clean=False, leads=2, **pinned):
        who = patients(n, rhythm, conduction)
        beats = beat_times(draw_rhythm(who, generator(1)), 0.0, 3.0, generator(2))
        parameters = draw_electrocardiogram(who, generator(3), prior, leads=leads, **pinned)
        return beats, parameters, synthesize_ecg(beats, parameters, TIMES, generator(4), clean)

    return make


@pytest.fixture
def one_beat(patients):
    """The clean twelve leads [n, 12, time] around one beat of n hearts, on the clock `FINE`."""

    def make(n=100, prior="clinical", **who):
        who = patients(n, **who)
        peaks = torch.tensor([-1.8, -0.9, 0.0, 0.9]).expand(n, -1)
        beats = beats_at(draw_rhythm(who, generator(1), prior), peaks)
        parameters = draw_electrocardiogram(
            who, generator(3), prior, leads=LEADS, recorder_gain=1.0, breathing=0.0, u_mv=0.0
        )
        ecg = synthesize_ecg(beats, parameters, FINE, generator(4), clean=True)
        return beats, dict(zip(LEADS, ecg.unbind(1), strict=True))

    return make


def between(signal, start, stop):
    return signal[..., (FINE >= start) & (FINE < stop)]


def r_time(signal):
    """Time of the highest point of each QRS [n], in seconds from the fiducial."""
    window = between(signal, -0.08, 0.08)
    return -0.08 + 0.001 * window.argmax(-1)


def test_easy_recordings_peak_at_r(one_beat):
    _, leads = one_beat(prior="easy")
    assert r_time(leads["II"]).abs().max() < 0.004


def test_r_peaks_of_watch_monitor_and_chest_lead_agree_within_10_ms(one_beat):
    _, leads = one_beat(n=400)
    three = torch.stack([leads[name] for name in ("I", "II", "V5")], 1)
    qrs = between(three, -0.08, 0.08)
    # An R peak is where there is an R wave: axes that leave one of the leads an S or next to nothing have none there.
    upright = ((qrs.amax(-1) > -qrs.amin(-1)) & (qrs.amax(-1) > 0.3 * qrs.amax((1, 2))[:, None])).all(1)
    times = r_time(three)[upright]
    assert upright.float().mean() > 0.5
    apart = times.amax(1) - times.amin(1)
    assert (apart <= 0.0101).float().mean() >= 0.99
    assert (r_time(leads["II"])[upright].abs() < 0.005).float().mean() > 0.98


def test_einthovens_and_goldbergers_laws_hold_exactly(recording):
    for prior in ("easy", "clinical"):
        _, _, ecg = recording(n=8, rhythm="pvc", prior=prior, leads=LEADS, clean=True, recorder_gain=1.0)
        lead = dict(zip(LEADS, ecg.unbind(1), strict=True))
        one, two = lead["I"], lead["II"]
        for name, law in {
            "III": two - one, "aVR": -(one + two) / 2, "aVL": one - two / 2, "aVF": two - one / 2
        }.items():  # fmt: skip
            assert torch.allclose(lead[name], law, atol=1e-5)


def test_r_grows_and_s_shrinks_from_v1_to_v6(one_beat):
    _, leads = one_beat(n=200)
    share = []
    for name in ("V1", "V2", "V4", "V6"):
        qrs = between(leads[name], -0.08, 0.08)
        share.append((qrs.amax(-1) / (qrs.amax(-1) - qrs.amin(-1))).median())
    assert share == sorted(share) and share[0] < 0.45 and share[-1] > 0.8
    for name, low, high in (("I", 0.3, 0.8), ("II", 0.6, 1.3), ("V5", 0.9, 1.7)):
        assert low < between(leads[name], -0.08, 0.08).amax(-1).median() < high


def test_p_and_t_are_upright_in_lead_two_and_smaller_than_r(one_beat):
    beats, leads = one_beat(n=200)
    p = between(leads["II"], -0.24, -0.07).amax(-1)
    t = between(leads["II"], 0.15, 0.5).amax(-1)
    r = between(leads["II"], -0.06, 0.06).amax(-1)
    assert 0.06 < p.median() < 0.16 and 0.15 < t.median() < 0.45
    assert (t < r).float().mean() > 0.93


def test_left_bundle_branch_block_looks_so(one_beat):
    _, leads = one_beat(n=200, conduction="lbbb", qrs_s=0.15)
    v1, one, v6 = (between(leads[name], -0.08, 0.11) for name in ("V1", "I", "V6"))
    assert (-v1.amin(-1) > 2 * v1.amax(-1)).float().mean() > 0.9  # rS or QS
    for signal, name in ((one, "I"), (v6, "V6")):
        assert (signal.amax(-1) > -4 * signal.amin(-1)).float().mean() > 0.85, name  # no q, no S
        broad = (signal > 0.5 * signal.amax(-1, keepdim=True)).sum(-1) * 0.001
        assert broad.median() > 0.05
    t_v1, t_v6 = (between(leads[name], 0.2, 0.45).mean(-1) for name in ("V1", "V6"))
    assert (t_v1 > 0).float().mean() > 0.85 and (t_v6 < 0).float().mean() > 0.85  # against the QRS


def test_right_bundle_branch_block_looks_so(one_beat):
    _, leads = one_beat(n=200, conduction="rbbb", qrs_s=0.14)
    late_v1, late_one, late_v6 = (between(leads[name], 0.03, 0.11) for name in ("V1", "I", "V6"))
    early_v1 = between(leads["V1"], -0.05, 0.03)
    assert (late_v1.amax(-1) > 0.15).float().mean() > 0.9  # R' after
    assert (early_v1.amin(-1) < late_v1.amax(-1)).all()
    for late in (late_one, late_v6):
        assert (late.amin(-1) < -0.05).float().mean() > 0.85
        assert (late < 0).sum(-1).median() * 0.001 > 0.04  # S broader than 40 ms


def test_paced_beats_have_a_spike_and_a_superior_axis(one_beat):
    beats, leads = one_beat(n=100, conduction="paced", qrs_s=0.16)
    for name in ("II", "III", "aVF"):
        qrs = between(leads[name], -0.06, 0.1)
        assert (-qrs.amin(-1) > qrs.amax(-1)).float().mean() > 0.8
    before = between(leads["II"], -0.078, -0.062)  # Q onset lies 67 ms before R
    steepest = before.diff(dim=-1).abs().amax(-1)
    assert (steepest > 0.01).float().mean() > 0.8


def test_ectopics_are_wide_and_turn_t_around(patients):
    n = 100
    who = patients(n)
    drawn = draw_rhythm(who, generator(1))
    peaks = torch.tensor([-1.8, -0.9, 0.0, 1.2]).expand(n, -1)
    beats = beats_at(drawn, peaks, origin=torch.tensor([0, 0, 2, 0]).expand(n, -1))
    parameters = draw_electrocardiogram(who, generator(2), leads=LEADS, recorder_gain=1.0)
    ecg = synthesize_ecg(beats, parameters, FINE, generator(3), clean=True)
    area = between(ecg, -0.09, 0.11).sum(-1)
    t = between(ecg, 0.2, 0.5).sum(-1)
    clear = area.abs() > 0.5 * area.abs().amax(1, keepdim=True)
    assert (area[clear] * t[clear] < 0).float().mean() > 0.95
    axes = torch.atan2(area[:, 5], area[:, 0])
    assert axes.std() > 1.0  # from anywhere


def test_a_scar_draws_q_waves_over_its_wall(one_beat):
    def q_share(territory, names, scar):
        _, leads = one_beat(n=200, territory=territory, scar=scar, pathology="ischaemic")
        share = []
        for name in names:
            early = between(leads[name], -0.05, -0.008).amin(-1)
            share.append((early < -0.1).float().mean())
        return torch.stack(share).mean()

    for territory, names in (("lad", ("V1", "V2", "V3")), ("rca", ("II", "III", "aVF")), ("lcx", ("I", "aVL", "V6"))):
        assert q_share(territory, names, 1.0) > q_share(territory, names, 0.0) + 0.3


def test_thick_walls_strain_and_voltage_scales(one_beat):
    def inverted(pathology):
        _, leads = one_beat(n=300, pathology=pathology)
        return (between(leads["V5"], 0.2, 0.42).mean(-1) < 0).float().mean()

    assert inverted("hypertrophic") > inverted("healthy") + 0.2

    def height(voltage):
        _, leads = one_beat(n=50, voltage=voltage)
        return between(leads["V5"], -0.08, 0.08).amax(-1).median()

    assert height(0.3) < 0.35 * height(1.0)


@pytest.mark.parametrize("conduction", CONDUCTIONS)
@pytest.mark.parametrize("name", RHYTHMS)
def test_shape_and_range_of_every_rhythm(recording, name, conduction):
    _, parameters, ecg = recording(n=8, rhythm=name, conduction=conduction, leads=3)
    assert ecg.shape == (8, 3, len(TIMES)) and ecg.dtype == torch.float32
    assert torch.isfinite(ecg).all() and ecg.abs().max() < 12
    assert len(parameters.lead_names) == 8 and all(len(set(names)) == 3 for names in parameters.lead_names)


def test_asystole_is_flat_but_for_the_faults(recording):
    _, _, clean = recording(rhythm="asystole", clean=True)
    assert clean.abs().max() == 0
    _, _, ecg = recording(
        rhythm="asystole", wander_mv=0.0, tremor_mv=0.01, electrode_mv=0.0, mains_mv=0.0, connected=True
    )
    assert 0 < ecg.std() < 0.1


def test_f_waves_only_in_fibrillation_and_flutter_waves_only_in_flutter(recording):
    assert (recording(rhythm="af")[1].fibrillation_mv > 0).all()
    assert (recording(rhythm="sinus")[1].fibrillation_mv == 0).all()
    flutter = recording(rhythm="flutter")[1]
    assert (flutter.fibrillation_mv == 0).all() and (flutter.flutter_mv != 0).all()
    assert (recording(rhythm="af")[1].flutter_mv == 0).all()


def test_flutter_waves_run_at_300_a_minute_in_lead_two(recording):
    _, _, ecg = recording(
        n=16, rhythm="flutter", leads=("II",), clean=True, qrs_mv=0.0, t_mv=0.0, t_early_mv=0.0, st_mv=0.0, u_mv=0.0
    )
    spectrum = torch.fft.rfft(ecg[:, 0] - ecg[:, 0].mean(-1, keepdim=True)).abs()
    assert (spectrum.argmax(-1) / 3.0 - 5.0).abs().max() < 0.4


def test_premature_p_waves_have_another_shape(patients):
    who = patients(50, "pac")
    drawn = draw_rhythm(who, generator(1))
    peaks = torch.tensor([-1.8, -0.9, 0.0, 0.9]).expand(50, -1)
    origins = (torch.tensor([0, 0, origin, 0]).expand(50, -1) for origin in (0, 1))
    parameters = draw_electrocardiogram(who, generator(2), leads=("II", "V1"), recorder_gain=1.0)
    usual, early = (
        synthesize_ecg(beats_at(drawn, peaks, origin=origin), parameters, FINE, generator(3), clean=True)
        for origin in origins
    )
    assert (between(usual - early, -0.25, -0.05).abs().amax((1, 2)) > 0.02).float().mean() > 0.9
    assert (between(usual - early, 0.02, 0.5).abs() < 1e-3).all()


def test_blocked_p_waves_are_seen(recording):
    beats, parameters, ecg = recording(n=4, rhythm="av_block_3", clean=True, leads=("II",), recorder_gain=1.0)
    without = type(parameters)(**{**vars(parameters), "p_right_mv": parameters.p_right_mv * 0,
                                  "p_left_mv": parameters.p_left_mv * 0})  # fmt: skip
    only_p = ecg - synthesize_ecg(beats, without, TIMES, generator(4), clean=True)
    for i in range(4):
        for onset in beats.atria_s[i][(beats.atria_s[i] > 0) & (beats.atria_s[i] < 2.8)]:
            assert only_p[i, 0][(TIMES > onset) & (TIMES < onset + 0.12)].amax() > 0.02


def test_a_lead_is_the_same_alone_and_among_others(recording):
    _, _, together = recording(leads=LEADS, clean=True)
    for index, name in enumerate(LEADS):
        _, parameters, alone = recording(leads=(name,), clean=True)
        assert torch.allclose(alone[:, 0], together[:, index], atol=1e-5)
        assert parameters.lead_names == ((name,),) * 8


def test_some_leads_are_upside_down_off_or_of_another_device(patients):
    parameters = draw_electrocardiogram(patients(2000), generator(), leads=2)
    assert 0.09 < (parameters.recorder_gain < 0).float().mean() < 0.15
    off = ~parameters.connected
    assert ((off.float().mean(0) > 0.01) & (off.float().mean(0) < 0.08)).all()  # the first one as often as the second
    assert set(parameters.lead.flatten().tolist()) == set(range(12))


@pytest.mark.parametrize("leads", [1, 2, ("V5", "II")])
def test_at_least_one_lead_is_on_and_those_that_are_stay_as_they_were(patients, leads):
    drawn = draw_electrocardiogram(patients(2000), generator(), leads=leads)
    assert drawn.connected.any(1).all()
    twelve = draw_electrocardiogram(patients(2000), generator(), leads=LEADS).connected.gather(1, drawn.lead)
    some = twelve.any(1)
    assert torch.equal(drawn.connected[some], twelve[some])


def test_neurokit_finds_the_beats(patients):
    import neurokit2

    rate, n = 250, 10
    who = patients(n)
    beats = beat_times(draw_rhythm(who, generator(1)), 0.0, 10.0, generator(2))
    parameters = draw_electrocardiogram(who, generator(5), leads=("I", "II", "V5"), recorder_gain=1.0, connected=True)
    for snr, least in ((None, 0.99), (12.0, 0.95)):
        ecg = synthesize_ecg(beats, parameters, torch.arange(0, 10, 1 / rate), generator(6), clean=True)
        ecg = ecg if snr is None else add_noise(ecg, rate, snr, generator(7))
        found = total = 0
        for i in range(n):
            peaks = beats.r_peak[i][(beats.r_peak[i] > 0.4) & (beats.r_peak[i] < 9.6)]
            for lead in ecg[i]:
                cleaned = neurokit2.ecg_clean(lead.numpy(), sampling_rate=rate)
                seen = torch.tensor(neurokit2.ecg_peaks(cleaned, sampling_rate=rate)[1]["ECG_R_Peaks"] / rate)
                found += int(((peaks[:, None] - seen).abs().amin(1) < 0.05).sum())
                total += len(peaks)
        assert found / total >= least


def test_same_seed_same_recording(recording):
    assert torch.equal(recording()[2], recording()[2])


def test_bad_leads_are_refused(patients):
    who = patients(1)
    with pytest.raises(InputError, match="'V9' is unknown"):
        draw_electrocardiogram(who, generator(), leads=("V9",))
    with pytest.raises(InputError, match="from 1 to 12"):
        draw_electrocardiogram(who, generator(), leads=13)
    with pytest.raises(InputError, match="no parameter"):
        draw_electrocardiogram(who, generator(), r_mv=1.0)
    assert draw_electrocardiogram(who, generator(), leads=("MLII",)).lead_names == (("II",),)
