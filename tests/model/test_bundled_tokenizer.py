"""The bundled tokenizer is, to the last bit, the network that its weights were trained in.

That network is written down here once more, as plain functions of the weights, so that options which are added to the
tokenizer cannot change what the default draws.
"""

import json
from dataclasses import asdict

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from echopulse.model.config import TokenizerConfig, config_from_dict
from echopulse.model.networks import load_network
from echopulse.pipeline import BUNDLED

# What a layer of the bundled network is, in order: blocks without and with time, a step down or up.
ENCODER = ("space", "space", "down", "time", "time", "down", "time", "time", "time")
DECODER = ("time", "time", "time", "up", "time", "time", "up", "space", "space")


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    state = {name: value.float() for name, value in load_file(BUNDLED / "tokenizer.safetensors").items()}
    return {name: value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value
            for name, value in state.items()}  # fmt: skip


def block(x: torch.Tensor, w: dict[str, torch.Tensor], name: str, latents: int, in_time: bool) -> torch.Tensor:
    inner = x * torch.rsqrt((x * x).mean(1, keepdim=True) + 1e-6) * w[f"{name}.norm.scale"]
    inner = F.silu(F.conv2d(F.silu(inner), w[f"{name}.space.weight"], w[f"{name}.space.bias"], padding=1))
    if in_time:
        frames = inner.unflatten(0, (-1, latents))
        every = torch.cat([frames[:, :1].expand(-1, 2, -1, -1, -1), frames], 1)
        inner = torch.cat([frames, every[:, 1:-1], every[:, :-2]], 2).flatten(0, 1)
        inner = inner.contiguous(memory_format=torch.channels_last)
    return x + F.conv2d(inner, w[f"{name}.time.weight"], w[f"{name}.time.bias"])


def run(x: torch.Tensor, w: dict[str, torch.Tensor], part: str, layers: tuple[str, ...], latents: int) -> torch.Tensor:
    for number, kind in enumerate(layers):
        name = f"{part}.{number}"
        if kind == "down":
            x = F.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], stride=2)
        elif kind == "up":
            x = F.pixel_shuffle(F.conv2d(x, w[f"{name}.0.weight"], w[f"{name}.0.bias"]), 2)
        else:
            x = block(x, w, name, latents, kind == "time")
    return x


def encode(pictures: torch.Tensor, w: dict[str, torch.Tensor]) -> torch.Tensor:
    """[b, 1 + 4k, 128, 128] → the signs' ids [b, k + 1, 8, 8]."""
    clip = torch.cat([pictures[:, :1].expand(-1, 3, -1, -1), pictures], 1)
    b, latents = len(clip), clip.shape[1] // 4
    x = F.pixel_unshuffle(clip.reshape(b * latents, 4, 128, 128) * 2 - 1, 4)
    x = x.contiguous(memory_format=torch.channels_last)
    x = F.conv2d(x, w["encoder_in.weight"], w["encoder_in.bias"], padding=1)
    x = run(x, w, "encoder", ENCODER, latents)
    x = F.conv2d(x, w["encoder_out.weight"], w["encoder_out.bias"])
    x = x.unflatten(0, (b, latents)).permute(0, 1, 3, 4, 2)
    normal = F.batch_norm(x.reshape(-1, 14), w["quantizer.norm.running_mean"], w["quantizer.norm.running_var"])
    return ((normal > 0).long() << torch.arange(14)).sum(-1).reshape(x.shape[:-1])


def decode(ids: torch.Tensor, w: dict[str, torch.Tensor]) -> torch.Tensor:
    codes = (ids[..., None] >> torch.arange(14) & 1).float() * 2 - 1
    x = codes.flatten(0, 1).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    x = F.conv2d(x, w["decoder_in.weight"], w["decoder_in.bias"], padding=1)
    x = F.silu(run(x, w, "decoder", DECODER, ids.shape[1]))
    x = F.pixel_shuffle(F.conv2d(x, w["decoder_out.weight"], w["decoder_out.bias"], padding=1), 4) * 0.5 + 0.5
    return x.unflatten(0, (-1, ids.shape[1])).flatten(1, 2)[:, 3:].clamp(0, 1)


@torch.inference_mode()
def test_tokens_and_pictures_are_those_of_the_network_written_down_here(weights):
    tokenizer = load_network(BUNDLED, "tokenizer")
    clip = torch.rand(2, 9, 128, 128, generator=torch.Generator().manual_seed(0))
    clip = F.avg_pool2d(clip, 5, 1, 2)  # noise alone leaves half of the bits at rest
    ids = tokenizer.encode(clip)
    assert ids.unique().numel() > 50 and torch.equal(ids, encode(clip, weights))
    pictures = tokenizer.decode(ids)
    assert float(pictures.std()) > 0.01 and torch.equal(pictures, decode(ids, weights))


def test_a_config_from_before_an_option_was_there_means_the_default():
    stored = json.loads((BUNDLED / "config.json").read_text())["tokenizer"]
    config = config_from_dict(TokenizerConfig, {name: stored[name] for name in ("size", "bits", "widths", "depths")})
    assert config == TokenizerConfig() and (config.patch, config.decoder, config.grid) == (16, "plain", 8)
    assert config_from_dict(TokenizerConfig, asdict(config)) == config
