"""What a generator hears: which leads of a recording, at which rate, and how much of it around a window."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from echopulse.ecg import ECG
from echopulse.model.config import EcgEncoderConfig
from echopulse.model.ecg_config import EcgFounderConfig, StMemConfig
from echopulse.model.ecg_encoder import Memory
from echopulse.model.ecg_input import as_heard
from echopulse.model.generator import Generator
from echopulse.model.networks import device_of
from echopulse.model.precision import mixed_precision
from echopulse.model.windows import BEFORE_S, heard_seconds
from echopulse.phantom.rhythm.leads import LEADS, NOT_HEARD, lead_places, named_places

EcgConfig = EcgEncoderConfig | StMemConfig | EcgFounderConfig


def clearest_leads(ecg: ECG, config: EcgConfig) -> ECG:
    """What is heard of a cleaned ECG: its two clearest leads, or all that a published encoder knows by name."""
    from echopulse.ecg import signal_quality

    if config.kind != "own":
        known = [i for i, place in enumerate(lead_places(ecg.leads)) if place != NOT_HEARD]
        return replace(ecg, samples=ecg.samples[known], leads=tuple(ecg.leads[i] for i in known))
    if len(ecg.leads) <= 2:
        return ecg
    best = np.sort(np.argsort(signal_quality(ecg))[-2:])
    return replace(ecg, samples=ecg.samples[best], leads=tuple(ecg.leads[i] for i in best))


def leads_heard(ecg: ECG, config: EcgConfig) -> dict[str, str]:
    """Under "leads heard", which leads of a recording a published encoder hears, as which, and whether that is a guess.

    Empty for our own, which does not know one lead from another.
    """
    if config.kind == "own":
        return {}
    places = lead_places(ecg.leads)
    heard = [(name, LEADS[place]) for name, place in zip(ecg.leads, places, strict=True) if place != NOT_HEARD]
    words = ", ".join(lead if name == lead else f"{name} as {lead}" for name, lead in heard)
    if all(place == NOT_HEARD for place in named_places(ecg.leads)):
        words += ", a guess: none of these names is a lead's"
    if left := [name for name, place in zip(ecg.leads, places, strict=True) if place == NOT_HEARD]:
        words += f"; not {', '.join(left)}"
    return {"leads heard": words}


def prepare_ecg(ecg: ECG, config: EcgConfig) -> Tensor:
    """A cleaned ECG at the encoder's rate, float32 [l, n] mV: its two clearest leads.

    For a published encoder they are the twelve standard ones in their places, NaN where absent.
    """
    ecg = clearest_leads(ecg, config)
    samples = torch.from_numpy(np.ascontiguousarray(ecg.resampled(config.rate_hz).samples))
    return as_heard(samples, ecg.leads, config.kind)


@torch.inference_mode()
def hear(generator: Generator, ecg: Tensor | None, at_s: float, fps: float) -> Memory:
    """What the generator hears of an ECG ([l, n] mV; None: nothing) in a window that begins `at_s` into it.

    The window's pictures are at `fps` frames/s.
    """
    config, device = generator.config, device_of(generator)
    rate = config.ecg.rate_hz
    span = heard_seconds(config.window, fps=fps)
    length = int(round(span * rate)) // 8 * 8
    window = torch.full((1, 1 if ecg is None else len(ecg), length), torch.nan)
    first = int(round((at_s - BEFORE_S) * rate))
    if ecg is not None:
        low, high = max(first, 0), min(first + length, ecg.shape[1])
        if high > low:
            window[0, :, low - first : high - first] = ecg[:, low:high]
    start = torch.tensor([first / rate - at_s], device=device)
    with mixed_precision(device):
        return generator.encode_ecg(window.to(device), start)
