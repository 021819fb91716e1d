"""Published weights are checked before they are used."""

import hashlib

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from echopulse.errors import InputError
from echopulse.published import LONGEST_NAME, Source, check_file, fit, read_state_dict, shown


def saved(path, state):
    torch.save(state, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_is_read_when_its_hash_begins_as_it_is_known(tmp_path):
    path = tmp_path / "weights.pth"
    digest = saved(path, {"state_dict": {"module.weight": torch.ones(2, 3)}})
    source = Source("a linear layer", "linear.pth", digest[:8])
    assert check_file(path, source) == digest
    state = read_state_dict(path, source)
    assert list(state) == ["weight"] and torch.equal(state["weight"], torch.ones(2, 3))


def test_another_file_is_refused_with_what_is_expected(tmp_path):
    path = tmp_path / "weights.pth"
    digest = saved(path, {"weight": torch.ones(1)})
    source = Source("a linear layer", "linear.pth", "0" * 8 if digest[0] != "0" else "1" * 8)
    with pytest.raises(InputError, match=f"begins with {digest[:8]}, that of a linear layer with {source.sha256}"):
        read_state_dict(path, source)
    assert "weight" in read_state_dict(path, source, sha256=digest)  # the one that the user means
    with pytest.raises(InputError, match="no such file"):
        check_file(tmp_path / "absent", source)


def test_only_plain_tensors_are_read(tmp_path):
    code, text, numbers = tmp_path / "code.pth", tmp_path / "text.pth", tmp_path / "numbers.pth"
    torch.save(nn.Linear(2, 2), code)
    text.write_text("no weights")
    torch.save([1, 2], numbers)
    for path in (code, text, numbers):
        with pytest.raises(InputError, match=path.name):
            read_state_dict(path, Source("a linear layer", "linear.pth"))


def test_safetensors_are_read_alike(tmp_path):
    save_file({"weight": torch.ones(2)}, tmp_path / "w.safetensors")
    assert torch.equal(read_state_dict(tmp_path / "w.safetensors", Source("w", "w"))["weight"], torch.ones(2))


def test_weights_fit_a_network_or_the_first_difference_is_told():
    made = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    state = {name: value for name, value in made.state_dict().items() if "num_batches" not in name}
    network = fit(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), state | {"head.x": torch.ones(1)}, "f", ("head.",))
    assert torch.equal(network[0].weight, made[0].weight) and not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    with pytest.raises(InputError, match=r"0.weight is \(3, 2\), expected \(4, 2\)"):
        fit(nn.Sequential(nn.Linear(2, 4)), state, "f")
    with pytest.raises(InputError, match="1.bias is absent"):
        fit(made, {name: value for name, value in state.items() if name != "1.bias"}, "f")
    with pytest.raises(InputError, match=r"head.x is \(1,\), expected absent"):
        fit(made, state | {"head.x": torch.ones(1)}, "f")


def test_ordinary_names_are_told_as_they_are_and_others_quoted_and_short():
    assert shown("stage_list.0.conv-1.weight") == "stage_list.0.conv-1.weight"
    assert shown("a b") == "'a b'" and shown("\x1b[31m") == r"'\x1b[31m'" and shown(("a", 1)) == "('a', 1)"
    assert len(shown("y" * 99)) == LONGEST_NAME and len(shown("\n" * 99)) == LONGEST_NAME
    with pytest.raises(InputError, match=r"'\\x07' is \(1,\), expected absent"):
        fit(nn.Linear(1, 1), nn.Linear(1, 1).state_dict() | {"\a": torch.ones(1)}, "f")
