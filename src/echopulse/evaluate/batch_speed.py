"""How much video a model makes in a second, one clip at a time and many at once: what a GPU is for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

import torch

from echopulse.errors import InputError
from echopulse.model.generator import Conditions, Generator
from echopulse.model.precision import mixed_precision
from echopulse.model.sampling import USUAL, Sampling, denoiser, fill_in
from echopulse.model.tokenizer import Tokenizer
from echopulse.model.windows import AFTER_S, BEFORE_S, latent_times

REPEATS = 3


@torch.inference_mode()
def batch_speed(
    tokenizer: Tokenizer,
    generator: Generator,
    batches: Sequence[int],
    *,
    sampling: Sampling = USUAL,
    on_step: Callable[[float], None] = lambda _: None,
) -> dict[str, float]:
    """Seconds of video made per second, `batch.N` for every N of `batches`; medians of three after one to warm up.

    One window of each clip: its ECG encoded, all tokens but the first picture's filled in, decoded with grain if the
    tokenizer knows it. Reading and cleaning of ECGs and first pictures are not in it. A batch that the device has no
    memory for ends the series; InputError where that is the first.
    """
    found: dict[str, float] = {}
    for number, count in enumerate(batches):
        try:
            found[f"batch.{count}"] = _video_per_second(tokenizer, generator, count, sampling)
        except torch.OutOfMemoryError as error:
            if not found:
                raise InputError(f"--batch {count}: too many clips for this device's memory; ask for fewer.") from error
            break
        on_step((number + 1) / len(batches))
    return found


def _video_per_second(tokenizer: Tokenizer, generator: Generator, count: int, sampling: Sampling) -> float:
    config, device = generator.config, next(generator.parameters()).device
    draw = torch.Generator().manual_seed(0)
    heard = round((BEFORE_S + AFTER_S + (config.window - 1) * config.latent_seconds) * config.ecg.rate_hz) // 8 * 8
    ecg = (0.3 * torch.randn(count, 1, heard, generator=draw)).to(device)
    shape = (count, config.window, config.grid, config.grid)
    ids = torch.randint(2**config.bits, shape, generator=draw).to(device)
    hidden = torch.ones(*shape, config.groups, dtype=torch.bool, device=device)
    hidden[:, 0] = False
    times = latent_times(torch.arange(config.window, device=device))[None].expand(count, -1)
    nothing, far = (torch.zeros(count, dtype=kind, device=device) for kind in (torch.long, torch.bool))
    unknown = torch.full((count,), torch.nan, device=device)
    strength = config.usual_guidance if sampling.guidance is None else sampling.guidance
    seed = 0 if tokenizer.config.grain else None

    def make() -> torch.Tensor:
        with mixed_precision(device):
            memory = generator.encode_ecg(ecg, torch.full((count,), -BEFORE_S, device=device))
            conditions = Conditions(memory, ~far, unknown, nothing, unknown, unknown)
            made = fill_in(
                denoiser(generator, times, far), ids, hidden, conditions, groups=config.groups,
                group_bits=config.group_bits, guidance=strength, generator=draw, **sampling.passes,
            )  # fmt: skip
            return tokenizer.decode(made, seed)

    taken = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        frames = make().shape[1]
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - started)
    return count * frames / tokenizer.config.fps / median(taken[1:])
