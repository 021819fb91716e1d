"""Every ECG encoder behind one interface: tokens with times, a network that stands still, a head that learns."""

from dataclasses import asdict, replace

import pytest
import torch

from echopulse.errors import InputError
from echopulse.model.checkpoint import load_weights, save_config, save_weights
from echopulse.model.config import PRESETS, GeneratorConfig, config_from_dict
from echopulse.model.ecg_config import PUBLISHED_ECG, EcgFounderConfig, StMemConfig
from echopulse.model.ecg_encoder import EcgEncoder
from echopulse.model.ecg_encoders import FrozenEcgEncoder, build_ecg_encoder
from echopulse.model.ecg_founder import EcgFounder, published_shapes
from echopulse.model.ecg_input import HEARING
from echopulse.model.familiarity import summary_of
from echopulse.model.generator import Generator
from echopulse.model.networks import load_ecg_encoder, load_network
from echopulse.model.st_mem import StMem
from echopulse.phantom.rhythm.leads import LEADS

GENERATOR = PRESETS["tiny"]["generator"]
TINY = {
    "own": GENERATOR.ecg,
    "st-mem": StMemConfig(width=32, features=24, depth=2, heads=2, mlp=32, patches=6),
    "ecgfounder": EcgFounderConfig(
        width=32, first=8, channels=(8, 16, 16, 24), blocks=(1, 2, 1, 1), group_width=4, heard=(1, 2)
    ),
}  # fmt: skip
FROZEN = ("st-mem", "ecgfounder")


@pytest.fixture(scope="module", params=TINY)
def encoder(request):
    torch.manual_seed(0)
    return build_ecg_encoder(TINY[request.param]).eval()


@pytest.fixture(scope="module", params=FROZEN)
def frozen(request) -> FrozenEcgEncoder:
    torch.manual_seed(0)
    return build_ecg_encoder(TINY[request.param]).eval()


def an_ecg(leads: int = 2, samples: int = 656) -> torch.Tensor:
    times = torch.arange(samples) / 200
    peaks = sum(torch.exp(-(((times - at) / 0.02) ** 2)) for at in torch.arange(0.04, samples / 200, 0.8))
    return torch.stack([peaks * (1 + 0.3 * lead) for lead in range(leads)])[None]


@torch.no_grad()
def encode(encoder, ecg, start_s: float = -1.6, **leads):
    return encoder(ecg, torch.full((len(ecg),), start_s), **leads)


