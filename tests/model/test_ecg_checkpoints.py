"""Published ECG weights, as their authors' files hold them: read as tensors, checked by name, never run."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from echopulse.errors import InputError
from echopulse.model.ecg_checkpoints import NAMED_AT_MOST, differences, load_published_ecg, parse_ecg_encoder
from echopulse.model.ecg_config import PUBLISHED_ECG, EcgFounderConfig, StMemConfig
from echopulse.model.ecg_founder import EcgFounder, published_shapes
from echopulse.model.st_mem import StMem

ST_MEM = StMemConfig(features=16, depth=1, heads=2, mlp=24, patches=4)
FOUNDER = EcgFounderConfig(first=8, channels=(8, 8, 16), blocks=(1, 1, 1), group_width=4, heard=(1,))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setitem(PUBLISHED_ECG, "st-mem", ST_MEM)
    monkeypatch.setitem(PUBLISHED_ECG, "ecgfounder", FOUNDER)


@pytest.fixture
def st_mem() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return StMem(ST_MEM).state_dict()


@pytest.fixture
def founder() -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    state = {name: torch.randn(shape, generator=draw) for name, shape in published_shapes(FOUNDER).items()}
    return state | {"dense.weight": torch.randn(150, 16), "dense.bias": torch.randn(150)}


def written(path, content):
    torch.save(content, path)
    return path


def test_st_mem_is_read_from_every_form_in_which_it_is_published(st_mem, tmp_path):
    head = {"head.weight": torch.ones(3, 16), "head.bias": torch.ones(3)}
    decoder = {
        "mask_embedding": torch.ones(1),
        "decoder_blocks.0.x": torch.ones(1),
        "to_decoder_embedding.bias": torch.ones(1),
    }
    twice = {name: value for name, value in st_mem.items() if name.startswith("to_patch_embedding")}
    prefixed = {f"encoder.{name}": value for name, value in st_mem.items()}
    whole = {f"encode_ekg.{name}": value for name, value in (st_mem | head).items()}
    others = {"cvivit.x": torch.ones(1), "maskgit.y": torch.ones(1), "i3d.z": torch.ones(1)}
    forms = {
        "encoder": {"model": st_mem},
        "bare": st_mem,
        "parallel": {"model": {f"module.{name}": value for name, value in st_mem.items()}},
        "classifier": {"model": st_mem | head},
        "pretraining": {"model": prefixed | decoder | twice},
        "echopulse": {"step": 7, "model": {f"module.{n}": v for n, v in (whole | others).items()}, "scaler": {}},
    }
    for form, content in forms.items():
        found = load_published_ecg("st-mem", written(tmp_path / f"{form}.pth", content))
        assert all(torch.equal(value, st_mem[name]) for name, value in found.network.state_dict().items()), form
        assert "CC BY-NC 4.0" in found.licence and found.config is ST_MEM
        assert not any(one.requires_grad for one in found.network.parameters())
    save_file(st_mem, tmp_path / "st_mem.safetensors")
    assert load_published_ecg("st-mem", tmp_path / "st_mem.safetensors").config is ST_MEM


def test_ecgfounder_is_read_with_the_number_beside_its_weights_that_its_file_holds(founder, tmp_path):
    content = {"epoch": 3, "state_dict": founder, "optimizer": {"state": {}}, "val_auroc": np.float64(0.92)}
    path = written(tmp_path / "12_lead_ECGFounder.pth", content)
    found = load_published_ecg("ecgfounder", path)
    assert type(found.network) is EcgFounder and "MIT" in found.licence
    assert all(torch.equal(value, founder[name]) for name, value in found.network.state_dict().items())
    assert torch.isfinite(found.network(torch.randn(1, 12, 200))[0]).all()
    older = tmp_path / "older.pth"  # NumPy 1 called the same thing by another name
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(older, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert load_published_ecg("ecgfounder", older).config is FOUNDER


def test_everything_missing_unknown_or_of_another_shape_is_named(founder, st_mem, tmp_path):
    del founder["first_bn.running_mean"], founder["stage_list.2.block_list.0.se_fc1.bias"]  # of parts that are not kept
    founder["stage_list.9.x"] = torch.ones(1)
    founder["stage_list.0.block_list.0.conv2.conv.weight"] = torch.ones(8, 2, 16)
    path = written(tmp_path / "f.pth", {"state_dict": founder})
    with pytest.raises(InputError) as told:
        load_published_ecg("ecgfounder", path)
    assert str(told.value) == (
        f"{path}: not the weights of ECGFounder: missing first_bn.running_mean, stage_list.2.block_list.0.se_fc1.bias; "
        "unknown stage_list.9.x; of another shape stage_list.0.block_list.0.conv2.conv.weight ([8, 2, 16] for "
        "[8, 4, 16]); give 12_lead_ECGFounder.pth."
    )
    wider = StMem(StMemConfig(features=32, depth=1, heads=2, mlp=24, patches=4)).state_dict()
    with pytest.raises(InputError, match=r"of another shape pos_embedding \(\[1, 6, 32\] for \[1, 6, 16\]\)"):
        load_published_ecg("st-mem", written(tmp_path / "w.pth", {"model": wider}))
    with pytest.raises(InputError, match=r"not the weights of ST-MEM: missing pos_embedding, .*; unknown first_conv"):
        load_published_ecg("st-mem", written(tmp_path / "other.pth", {"state_dict": founder}))
    with pytest.raises(InputError, match="unknown decoder_of_another"):
        load_published_ecg("st-mem", written(tmp_path / "x.pth", st_mem | {"decoder_of_another": torch.ones(1)}))


def test_of_hundreds_of_names_the_first_are_told_and_the_others_counted():
    told = differences({}, {f"n{i}": () for i in range(NAMED_AT_MOST + 3)})
    assert told.endswith(f"n{NAMED_AT_MOST - 1} and 3 more") and differences({}, {}) == ""


class Danger:
    """What a pickle can do to whoever opens it."""

    def __reduce__(self):
        return exec, ("raise SystemExit('the file was run')",)


def test_damaged_files_and_files_with_code_are_refused_in_one_sentence_and_never_run(st_mem, tmp_path):
    whole = written(tmp_path / "whole.pth", {"model": st_mem})
    (tmp_path / "cut.pth").write_bytes(whole.read_bytes()[:900])
    (tmp_path / "cut.safetensors").write_bytes(b"\x00" * 30)
    (tmp_path / "text.pth").write_text("no weights")
    written(tmp_path / "code.pth", {"model": st_mem, "extra": Danger()})
    written(tmp_path / "module.pth", nn.Linear(2, 2))
    written(tmp_path / "list.pth", [1, 2])
    for name in ("cut.pth", "cut.safetensors", "text.pth", "code.pth", "module.pth", "list.pth"):
        with pytest.raises(InputError) as told:
            load_published_ecg("st-mem", tmp_path / name)
        text = str(told.value)
        assert text.startswith(f"{tmp_path / name}: ") and "give encoder.pth" in text
        assert "\n" not in text and ". " not in text.removeprefix(str(tmp_path))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({7: torch.ones(1)}, "a tensor is called 7, which is no text"),
        ({b"norm": torch.ones(1)}, "a tensor is called b'norm', which is no text"),
        ({"norm.weight": torch.ones(16).to_sparse()}, "norm.weight is a sparse tensor"),
        ({"norm.weight": torch.ones(16, device="meta")}, "norm.weight is a tensor without values"),
        ({"norm.weight": torch.ones(16, dtype=torch.complex64)}, "norm.weight is a tensor of complex numbers"),
        ({"norm.weight": torch.full((16,), torch.nan)}, "NaN or infinite numbers in norm.weight; fetch encoder.pth"),
        ({"norm.weight": torch.full((16,), 1e300, dtype=torch.float64)}, "NaN or infinite numbers in norm.weight"),
        ({"module.norm.weight": torch.ones(16)}, "norm.weight and module.norm.weight are the same weights"),
        ({"encoder.norm.weight": torch.ones(16)}, "norm.weight and encoder.norm.weight are the same weights"),
    ],
)
def test_what_is_no_weight_and_what_is_there_twice_is_refused_in_one_sentence(st_mem, tmp_path, change, told):
    path = written(tmp_path / "odd.pth", {"model": st_mem | change})
    with pytest.raises(InputError) as refused:
        load_published_ecg("st-mem", path)
    text = str(refused.value)
    assert text.startswith(f"{path}: ") and told in text and "encoder.pth" in text
    assert "\n" not in text and ". " not in text.removeprefix(str(tmp_path))


def test_a_file_may_not_write_to_the_terminal_by_the_names_in_it(st_mem, tmp_path):
    names = ("\x1b[2J\x1b[31mall is well", "a\nb", "x" * 5000, "norm. Now run rm", "\u202eback", "")
    for number, name in enumerate(names):
        for value in (torch.ones(1), torch.ones(1).to_sparse()):
            with pytest.raises(InputError) as told:
                load_published_ecg("st-mem", written(tmp_path / f"{number}.pth", st_mem | {name: value}))
            text = str(told.value).removeprefix(str(tmp_path))
            assert text.isprintable() and text.isascii() and len(text) < 250
            assert len(name) > 100 or ascii(name) in text


def test_the_command_names_a_kind_and_a_file_that_is_there(tmp_path):
    path = tmp_path / "a=b.pth"
    path.touch()
    assert parse_ecg_encoder(f"st-mem={path}") == ("st-mem", path)
    assert parse_ecg_encoder("a_model") == ("own", Path("a_model"))
    assert parse_ecg_encoder(str(tmp_path)) == ("own", tmp_path)
    for text in ("ecg-fm=x.pth", "st-mem", "st-mem=", str(path)):
        with pytest.raises(InputError, match="a model folder, st-mem=FILE or ecgfounder=FILE is expected"):
            parse_ecg_encoder(text)
    with pytest.raises(InputError, match="no such file; give 12_lead_ECGFounder.pth"):
        parse_ecg_encoder(f"ecgfounder={tmp_path / 'absent.pth'}")
