"""Time in a clip: how alike neighbouring frames are, how fast pixels change, and what motion cannot explain.

Generated clips betray themselves here: they flicker (power above what a heart moves at), they freeze (no power at all),
or their texture is drawn anew in each frame instead of moving with the wall. Frames uint8 or float 0..1 [t, h, w]; a
sector bool [h, w] leaves out the black around it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from echopulse.errors import InputError

FLICKER_ABOVE_HZ = 8.0  # hearts at 180/min and the harmonics that carry their motion lie below
LEAST_FRAMES = 8
STILL = 1e-12  # grey squared; less power is rounding
REACH, BLOCK, SPACING = 4, 9, 4  # px: largest shift looked for, side of the blocks compared, from one to the next


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Power of the change in time: frequencies [k] in Hz from 0 to half the frame rate, power [k], one-sided."""

    frequencies_hz: np.ndarray
    power: np.ndarray

    def share_above(self, limit_hz: float) -> float:
        """Part of the power above a frequency, 0..1; 0 where nothing changes."""
        total = float(self.power.sum())
        return float(self.power[self.frequencies_hz > limit_hz].sum()) / total if total > STILL else 0.0


def frame_correlation(frames: np.ndarray, sector: np.ndarray | None = None, lag: int = 1) -> float:
    """Pearson's correlation of frames `lag` apart over the pixels of the sector, mean over all such pairs.

    NaN where a frame is even.
    """
    x = _pixels(frames, sector, lag + 1)
    x = x - x.mean(1, keepdims=True)
    sizes = np.sqrt((x**2).sum(1))
    if (sizes < 1e-9).any():
        return float("nan")
    x = x / sizes[:, None]
    return float((x[:-lag] * x[lag:]).sum(1).mean())


def pixel_spectrum(frames: np.ndarray, fps: float, sector: np.ndarray | None = None) -> Spectrum:
    """Power spectrum of every pixel's grey about its mean in time, mean over the sector's pixels.

    This is the Fourier transform of the frames' autocovariance (Wiener and Khinchin). Hann window, so that a clip's two
    ends, which do not meet, do not count as fast change.
    """
    return _spectrum(_pixels(frames, sector, LEAST_FRAMES), fps)


def brightness_spectrum(frames: np.ndarray, fps: float, sector: np.ndarray | None = None) -> Spectrum:
    """The same of the mean grey of the sector."""
    return _spectrum(_pixels(frames, sector, LEAST_FRAMES).mean(1, keepdims=True), fps)


def flicker(frames: np.ndarray, fps: float, sector: np.ndarray | None = None) -> float:
    """Share of the power of the sector's mean grey above 8 Hz, 0..1: the whole picture's brightness trembles."""
    if not fps > 2 * FLICKER_ABOVE_HZ:
        raise InputError(
            f"{fps:g} frames/s: flicker above {FLICKER_ABOVE_HZ:g} Hz shows only beyond {2 * FLICKER_ABOVE_HZ:g} "
            "frames/s; give clips with more frames a second."
        )
    return brightness_spectrum(frames, fps, sector).share_above(FLICKER_ABOVE_HZ)


def spectrum_distance(a: Spectrum, b: Spectrum) -> float:
    """Half the sum of absolute differences of two spectra scaled to a sum of 1: 0 where alike, 1 where disjoint.

    Spectra of clips of one length and rate. NaN where either clip stands still.
    """
    if a.frequencies_hz.shape != b.frequencies_hz.shape or not np.allclose(a.frequencies_hz, b.frequencies_hz):
        raise InputError("spectra of clips of different length or frame rate do not compare; cut them alike.")
    if min(a.power.sum(), b.power.sum()) <= STILL:
        return float("nan")
    return float(np.abs(a.power / a.power.sum() - b.power / b.power.sum()).sum() / 2)


