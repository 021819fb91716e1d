"""How long the tokenizer takes, at once and in chunks, in each number type that the machine multiplies itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from statistics import median

import torch

from echopulse.model.precision import cpu_has_bfloat16
from echopulse.model.tokenizer import Tokenizer

SECONDS = 3.0
REPEATS = 3
CHUNK = 4  # latent frames: 0.64 s of video


@torch.inference_mode()
def coding_speed(tokenizer: Tokenizer, *, on_step: Callable[[float], None] = lambda _: None) -> dict[str, float]:
    """Medians of three after one to warm up, for `float32` and, where the device has it, `bfloat16`.

    `encode_s` of a clip of 3 s; `decode_s_per_s` and `decode_chunks_s_per_s` of a second of video; `chunk_s` to the
    first pictures where they come 4 latent frames at a time; `chunks_differ`, the largest difference of grey values in
    0..1 between decoding in chunks and at once. Pictures are decoded as they are shown: with grain, if it is known.
    """
    seed = 0 if tokenizer.config.grain else None
    config, device = tokenizer.config, next(tokenizer.parameters()).device
    frames = 1 + round(SECONDS * config.fps) // config.frames_per_latent * config.frames_per_latent
    pictures = torch.rand(1, frames, config.size, config.size, generator=torch.Generator().manual_seed(0)).to(device)
    ids = tokenizer.encode(pictures)
    chunks = ids.split(CHUNK, 1)
    ways = {
        "encode_s": (lambda: tokenizer.encode(pictures), 1.0),
        "decode_s_per_s": (lambda: tokenizer.decode(ids, seed), frames / config.fps),
        "decode_chunks_s_per_s": (lambda: list(tokenizer.decode_chunks(chunks, seed)), frames / config.fps),
        "chunk_s": (lambda: list(tokenizer.decode_chunks(chunks[:1], seed)), 1.0),
    }
    has_bfloat16 = cpu_has_bfloat16() if device.type == "cpu" else torch.cuda.is_bf16_supported()
    kinds = {"float32": nullcontext}
    if has_bfloat16:
        kinds["bfloat16"] = lambda: torch.autocast(device.type, torch.bfloat16)
    scores = {}
    for number, (kind, context) in enumerate(kinds.items()):
        for place, (name, (work, share)) in enumerate(ways.items()):
            with context():
                scores[f"{kind}.{name}"] = _seconds(work, device) / share
            on_step((number + (place + 1) / len(ways)) / len(kinds))
        with context():
            together = torch.cat(list(tokenizer.decode_chunks(chunks, seed)), 1)
            scores[f"{kind}.chunks_differ"] = float((together - tokenizer.decode(ids, seed)).abs().max())
    return scores


@torch.inference_mode()
def one_thread_decoding(tokenizer: Tokenizer) -> float:
    """Seconds on one thread of a CPU, in float32, that decoding a second of video takes."""
    config, threads = tokenizer.config, torch.get_num_threads()
    latents = config.latent_frames(round(SECONDS * config.fps))
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(config.codebook_size, (1, latents, config.grid, config.grid), generator=draw)
    torch.set_num_threads(1)
    try:
        taken = _seconds(lambda: tokenizer.decode(ids), torch.device("cpu"))
    finally:
        torch.set_num_threads(threads)
    return taken / ((1 + (latents - 1) * config.frames_per_latent) / config.fps)


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    taken = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - started)
    return median(taken[1:])
