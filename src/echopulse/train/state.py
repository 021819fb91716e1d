"""What checkpoints keep, as flat names and tensors: of a model what learns, of an optimiser its memory."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from echopulse.model.checkpoint import hash_of_tensor


def standing_still(model: nn.Module) -> dict[str, Tensor]:
    """Frozen parameters, by name, of the parts that a module names in `GIVEN`: whoever makes the model brings them."""
    parts = [
        f"{name}.{part}.".removeprefix(".")
        for name, module in model.named_modules()
        for part in getattr(module, "GIVEN", ())
    ]
    return {
        name: value.detach()
        for name, value in model.named_parameters(remove_duplicate=False)
        if not value.requires_grad and name.startswith(tuple(parts))
    }


def learning(model: nn.Module) -> dict[str, Tensor]:
    """All the rest of its state: what learns, and buffers, which may count."""
    still = standing_still(model)
    return {name: value for name, value in model.state_dict().items() if name not in still}


def hashes(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """A hash of each, to know it again."""
    return {name: hash_of_tensor(value) for name, value in tensors.items()}


def changed(tensors: Mapping[str, Tensor], known: Mapping[str, str]) -> list[str]:
    """Names of what is not there or not what its hash was taken of."""
    return [name for name, digest in known.items() if name not in tensors or hash_of_tensor(tensors[name]) != digest]


def give(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Loads a part of a state; what it does not hold stays as it is."""
    model.load_state_dict({**model.state_dict(), **state})


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What the optimiser remembers of each parameter, as "INDEX.NAME"."""
    return {
        f"{index}.{name}": torch.as_tensor(value)
        for index, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
    }


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Gives the optimiser the memory that `optimizer_tensors` took; rates and the like stay what they are."""
    state = optimizer.state_dict()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for key, value in tensors.items():
        index, name = key.split(".")
        if value.shape == (parameter := parameters[int(index)]).shape:
            value = torch.empty_like(parameter).copy_(value)  # lies in memory as it did, for the same bits
        state["state"].setdefault(int(index), {})[name] = value
    optimizer.load_state_dict(state)


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Those whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
