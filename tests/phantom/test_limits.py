"""Every parameter may be pinned anywhere within its limits, many at once, and nowhere beyond them."""

from dataclasses import fields

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from echopulse.errors import InputError
from echopulse.phantom import draw_phantom, simulate
from echopulse.phantom.definitions import reconciled
from echopulse.phantom.limits import LIMITS, YES_OR_NO
from echopulse.phantom.parameters import STAGES, PhantomParameters
from echopulse.phantom.priors import apply_pins
from echopulse.phantom.types import CONDUCTIONS, PATHOLOGIES, RHYTHMS, TERRITORIES, VIEWS

WHOLE = ("group", "ectopic_period", "run_beats")
FRAMES, SIZE = 2, 24
# The same examples on every machine; `derandomize` also keeps a slow one from looking like a broken one.
TINY = settings(max_examples=20, deadline=None, derandomize=True, database=None,
                phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck))  # fmt: skip


def within(name: str, share: float) -> float:
    """The value that lies at `share` of the way from the lower to the upper limit."""
    low, high = LIMITS[name]
    value = low + share * (high - low)
    return round(value) if name in (*WHOLE, *YES_OR_NO) else value


shares = st.one_of(st.sampled_from((0.0, 1.0)), st.floats(0, 1))
pins = st.dictionaries(st.sampled_from(sorted(LIMITS)), shares, min_size=1, max_size=16)
names = st.fixed_dictionaries(
    {
        "rhythm": st.sampled_from(RHYTHMS),
        "conduction": st.sampled_from(CONDUCTIONS),
        "pathology": st.sampled_from(PATHOLOGIES),
        "territory": st.sampled_from(TERRITORIES),
        "view": st.sampled_from(VIEWS),
    }
)


def check(**asked) -> None:
    """One tiny examination: all of it is finite and a heart's."""
    clips = simulate(1, frames=FRAMES, size=SIZE, fps=5.0, ecg_rate_hz=100.0, displacement=True, **asked)
    truth = clips.truth
    assert clips.frames.shape == (1, FRAMES, SIZE, SIZE) and clips.frames.dtype == torch.uint8
    assert bool(clips.ecg.isfinite().all())
    for name in ("volume_ml", "lv_length_cm", "pixel_spacing_cm", "displacement_cm", "mitral_opening",
                 "aortic_opening", "tricuspid_opening"):  # fmt: skip
        assert bool(getattr(truth, name).isfinite().all()), name
    for name in ("volume_ml", "lv_length_cm", "pixel_spacing_cm"):
        assert bool((getattr(truth, name) > 0).all()), name
    there = truth.r_peaks_s.isfinite()
    for name in ("ef_per_beat", "mapse_cm_per_beat", "ed_times_s", "es_times_s", "q_onsets_s", "t_ends_s"):
        assert torch.equal(getattr(truth, name).isfinite(), there), name
    assert bool((truth.es_times_s > truth.ed_times_s)[there].all())
    assert bool(((truth.ef_per_beat >= -1e-4) & (truth.ef_per_beat < 0.9))[there].all())


@TINY
@given(pins=pins, names=names, seed=st.integers(0, 2**20))
def test_any_values_within_the_limits_make_an_examination(pins, names, seed):
    check(seed=seed, **reconciled(names | {name: within(name, share) for name, share in pins.items()}))


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize("stage", STAGES)
def test_all_parameters_of_a_stage_may_lie_at_one_end(stage, share):
    own = [field.name for field in fields(STAGES[stage]) if field.name in LIMITS]
    check(seed=3, view="a4c", **{name: within(name, share) for name in own})


@pytest.fixture(scope="module")
def drawn() -> PhantomParameters:
    return draw_phantom(1, seed=1)


def home(name: str) -> str:
    return next(stage for stage, kind in STAGES.items() if name in {field.name for field in fields(kind)})


def beyond(name: str) -> tuple[float, float]:
    low, high = LIMITS[name]
    return low - 1e-3, high + 1e-3


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_what_lies_beyond_a_limit_is_refused_with_the_limits(drawn, name):
    values, (low, high) = vars(getattr(drawn, home(name))), LIMITS[name]
    for wrong in beyond(name):
        with pytest.raises(InputError, match=f"'s {name} lies between {low:g} and {high:g}; got"):
            apply_pins(values, {name: wrong}, home(name))
    for end in (low, high):
        assert float(apply_pins(values, {name: end}, home(name))[name].flatten()[0]) == pytest.approx(end)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_refuses_what_lies_beyond_its_limits(stage):
    name = next(field.name for field in fields(STAGES[stage]) if field.name in LIMITS and home(field.name) == stage)
    for wrong in beyond(name):
        with pytest.raises(InputError, match=f"{name} lies between"):
            simulate(1, frames=1, size=SIZE, **{name: wrong})


def test_every_limit_is_that_of_a_parameter():
    known = {field.name for stage in STAGES.values() for field in fields(stage)}
    assert set(LIMITS) <= known and set(YES_OR_NO) <= set(LIMITS)
    assert all(LIMITS[name] == (0, 1) for name in YES_OR_NO)
