"""Samples that carry their times become samples of a steady clock; whatever was mended is told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PAUSE = 2.5  # a step of more than so many usual steps is a pause
DAY_S = 86400.0


@dataclass(frozen=True)
class Steady:
    """Samples [leads, n] at `rate_hz` on a steady clock, NaN in pauses, and what was done, None where nothing was."""

    samples: np.ndarray
    rate_hz: float
    told: str | None = None


def steady(times: np.ndarray, samples: np.ndarray) -> Steady | None:
    """What samples [leads, n] are whose `times` [n], in seconds, may jitter, pause, repeat or be rounded.

    Rounded and repeated stamps are those of a steady clock; a clock that really wanders by more than three quarters of
    a step is resampled (shape-preserving cubic), pauses become gaps, and where they take more than half of the
    recording its longest part is kept. None where the times tell no rate.
    """
    known = np.isfinite(times)
    times, samples, told = times[known], samples[:, known], []
    if len(times) < 3:
        return None
    wrapped = np.concatenate([[False], np.diff(times) < -DAY_S / 2])
    if 0 < wrapped.sum() < 16 and np.ptp(times) <= DAY_S:  # times of day, past midnight
        times = times + DAY_S * np.cumsum(wrapped)
    if np.any(np.diff(times) < 0):
        order = np.argsort(times, kind="stable")
        times, samples = times[order], samples[:, order]
        told.append("rows that were not in the order of their times were sorted")
    steps = np.diff(times)
    if not (times[-1] > times[0]):
        return None
    if np.mean(steps == 0) > 0.3:
        told.append("several samples share a time; taken as evenly spread between the first and the last")
        return Steady(samples, _whole((len(times) - 1) / (times[-1] - times[0]), len(times)), "; ".join(told))
    usual = float(np.median(steps[steps > 0]))
    paused = steps > PAUSE * usual
    if paused.any() and steps[paused].sum() > 0.5 * (times[-1] - times[0]):
        edges = np.concatenate([[0], np.flatnonzero(paused) + 1, [len(times)]])
        longest = int(np.argmax(np.diff(edges)))
        part = slice(edges[longest], edges[longest + 1])
        told.append(f"the clock pauses for {steps[paused].sum():.3g} s in all; only the longest part is read")
        times, samples = times[part], samples[:, part]
        steps = np.diff(times)
        paused = steps > PAUSE * usual
        if len(times) < 3 or not times[-1] > times[0]:
            return None
    step = float(np.mean(steps[~paused]))
    rate = _whole(1.0 / step, len(times))
    part = np.concatenate([[0], np.cumsum(paused)])
    wander = _wander(times, part, step)
    if wander <= 0.75 * step and not paused.any():
        return Steady(samples, rate, "; ".join(told) or None)
    if wander > 0.75 * step:
        told.append(
            f"the clock's steps vary from {1e3 * steps[~paused].min():.3g} to {1e3 * steps[~paused].max():.3g} ms; "
            f"resampled to a steady {rate:.5g} Hz"
        )
    if paused.any():
        told.append(f"{paused.sum()} pause(s) of the clock, {steps[paused].sum():.3g} s in all, are gaps")
    return Steady(_on_a_grid(times, samples, rate, PAUSE * usual), rate, "; ".join(told))


def _whole(rate_hz: float, count: int) -> float:
    """A rate that is a whole number but for the rounding of the times, as that number: over all `count` samples the two
    lie no more than about half a sample apart."""
    near = round(rate_hz)
    off = abs(rate_hz / near - 1) if near else 1.0
    return float(near) if off < 5e-4 and off * count < 0.6 else rate_hz


def _wander(times: np.ndarray, part: np.ndarray, step: float) -> float:
    """How far, at most, the clock strays from a steady one within its parts, in seconds."""
    index = np.arange(len(times))
    off = times - step * index
    most = 0.0
    for number in range(min(part[-1] + 1, 1000)):
        within = off[part == number] if part[-1] else off
        most = max(most, float(np.max(np.abs(within - np.median(within))))) if len(within) else most
    return most


def _on_a_grid(times: np.ndarray, samples: np.ndarray, rate: float, longest: float) -> np.ndarray:
    """[leads, m] of samples [leads, n] at steady times, NaN where the neighbours in time lie farther apart."""
    from scipy.interpolate import PchipInterpolator

    grid = times[0] + np.arange(int(np.floor((times[-1] - times[0]) * rate + 1e-6)) + 1) / rate
    out = np.full((len(samples), len(grid)), np.nan)
    for row, old in zip(out, samples, strict=True):
        good = np.isfinite(old) & np.concatenate([[True], np.diff(times) > 0])
        at = times[good]
        if len(at) < 2:
            continue
        after = np.clip(np.searchsorted(at, grid, side="left"), 1, len(at) - 1)
        near = (at[after] - at[after - 1] <= longest) & (grid >= at[0] - 0.5 / rate) & (grid <= at[-1] + 0.5 / rate)
        row[near] = PchipInterpolator(at, old[good])(np.clip(grid[near], at[0], at[-1]))
    return out
