"""How fast examinations are made, and whether the same seed gives the same bytes wherever they are made."""

from __future__ import annotations

import hashlib
import time
from functools import partial

import torch

from echopulse.jobs import run_jobs
from echopulse.phantom.simulate import PhantomClips, simulate

CLIPS, FRAMES = 4, 65
ROUNDS = 3


def fingerprint(clips: PhantomClips) -> str:
    """A hash of the frames, the ECG, the labels and the volumes, byte by byte."""
    digest = hashlib.sha256()
    for tensor in (clips.frames, clips.ecg, clips.truth.labels, clips.truth.volume_ml):
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def fingerprint_of(seed: int) -> str:
    """The fingerprint of two short clips of every view."""
    return fingerprint(simulate(2, frames=4, seed=seed))


def timed(seed: int, device: str = "cpu", clips: int = CLIPS, rounds: int = ROUNDS) -> tuple[float, float, int]:
    """When the work began and ended (s of the system's clock) and how many frames were made, after one batch unseen."""
    simulate(clips, frames=FRAMES, seed=seed, device=device)
    _wait(device)
    started = time.time()
    for k in range(rounds):
        simulate(clips, frames=FRAMES, seed=seed + 1 + k, device=device)
    _wait(device)
    return started, time.time(), clips * rounds * FRAMES


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def frames_per_second(runs: list[tuple[float, float, int]]) -> float:
    """Frames of all processes together over the time from the first one's start to the last one's end."""
    return sum(frames for *_, frames in runs) / (max(stop for _, stop, _ in runs) - min(start for start, *_ in runs))


def timed_processes(workers: int, seed: int, device: str, clips: int, rounds: int) -> list[tuple[float, float, int]]:
    """`timed` in several single-thread processes side by side, each with seeds of its own."""
    seeds = [seed + 1000 * k for k in range(workers)]
    return run_jobs(partial(timed, device=device, clips=clips, rounds=rounds), seeds, workers=workers)


def speed_of_processes(workers: int, seed: int, rounds: int = ROUNDS) -> float:
    """Frames per second, end to end with ECG and truth at 128 x 128, of single-thread processes side by side."""
    return frames_per_second(timed_processes(workers, seed, "cpu", CLIPS, rounds))


def devices_differ(seed: int, device: str = "cuda") -> float:
    """The largest difference in grey values (0..255) between the same clips made on the CPU and on another device."""
    here, there = (simulate(2, frames=8, seed=seed, device=where).frames.cpu().int() for where in ("cpu", device))
    return float((here - there).abs().max())
