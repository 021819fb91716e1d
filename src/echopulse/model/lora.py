"""LoRA (Hu et al. 2021): a network learns another domain through small additions, and stays what it was.

The additions lie beside the network, in modules of their own that are added to what its layers give. The network's
parameters, state dict and names know nothing of them, so whatever saves, hashes or trains it works as before.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import partial
from math import isfinite
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echopulse.errors import InputError
from echopulse.model.checkpoint import hash_of_networks

ALL = "*"


class LowRank(nn.Module):
    """B A for one layer: `down` [rank, in] or [rank, in, kh, kw], `up` [out, rank] or [out, rank, 1, 1]."""

    def __init__(self, down: Tensor, up: Tensor):
        super().__init__()
        self.down, self.up = nn.Parameter(down), nn.Parameter(up)

    def forward(self, x: Tensor, layer: nn.Module) -> Tensor:
        """What is added to the output of `layer` at input `x`, not yet scaled."""
        if isinstance(layer, nn.Linear):
            return F.linear(F.linear(x, self.down), self.up)
        return F.conv2d(F.conv2d(x, self.down, None, layer.stride, layer.padding, layer.dilation), self.up)

    def product(self) -> Tensor:
        """The same as one change of the layer's weight, in its shape."""
        return (self.up.flatten(1) @ self.down.flatten(1)).unflatten(1, self.down.shape[1:])


class Lora(nn.Module):
    """One adapter: `alpha` / `rank` times a product of two small matrices for each of some layers, by their names.

    `base` names the weights that it was made for, as `hash_of_networks` does; None where nobody wrote that down.
    """

    def __init__(self, parts: dict[str, LowRank], *, rank: int, alpha: float, base: str | None = None):
        super().__init__()
        self.rank, self.alpha, self.base = rank, alpha, base
        self.layers = tuple(parts)
        self.parts = nn.ModuleList(parts.values())

    @classmethod
    def fresh(
        cls,
        network: nn.Module,
        *,
        generator: torch.Generator,
        rank: int = 8,
        alpha: float = 16.0,
        layers: str = ALL,
    ) -> "Lora":
        """An adapter that changes nothing yet, since B is zero; `layers` as in `find_layers`.

        Raises InputError for a rank below 1, an alpha that is not positive, and names that no layer has.
        """
        check_rank(rank, alpha)
        parts = {}
        for name, layer in find_layers(network, layers).items():
            down_shape, up_shape = shapes_for(layer, rank)
            down = nn.init.kaiming_uniform_(torch.empty(down_shape), a=5**0.5, generator=generator)
            parts[name] = LowRank(down, torch.zeros(up_shape)).to(layer.weight.device)
        return cls(parts, rank=rank, alpha=alpha, base=hash_of_networks((network,)))

    @property
    def scale(self) -> float:
        """What the product of the two matrices is multiplied by."""
        return self.alpha / self.rank

    def by_layer(self) -> dict[str, LowRank]:
        """The parts by the names of the network's layers."""
        return dict(zip(self.layers, self.parts, strict=True))

    def check_fit(self, network: nn.Module) -> None:
        """Raises InputError where it was made for another network or other weights, or holds what is no number."""
        layers = dict(network.named_modules())
        for name, part in self.by_layer().items():
            layer = layers.get(name)
            if layer is None or not _is_usable(layer):
                raise InputError(f"the adapter changes {name}, which this network has not; it was made for another.")
            found = tuple(part.down.shape), tuple(part.up.shape)
            if found != (expected := shapes_for(layer, self.rank)):
                raise InputError(
                    f"the adapter's matrices for {name} are {_times(found)}, expected {_times(expected)}; it was made "
                    "for another network."
                )
            if not all(bool(value.isfinite().all()) for value in (part.down, part.up)):
                raise InputError(f"the adapter holds values for {name} that are no numbers; fetch or train it again.")
        if self.base is not None and self.base != (found := hash_of_networks((network,))):
            raise InputError(
                f"the adapter was made for weights with the hash {self.base}, these have {found}; give the model that "
                "it was trained on."
            )

    def share_of(self, network: nn.Module) -> float:
        """Its numbers relative to those of the network, 0..1."""
        return _count(self) / _count(network)