@pytest.mark.parametrize("samples", [16, 656, 664, 1000])
def test_any_window_gives_a_token_every_forty_milliseconds(encoder, samples):
    memory = encode(encoder, an_ecg(samples=samples))
    assert memory.tokens.shape == (1, samples // 8, 32)
    assert torch.allclose(memory.times_s[0], -1.6 + 0.04 * torch.arange(samples // 8), atol=1e-5)


def test_tokens_over_a_gap_have_no_time_and_those_of_one_lead_keep_theirs(encoder):
    ecg = an_ecg()
    ecg[..., 160:240] = torch.nan
    ecg[:, 0, 400:480] = torch.nan
    memory = encode(encoder, ecg)
    assert memory.times_s.isnan()[0].nonzero().flatten().tolist() == list(range(20, 30))
    assert bool(memory.tokens.isfinite().all())


def test_no_ecg_gives_finite_tokens_without_times(encoder):
    memory = encode(encoder, torch.full((1, 1, 656), torch.nan))
    assert bool(memory.times_s.isnan().all()) and bool(memory.tokens.isfinite().all())


def test_what_is_heard_changes_the_tokens_and_the_clock_does_not(encoder):
    one, later = encode(encoder, an_ecg()), encode(encoder, an_ecg(), 5.0)
    assert torch.allclose(one.tokens, later.tokens, atol=1e-4)
    assert not torch.allclose(one.tokens, encode(encoder, an_ecg().roll(40, -1)).tokens, atol=1e-3)


def test_reading_out_is_linear_between_tokens_and_nearest_beyond(encoder):
    memory = encode(encoder, an_ecg())
    times = -1.6 + torch.tensor([[0.4, 0.41, 0.44, -9.0, 0.0]])
    with torch.no_grad():
        said = encoder.read_out(memory, times)[0]
    assert said.shape == (5, len(EcgEncoder.TARGETS))
    assert torch.allclose(said[1], 0.75 * said[0] + 0.25 * said[2], atol=1e-5) and torch.equal(said[3], said[4])


def test_summaries_for_familiarity_have_the_generators_width(encoder):
    assert summary_of(encode(encoder, an_ecg())).shape == (1, 64)


# --- published networks ---


def test_leads_are_known_by_name_and_nameless_ones_take_the_usual_places(frozen):
    ecg = an_ecg()
    named = encode(frozen, ecg, leads=("V5", "II"))
    assert not torch.allclose(named.tokens, encode(frozen, ecg, leads=("I", "V1")).tokens, atol=0.05)
    assert torch.allclose(named.tokens, encode(frozen, ecg.flip(1), leads=("II", "V5")).tokens, atol=1e-3)
    assert torch.equal(encode(frozen, ecg).tokens, encode(frozen, ecg, leads=("II", "V5")).tokens)
    placed = torch.full((1, 12, 656), torch.nan)
    placed[:, [LEADS.index("V5"), LEADS.index("II")]] = ecg
    assert torch.allclose(encode(frozen, placed).tokens, named.tokens, atol=1e-3)


def test_the_network_stands_still_while_the_head_learns(frozen):
    before = {name: value.clone() for name, value in frozen.state_dict().items()}
    learner = build_ecg_encoder(frozen.config)
    learner.load_state_dict(before)
    memory = learner.train()(an_ecg(), torch.zeros(1))
    (memory.tokens.square().mean() + learner.read_out(memory, torch.rand(1, 4)).square().mean()).backward()
    with torch.no_grad():
        for value in learner.parameters():
            if value.grad is not None:
                value -= 0.01 * value.grad
    changed = {
        name.split(".")[0] for name, value in learner.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed >= {"tokens_in", "mix", "head"} and "network" not in changed
    assert all(value.grad is None for value in learner.network.parameters())


@torch.no_grad()
def test_features_differ_most_where_the_ecg_does(frozen):
    """Token i of a sequence tells of its own stretch: the head may take its middle for its time."""
    rate, places_s = frozen.hearing.rate_hz, (1.2, 2.0)
    present = torch.zeros(1, 12, round(3.28 * rate), dtype=torch.bool)
    present[:, 1] = True
    one, other = (torch.zeros(present.shape) for _ in places_s)
    for signal, at in ((one, places_s[0]), (other, places_s[1])):
        signal[:, 1, round(at * rate)] = 5.0
    heard = zip(frozen._heard(one, present), frozen._heard(other, present), frozen._sequences(), strict=True)
    for here, there, (_, samples) in heard:
        apart = (here - there).norm(dim=-1)[0]
        middles_s = (torch.arange(len(apart)) + 0.5) * samples / rate
        largest = middles_s[apart.topk(2).indices].sort().values.tolist()
        assert largest == pytest.approx(places_s, abs=1.5 * samples / rate)


def test_st_mem_hears_what_is_too_long_for_it_in_pieces():
    torch.manual_seed(0)
    network = StMem(TINY["st-mem"]).eval()
    signal = torch.randn(1, 12, 9 * 75, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = network(signal)
        assert torch.allclose(whole[:, :, :6], network(signal[..., : 6 * 75]), atol=1e-5)
        assert torch.allclose(whole[:, :, 6:], network(signal[..., 6 * 75 :]), atol=1e-5)


def test_st_mem_takes_the_mean_over_the_leads_that_are_there():
    torch.manual_seed(0)
    network = StMem(TINY["st-mem"]).eval()
    signal, present = torch.randn(1, 12, 300), torch.zeros(1, 12, 300, dtype=torch.bool)
    present[:, 1], present[:, 4, :150] = True, True
    with torch.no_grad():
        each, tokens = network(signal), network.tokens(signal, present)
        expected = torch.cat([each[:, [1, 4], :2].mean(1), each[:, 1, 2:]], 1)
        assert torch.allclose(tokens, network.norm(expected), atol=1e-5)
        assert torch.allclose(network.embedding(signal), network.norm(each[:, 1].mean(1)), atol=1e-6)


def test_ecgfounder_has_the_names_and_shapes_of_its_published_listing():
    shapes = published_shapes(PUBLISHED_ECG["ecgfounder"])
    assert len(shapes) == 507  # and two of the classifier
    assert shapes["first_conv.conv.weight"] == (64, 12, 16) and shapes["first_bn.num_batches_tracked"] == ()
    assert shapes["stage_list.1.block_list.0.conv1.conv.weight"] == (160, 64, 1)
    assert shapes["stage_list.3.block_list.2.conv2.conv.weight"] == (400, 16, 16)
    assert shapes["stage_list.6.block_list.3.se_fc1.weight"] == (512, 1024)
    assert shapes["stage_list.5.block_list.0.bn1.running_mean"] == (400,)
    with torch.device("meta"):
        own = EcgFounder(PUBLISHED_ECG["ecgfounder"]).state_dict()
    assert all(shapes[name] == tuple(value.shape) for name, value in own.items())
    assert not any(name.startswith(("stage_list.5", "stage_list.6", "dense")) for name in own)


def test_the_published_sizes_give_tokens_as_often_as_needed():
    with torch.device("meta"):
        unfold = {kind: FrozenEcgEncoder(config).unfold for kind, config in PUBLISHED_ECG.items()}
    assert unfold == {"st-mem": [8], "ecgfounder": [1, 2, 4]}  # of 0.3 s; of 0.032, 0.064 and 0.128 s
    assert set(HEARING) == set(PUBLISHED_ECG)


# --- in the generator ---


@pytest.mark.parametrize("kind", TINY)
def test_a_generator_with_any_encoder_survives_its_file(kind, tmp_path):
    torch.manual_seed(0)
    config = replace(GENERATOR, ecg=TINY[kind])
    made = Generator(config).eval()
    assert type(made.ecg_encoder) is (EcgEncoder if kind == "own" else FrozenEcgEncoder)
    save_weights(made, tmp_path / "generator", torch.float32)
    values = asdict(config)
    again = load_weights(Generator(config_from_dict(GeneratorConfig, values)), tmp_path / "generator")
    assert again.config == config and again.config.ecg.kind == kind
    with torch.no_grad():
        both = [one.encode_ecg(an_ecg(), torch.zeros(1)).tokens for one in (made, again)]
    assert torch.equal(*both)


def test_an_unknown_kind_and_another_width_are_named(tmp_path):
    values = asdict(GENERATOR)
    with pytest.raises(InputError, match="an ECG encoder of kind 'ecg-fm'; expected one of own, st-mem, ecgfounder"):
        config_from_dict(GeneratorConfig, {**values, "ecg": {"kind": "ecg-fm"}})
    with pytest.raises(InputError, match="unknown keys \\['stem'\\] for StMemConfig"):
        config_from_dict(GeneratorConfig, {**values, "ecg": {"kind": "st-mem", "stem": [8, 16]}})
    config = replace(GENERATOR, ecg=TINY["st-mem"])
    save_weights(Generator(config), tmp_path / "generator")
    with pytest.raises(InputError, match="another architecture than config.json says"):
        load_weights(Generator(replace(config, ecg=replace(config.ecg, width=16))), tmp_path / "generator")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"width": 30}, "4 heads of 30 channels: .*heads of the same even width"),
        ({"width": 4}, "heads of the same even width"),  # of which no pair of channels could turn with time
        ({"stem": []}, r"stem \[\]: a list of whole numbers above 0"),
        ({"stem": [8]}, r"stem \[8\] and 4 heads of 192 channels: a stem of two widths"),
        ({"stem": [8, 0]}, r"stem \[8, 0\]: a list"),
        ({"stem": 8}, "stem 8: a list"),
        ({"rate_hz": 0}, "rate_hz 0: a positive number of hertz"),
        ({"rate_hz": float("nan")}, "rate_hz nan: a positive number"),
        ({"rate_hz": "200"}, "rate_hz '200': a positive number"),
        ({"depth": 1.5}, "depth 1.5: a whole number above 0"),
        ({"heads": 0}, "heads 0: a whole number"),
        ({"kind": "st-mem", "features": 770}, "st-mem.* with 12 heads of 770 features"),
        ({"kind": "st-mem", "patch": 0}, "patch 0: a whole number"),
        ({"kind": "st-mem", "rate_hz": -1}, "rate_hz -1: a positive number"),
        ({"kind": "ecgfounder", "channels": []}, r"channels \[\]: a list"),
        ({"kind": "ecgfounder", "group_width": 7}, "in groups of 7 .*whole groups"),
        ({"kind": "ecgfounder", "blocks": [1, 1]}, "as many numbers of blocks as of channels"),
        ({"kind": "ecgfounder", "heard": []}, "different stages from 0 to 6"),
        ({"kind": "ecgfounder", "heard": [7]}, "different stages from 0 to 6"),
        ({"kind": "ecgfounder", "heard": [2, 2]}, "different stages from 0 to 6"),
        ({"kind": "ecgfounder", "heard": ["a"]}, "different stages from 0 to 6"),
        ({"kind": ["st-mem"]}, "an ECG encoder of kind"),
    ],
)
def test_an_encoder_that_cannot_be_is_refused_when_its_folder_is_read(values, told, tmp_path):
    save_config(tmp_path, generator={**asdict(GENERATOR), "ecg": values})
    with pytest.raises(InputError, match=told) as refused:
        load_network(tmp_path, "generator")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("ecg", [5, "own", None])
def test_an_encoder_that_is_no_set_of_sizes_is_refused(ecg, tmp_path):
    save_config(tmp_path, generator={**asdict(GENERATOR), "ecg": ecg})
    with pytest.raises(InputError, match="its sizes by name are expected"):
        load_network(tmp_path, "generator")
    save_config(tmp_path, generator=None, ecg_encoder=[ecg])
    with pytest.raises(InputError, match="for EcgEncoderConfig; its sizes by name are expected"):
        load_ecg_encoder(tmp_path, GENERATOR.ecg)