def warping_error(
    frames: np.ndarray, displacement: np.ndarray | None = None, sector: np.ndarray | None = None, every: int = 1
) -> float:
    """Mean squared difference between each frame and the next one moved back (Lai et al. 2018), 0..1.

    `displacement` float [t - 1, h, w, 2] says where the tissue at each pixel goes from one frame to the next, px right
    and down; without one it is estimated by block matching, and the figure is what no local shift explains. What goes
    beyond the picture does not count. Only every `every`-th pair is looked at.
    """
    x = _unit(frames)
    if len(x) < 2:
        raise InputError(f"{len(x)} frame: a warping error needs at least 2.")
    starts = np.arange(0, len(x) - 1, every)
    if displacement is not None:
        expected = (len(x) - 1, *x.shape[1:], 2)
        if displacement.shape != expected:
            raise InputError(f"a displacement of shape {displacement.shape}: {expected} is expected for these frames.")
        flow = torch.from_numpy(np.ascontiguousarray(displacement[starts], np.float32))
    else:
        flow = match_blocks(x[starts], x[starts + 1])
    moved, seen = _move_back(torch.from_numpy(x[starts + 1]), flow)
    if sector is not None:
        seen = seen & torch.from_numpy(np.asarray(sector, bool))
    error = (moved - torch.from_numpy(x[starts])).square()
    return float(error[seen].double().mean()) if seen.any() else float("nan")


def match_blocks(before: np.ndarray, after: np.ndarray) -> torch.Tensor:
    """Whole-pixel shift of the 9 x 9 block around each pixel, at most 4 long: float32 [k, h, w, 2] px (right, down).

    Frames float [k, h, w]. The shift with the smallest mean squared difference; of equals the shortest, so that where
    nothing is to be seen nothing moves.
    """
    a, b = torch.from_numpy(before).float()[:, None], torch.from_numpy(after).float()[:, None]
    height, width = a.shape[-2:]
    wide = F.pad(b, (REACH,) * 4, mode="replicate")
    reach = range(-REACH, REACH + 1)
    near = ((x * x + y * y, x, y) for x in reach for y in reach if x * x + y * y <= REACH**2)
    shifts = torch.tensor(sorted(near))[:, 1:]
    best, found = torch.tensor(torch.inf), torch.tensor(0)
    for i, (right, down) in enumerate(shifts.tolist()):
        moved = wide[..., REACH + down : REACH + down + height, REACH + right : REACH + right + width]
        cost = F.avg_pool2d((moved - a).square(), BLOCK, SPACING, BLOCK // 2, count_include_pad=False)[:, 0]
        better = cost < best - 1e-9
        best, found = torch.where(better, cost, best), torch.where(better, i, found)
    rows, columns = ((torch.arange(n) + SPACING // 2) // SPACING for n in (height, width))
    rows, columns = rows.clamp(max=found.shape[1] - 1), columns.clamp(max=found.shape[2] - 1)
    return shifts[found][:, rows][:, :, columns].float()


def _move_back(after: torch.Tensor, flow: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Frames [k, h, w] read at p + flow(p), bilinear, and bool [k, h, w] where that lies in the picture."""
    height, width = after.shape[1:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    seen = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    grid = torch.stack([2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1], -1)
    moved = F.grid_sample(after.float()[:, None], grid, mode="bilinear", padding_mode="border", align_corners=True)
    return moved[:, 0], seen


def _spectrum(series: np.ndarray, fps: float) -> Spectrum:
    """Mean one-sided power of series [t, k] about their means."""
    window = np.hanning(len(series) + 2)[1:-1, None]
    mean = (series * window).sum(0) / window.sum()  # so that the window lets nothing of the mean through
    power = np.abs(np.fft.rfft((series - mean) * window, axis=0)) ** 2
    power[1 : (len(series) + 1) // 2] *= 2  # all but 0 and half the frame rate stand for two
    return Spectrum(np.fft.rfftfreq(len(series), 1 / fps), power.mean(1) / (window**2).sum() / len(series))


def _unit(frames: np.ndarray) -> np.ndarray:
    """float32 [t, h, w] in 0..1."""
    frames = np.asarray(frames)
    if frames.ndim != 3:
        raise ValueError(f"frames must be [t, h, w], got {frames.shape}")
    return frames.astype(np.float32) / 255 if frames.dtype == np.uint8 else frames.astype(np.float32)


def _pixels(frames: np.ndarray, sector: np.ndarray | None, least: int) -> np.ndarray:
    """The sector's pixels as float64 [t, k]."""
    x = _unit(frames)
    if len(x) < least:
        raise InputError(f"{len(x)} frames: at least {least} are needed here; give longer clips.")
    if sector is not None and not np.any(sector):
        raise InputError("the sector is empty: at least one pixel is needed.")
    x = x.reshape(len(x), -1) if sector is None else x[:, np.asarray(sector, bool)]
    return x.astype(np.float64)