class Adapters:
    """The adapters of one network, each with a weight: added to what its layers give, or merged into their weights.

    From here on the network is frozen: its parameters need no gradient, and what learns by counting (batch norms, a
    codebook) holds still even where somebody calls `train()`.
    """

    def __init__(self, network: nn.Module):
        self.network = network.requires_grad_(False).eval()
        self.members: list[tuple[Lora, float]] = []
        self._on = True
        self._layers: dict[str, nn.Module] = {}
        self._originals: dict[str, Tensor] = {}
        counting = (module for module in network.modules() if any(True for _ in module.buffers(recurse=False)))
        self._hooks = [module.register_forward_pre_hook(_hold_still) for module in counting]

    @property
    def merged(self) -> bool:
        """Whether the weights of the network hold the adapters now."""
        return bool(self._originals)

    def add(self, lora: Lora, weight: float = 1.0) -> Lora:
        """Puts another adapter to work beside those that are there.

        Raises InputError where it does not fit the network, and while others are merged into it.
        """
        if self.merged:
            raise InputError("adapters are merged into this network; unmerge() them before another is added.")
        lora.check_fit(self.network)
        if not isfinite(weight):
            raise InputError(f"an adapter's weight is {weight}; a number is expected, 1 for all of it.")
        for name in lora.layers:
            if name not in self._layers:
                layer = self._layers[name] = self.network.get_submodule(name)
                self._hooks.append(layer.register_forward_hook(partial(self._add_to, name)))
        self.members.append((lora.to(next(self.network.parameters()).device), weight))
        return lora

    def set_weight(self, lora: Lora, weight: float) -> None:
        """How strongly one of them acts from now on: 0 not at all, 1 as it was trained."""
        was_merged = self.merged
        self.unmerge()
        self.members = [(one, weight if one is lora else old) for one, old in self.members]
        if was_merged:
            self.merge()

    @torch.no_grad()
    def merge(self) -> nn.Module:
        """Writes them into the network's weights, so that they cost nothing; gives the network."""
        self.unmerge()
        for name, layer in self._layers.items():
            self._originals[name] = layer.weight.detach().clone()
            for part, factor in self._parts_for(name):
                layer.weight.add_(part.product(), alpha=factor)
        return self.network

    @torch.no_grad()
    def unmerge(self) -> nn.Module:
        """Takes them out again, to the last bit; gives the network."""
        while self._originals:
            name, weight = self._originals.popitem()
            self._layers[name].weight.copy_(weight)
        return self.network

    @contextmanager
    def off(self) -> Iterator[nn.Module]:
        """The network as it is without them, as long as the context lasts."""
        was_merged, was_on = self.merged, self._on
        self.unmerge()
        self._on = False
        try:
            yield self.network
        finally:
            self._on = was_on
            if was_merged:
                self.merge()

    def remove(self) -> nn.Module:
        """Takes them away for good; gives the network, still frozen."""
        self.unmerge()
        while self._hooks:
            self._hooks.pop().remove()
        self.members, self._layers = [], {}
        return self.network

    def _add_to(self, name: str, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if self._on and not self.merged:
            for part, factor in self._parts_for(name):
                output = output + factor * part(inputs[0], layer)
        return output

    def _parts_for(self, name: str) -> Iterator[tuple[LowRank, float]]:
        """What is added to one layer, and how much of it."""
        for lora, weight in self.members:
            if name in lora.layers:
                yield lora.parts[lora.layers.index(name)], lora.scale * weight


def find_layers(network: nn.Module, pattern: str = ALL) -> dict[str, nn.Module]:
    """Linear layers and 2-D convolutions by name: those that `pattern` names, in the network's order.

    A pattern is one or several names with * and ?, separated by commas: "decoder*,encoder_out". Raises InputError
    where one of them names no such layer.
    """
    usable = {name: layer for name, layer in network.named_modules() if name and _is_usable(layer)}
    wanted = [part.strip() for part in pattern.split(",")]
    for part in wanted:
        if not any(fnmatchcase(name, part) for name in usable):
            some = ", ".join(list(usable)[:4]) or "none at all"
            raise InputError(f"layers {part!r}: no linear layer or 2-D convolution of that name; there are {some}, ...")
    return {name: layer for name, layer in usable.items() if any(fnmatchcase(name, part) for part in wanted)}


def check_rank(rank: Any, alpha: Any) -> None:
    """Raises InputError for a rank that is no whole number above 0, and an alpha that is no positive number."""
    if type(rank) is not int or rank < 1:
        raise InputError(f"rank {rank!r}: an adapter needs a rank of at least 1; 4 to 16 are usual.")
    if type(alpha) not in (int, float) or not 0 < alpha < float("inf"):
        raise InputError(f"alpha {alpha!r}: a positive number is expected; twice the rank is usual.")


def shapes_for(layer: nn.Module, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of A, which has the layer's kernel, and of B, which has none."""
    out, *inner = layer.weight.shape
    return (rank, *inner), (out, rank, *(1 for _ in inner[1:]))


def _is_usable(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv2d):
        return layer.groups == 1 and layer.padding_mode == "zeros"
    return isinstance(layer, nn.Linear)


def _times(shapes: tuple[tuple[int, ...], ...]) -> str:
    return " and ".join("×".join(map(str, shape)) for shape in shapes)


def _hold_still(module: nn.Module, _inputs: tuple[Tensor, ...]) -> None:
    module.eval()


def _count(module: nn.Module) -> int:
    return sum(value.numel() for value in module.parameters())
