"""Whatever heart is asked for within the limits, everything that comes back is finite and has its shape."""

import pytest
import torch
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from echopulse.errors import InputError
from echopulse.phantom import simulate
from echopulse.phantom.definitions import reconciled
from echopulse.phantom.priors import PRIORS
from echopulse.phantom.types import CONDUCTIONS, LABELS, PATHOLOGIES, RHYTHMS, TERRITORIES, VIEWS

FRAMES, SIZE = 2, 24
LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
# The same examples on every machine; `derandomize` also keeps a slow one from looking like a broken one.
TINY = settings(max_examples=20, deadline=None, derandomize=True, database=None,
                phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck))  # fmt: skip

hearts = st.fixed_dictionaries(
    {
        "ef": st.floats(0.1, 0.8),
        "heart_rate_bpm": st.floats(30, 200),
        "edv_ml": st.floats(40, 350),
        "rhythm": st.sampled_from(RHYTHMS),
        "conduction": st.sampled_from(CONDUCTIONS),
        "pathology": st.sampled_from(PATHOLOGIES),
        "territory": st.sampled_from(TERRITORIES),
        "view": st.sampled_from(VIEWS),
        "prior": st.sampled_from(PRIORS),
        "seed": st.integers(0, 2**20),
        "fps": st.sampled_from((5.0, 20.0, 50.0, 90.0)),
        "leads": st.one_of(st.integers(1, 12), st.lists(st.sampled_from(LEADS), min_size=1, max_size=3, unique=True)),
        "displacement": st.booleans(),
    }
)


def extreme(**heart):
    usual = {"ef": 0.6, "heart_rate_bpm": 70.0, "edv_ml": 110.0, "rhythm": "sinus", "conduction": "normal",
             "pathology": "healthy", "territory": "none", "view": "a4c", "prior": "clinical", "seed": 1, "fps": 20.0,
             "leads": 2, "displacement": True}  # fmt: skip
    return example(heart=usual | heart)


def every_named_value(test):
    """`test` with an explicit example for every rhythm, conduction, pathology, territory and view."""
    for rhythm in RHYTHMS:
        test = extreme(rhythm=rhythm)(test)
    for view in VIEWS:
        test = extreme(view=view, conduction="lbbb")(test)
    for conduction, pathology in zip(CONDUCTIONS, PATHOLOGIES[-4:], strict=True):
        test = extreme(conduction=conduction, pathology=pathology)(test)
    for territory in TERRITORIES:
        test = extreme(territory=territory, pathology="ischaemic")(test)
    return test


@TINY
@every_named_value
@extreme(ef=0.1, heart_rate_bpm=200.0, edv_ml=350.0)
@extreme(ef=0.8, heart_rate_bpm=200.0, edv_ml=40.0, rhythm="vt")
@extreme(ef=0.8, heart_rate_bpm=30.0, edv_ml=350.0, rhythm="af")
@extreme(ef=0.1, heart_rate_bpm=30.0, edv_ml=40.0, rhythm="bigeminy", view="psax_apical")
@given(heart=hearts)
def test_every_heart_can_be_simulated(heart):
    heart = reconciled(heart)
    clips = simulate(1, frames=FRAMES, size=SIZE, ecg_rate_hz=100.0, **heart)
    truth, beats = clips.truth, clips.truth.r_peaks_s.shape[1]
    leads = heart["leads"] if isinstance(heart["leads"], int) else len(heart["leads"])

    assert clips.frames.shape == (1, FRAMES, SIZE, SIZE) and clips.frames.dtype == torch.uint8
    assert clips.ecg.shape == (1, leads, len(clips.ecg_times_s)) and len(clips.lead_names[0]) == leads
    assert truth.labels.shape == (1, FRAMES, SIZE, SIZE) and int(truth.labels.max()) < len(LABELS)
    assert truth.sector.shape == (1, SIZE, SIZE) and bool(truth.sector.any())
    for name in ("volume_ml", "mitral_opening", "aortic_opening", "tricuspid_opening", "lv_length_cm"):
        assert getattr(truth, name).shape == (1, FRAMES), name
        assert bool(torch.isfinite(getattr(truth, name)).all()), name
    for name in ("ef_per_beat", "ed_times_s", "es_times_s", "q_onsets_s", "t_ends_s", "gls_per_beat"):
        assert getattr(truth, name).shape == (1, beats), name
    assert bool(torch.isfinite(clips.ecg).all()) and bool(torch.isfinite(truth.pixel_spacing_cm).all())
    if heart["displacement"]:
        assert truth.displacement_cm.shape == (1, FRAMES, SIZE, SIZE, 2)
        assert bool(torch.isfinite(truth.displacement_cm).all())

    there = torch.isfinite(truth.r_peaks_s)
    for name in ("ef_per_beat", "ed_times_s", "es_times_s", "q_onsets_s", "t_ends_s"):
        assert bool((torch.isfinite(getattr(truth, name)) == there).all()), name
    assert bool((truth.es_times_s > truth.ed_times_s)[there].all())
    per_beat = truth.ef_per_beat[there]
    assert bool(((per_beat >= -1e-4) & (per_beat < 0.9)).all())
    assert 0 < float(truth.volume_ml.min()) and float(truth.volume_ml.max()) <= 1.02 * heart["edv_ml"]
    for name in ("mitral_opening", "aortic_opening", "tricuspid_opening"):
        opening = getattr(truth, name)
        assert -1e-3 <= float(opening.min()) and float(opening.max()) <= 1 + 1e-3, name
    assert truth.view == (heart["view"],) and truth.rhythm == (heart["rhythm"],)
    assert truth.conduction == (heart["conduction"],) and truth.pathology == (heart["pathology"],)


@pytest.mark.parametrize(
    ("pin", "told"),
    [({"ef": 0.9}, "0.86"), ({"ef": float("nan")}, "number"), ({"heart_rate_bpm": 500}, "220"), ({"edv_ml": 5}, "20"),
     ({"depth_cm": 2}, "depth_cm"), ({"rhythm": "jazz"}, "sinus"), ({"pathology": "bored"}, "dilated"),
     ({"view": "selfie"}, "plax"), ({"conduction": "wifi"}, "lbbb"), ({"prior": "guess"}, "clinical")],
)  # fmt: skip
def test_what_no_heart_can_be_is_refused_with_what_is_allowed(pin, told):
    with pytest.raises(InputError, match=told):
        simulate(1, frames=1, size=SIZE, **pin)
