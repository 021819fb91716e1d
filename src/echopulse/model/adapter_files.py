"""Adapters on disk in PEFT's layout: adapter_model.safetensors beside adapter_config.json.

`peft` loads such a folder onto the same network, and folders that `peft` has written for our networks load here, as
long as they hold plain LoRA. What PEFT has no place for, the network's name and the hash of the weights that the
adapter was made for, stands in the header of the safetensors file.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from echopulse.errors import InputError
from echopulse.files import open_to_others, write_text
from echopulse.model.lora import Adapters, Lora, LowRank, check_rank

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
PREFIX = "base_model.model."
ENDINGS = {".lora_A.weight": "down", ".lora_B.weight": "up"}
# What PEFT can do besides; set to anything it would change what the matrices mean.
MORE_THAN_LORA = (
    "use_dora", "use_rslora", "use_qalora", "use_bdlora", "lora_bias", "rank_pattern", "alpha_pattern",
    "modules_to_save", "layer_replication", "fan_in_fan_out", "target_parameters", "trainable_token_indices",
    "alora_invocation_tokens", "arrow_config", "kasa_config", "velora_config", "monteclora_config",
)  # fmt: skip
USUAL_STARTS = (True, False, None, "gaussian")  # others begin by changing the network's own weights
AdapterSpec = str | Path | tuple[str | Path, float]


def save_adapter(lora: Lora, folder: Path, *, network: str, base_name: str | None = None) -> None:
    """The adapter of the network that a model folder calls `network`; `base_name` tells a reader which model."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, part in lora.by_layer().items():
        for ending, which in ENDINGS.items():
            tensors[f"{PREFIX}{name}{ending}"] = getattr(part, which).detach().float().cpu().contiguous()
    header = {"format": "pt", "network": network} | ({"base": lora.base} if lora.base else {})
    save_file(tensors, folder / WEIGHTS, metadata=header)
    open_to_others(folder / WEIGHTS)
    # As one expression, not a list: in a list PEFT takes "blocks.0" for the end of "encoder.blocks.0" too.
    targets = "|".join(re.escape(name) for name in lora.layers)
    config = {
        "peft_type": "LORA", "task_type": None, "base_model_name_or_path": base_name, "r": lora.rank,
        "lora_alpha": lora.alpha, "lora_dropout": 0.0, "target_modules": targets, "bias": "none",
        "fan_in_fan_out": False, "inference_mode": True,
    }  # fmt: skip
    write_text(json.dumps(config, indent=2) + "\n", folder / CONFIG)


def load_adapter(folder: str | Path, networks: Mapping[str, nn.Module]) -> tuple[str, Lora]:
    """The adapter in a folder, and which of `networks` (by their names in a model folder) it is for.

    Raises InputError, before anything is computed with it, where files are missing or damaged, where it is no plain
    LoRA, or where it does not fit: other layers or shapes, other weights than it was made for, or NaN.
    """
    folder = Path(folder)
    config = _read_config(folder / CONFIG)
    tensors, header = _read_tensors(folder / WEIGHTS)
    parts = _parts(tensors, folder / WEIGHTS)
    lora = Lora(parts, rank=config["r"], alpha=config["lora_alpha"], base=header.get("base"))
    name = header.get("network")
    if name is None:  # written by PEFT
        name = next((one for one, network in networks.items() if _has_layers(network, lora)), next(iter(networks)))
    if name not in networks:
        raise InputError(f"{folder}: an adapter of the {name}; only {' and '.join(networks)} can take one here.")
    try:
        lora.check_fit(networks[name])
    except InputError as error:
        raise InputError(f"{folder}: {error}") from error
    return name, lora


def attach(networks: Mapping[str, nn.Module], specs: Sequence[AdapterSpec]) -> dict[str, Adapters]:
    """Adapters from their folders, merged into the networks they are for; by the networks' names.

    A folder may come with a weight, ("look-b", 0.5): how strongly it acts. All are checked before one is merged.
    """
    found = []
    for spec in specs:
        folder, weight = spec if isinstance(spec, tuple) else (spec, 1.0)
        found.append((*load_adapter(folder, networks), float(weight)))
    attached: dict[str, Adapters] = {}
    for name, lora, weight in found:
        if name not in attached:
            attached[name] = Adapters(networks[name])
        attached[name].add(lora, weight)
    for adapters in attached.values():
        adapters.merge()
    return attached


def named_with(name: str, specs: Sequence[AdapterSpec]) -> str:
    """A model's name with those of its adapters behind it."""
    parts = []
    for spec in specs:
        folder, weight = spec if isinstance(spec, tuple) else (spec, 1.0)
        parts.append(Path(folder).name + ("" if weight == 1 else f":{weight:g}"))
    return " + ".join([name, *parts])


def parse_spec(text: str) -> AdapterSpec:
    """ "FOLDER" or "FOLDER:WEIGHT" from a command line. InputError for a weight that is no number."""
    folder, colon, weight = text.rpartition(":")
    if not colon or Path(text).exists():
        return Path(text)
    try:
        return Path(folder), float(weight)
    except ValueError as error:
        raise InputError(f"--adapter {text}: expected FOLDER or FOLDER:WEIGHT, such as look-b:0.5.") from error


def _read_config(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise InputError(f"{path}: no such file; an adapter's folder holds {CONFIG} and {WEIGHTS}.")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not JSON ({error}).") from error
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise InputError(f"{path}: says no peft_type LORA; other kinds of adapters are not understood.")
    unusual = [name for name in MORE_THAN_LORA if config.get(name)]
    unusual += ["bias"] * (config.get("bias", "none") != "none")
    unusual += ["init_lora_weights"] * (config.get("init_lora_weights") not in USUAL_STARTS)
    if unusual:
        found = json.dumps(config[unusual[0]])
        raise InputError(f"{path}: {unusual[0]} is {found}; only plain LoRA without it is understood.")
    try:
        check_rank(config.get("r"), config.get("lora_alpha"))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return config


def _read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.exists():
        raise InputError(f"{path}: no such file; an adapter's folder holds {CONFIG} and {WEIGHTS}.")
    try:
        with safe_open(path, "pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}
    except SafetensorError as error:
        raise InputError(f"{path}: not a whole safetensors file ({error}); fetch or train it again.") from error


def _parts(tensors: Mapping[str, Tensor], path: Path) -> dict[str, LowRank]:
    """Both matrices of every layer; InputError for a key that is none of theirs, and where one has no partner."""
    halves: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        ending = next((one for one in ENDINGS if key.endswith(one)), None)
        if ending is None or not key.startswith(PREFIX):
            raise InputError(f"{path}: holds {key}; expected are {PREFIX}LAYER.lora_A.weight and lora_B alone.")
        halves.setdefault(key.removeprefix(PREFIX).removesuffix(ending), {})[ENDINGS[ending]] = value.float()
    if single := [name for name, found in halves.items() if len(found) < 2]:
        raise InputError(f"{path}: one of the two matrices for {single[0]} is missing; fetch or train it again.")
    if not halves:
        raise InputError(f"{path}: holds no weights; fetch or train it again.")
    return {name: LowRank(**found) for name, found in halves.items()}


def _has_layers(network: nn.Module, lora: Lora) -> bool:
    return set(lora.layers) <= {name for name, _ in network.named_modules()}
