"""How good generated clips look and move, beside real ones: everything of this package in one set of figures.

The real and the generated clip of a pair show one heart, or there are no pairs and only distributions compare. FID-echo
and its like stand on the project's own features and bear that name; the bare names are kept for the user's networks.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch

from echopulse.errors import InputError
from echopulse.evaluate.features import WINDOW, EchoFeatures, on_grid
from echopulse.evaluate.keys import Figure
from echopulse.evaluate.metrics import as_published as older
from echopulse.evaluate.metrics import pixel, temporal
from echopulse.evaluate.metrics.distributions import FewSamples, coverage, frechet_distance, kernel_distance
from echopulse.evaluate.metrics.networks import FVD_FRAMES, Networks
from echopulse.evaluate.metrics.perceptual import lpips
from echopulse.evaluate.results import Results
from echopulse.evaluate.together import Counted, OnStep

LEAST_CLIPS = 8
SPARSE, FID_SPARSE = 8, 4  # neighbouring frames tell little more: SSIM, LPIPS and block matching; the user's FID
SETS = {"real": "real clips", "generated": "generated clips"}
PAIRS = "generated against real, pair by pair, inside the sector"


def _ms_ssim_name(scales: int) -> str:
    return "ms_ssim" if scales == len(pixel.SCALE_WEIGHTS) else f"ms_ssim_{scales}_scales"


FIGURES: dict[str, Figure] = {
    "quality.mse": Figure("", f"mean squared error, 0..1; {PAIRS}"),
    "quality.mae": Figure("", f"mean absolute error, 0..1; {PAIRS}"),
    "quality.psnr": Figure("dB", f"peak signal-to-noise ratio; {PAIRS}"),
    "quality.ssim": Figure("", f"structural similarity; {PAIRS}"),
    **{
        f"quality.{_ms_ssim_name(n)}": Figure("", f"structural similarity over {n} scales; {PAIRS}")
        for n in (5, 4, 3, 2)
    },
    "quality.lpips": Figure("", "LPIPS by the user's network, generated against real, pair by pair"),
    "quality.fid_echo": Figure("", "FID-echo: Fréchet distance of frames in the measurer's features; not comparable "
                                   "with any FID"),
    "quality.fid_echo.halves": Figure("", "FID-echo between two halves of the real clips: what chance makes of it"),
    "quality.kid_echo": Figure("", "KID-echo: kernel distance of the same features"),
    "quality.kid_echo.sd": Figure("", "its standard deviation over subsets"),
    "quality.fvd_echo": Figure("", "FVD-echo: Fréchet distance of windows of 16 frames at 25/s in the measurer's "
                                   "features; not comparable with any FVD"),
    "quality.fvd_echo.halves": Figure("", "FVD-echo between two halves of the real clips: what chance makes of it"),
    "quality.echo.precision": Figure("", "generated clips that lie among the real ones (measurer's features, k = 5)"),
    "quality.echo.recall": Figure("", "real clips that lie among the generated ones"),
    "quality.echo.density": Figure("", "how densely real clips surround the generated ones; about 1 if alike"),
    "quality.echo.coverage": Figure("", "real clips with a generated one nearby; about 0.97 if alike"),
    "quality.echo.hash": Figure("", "hash of the measurer's weights; figures of other hashes do not compare"),
    "quality.fid": Figure("", "FID by the user's Inception, every fourth frame"),
    "quality.kid": Figure("", "KID by the user's Inception"),
    "quality.kid.sd": Figure("", "its standard deviation over subsets"),
    **{f"quality.fvd_{n}": Figure("", f"FVD by the user's I3D, first {n} frames of every clip") for n in FVD_FRAMES},
    **{
        f"quality.{name}.{figure}": Figure("", f"{what}: {meaning}")
        for name, what in SETS.items()
        for figure, meaning in {
            "frame_correlation": "correlation of neighbouring frames inside the sector",
            "flicker": "share of the power of the mean grey above 8 Hz",
            "pixel_flicker": "share of the pixels' power above 8 Hz",
            "warping_error": "mean squared error that local shifts between frames leave unexplained",
        }.items()
    },
    "quality.spectrum_distance": Figure("", "how far the pixels' power spectra in time lie apart, 0..1"),
    "quality.spectrum_distance.halves": Figure("", "the same between two halves of the real clips"),
    **older.FIGURES,
}  # fmt: skip


def quality_scores(
    real: Sequence[np.ndarray],
    generated: Sequence[np.ndarray],
    features: EchoFeatures,
    fps: float,
    *,
    paired: bool = True,
    networks: Networks | None = None,
    as_published: bool = False,
    seed: int = 0,
    on_step: OnStep = lambda _: None,
) -> Results:
    """Every figure of `FIGURES` that the clips and networks allow, keys without "quality."; columns hold one per clip.

    Clips uint8 [t, h, w] at `fps`, at least 8 of either. `paired`: generated[i] shows the heart of real[i] and has its
    shape. `as_published` adds the older system's own scores (needs pairs). `on_step` gets the share done, 0..1.
    """
    networks = networks or Networks()
    _check(real, generated, paired or as_published)
    step = Counted(on_step, (2 + paired) * (len(real) + len(generated)))
    sectors = {name: [_sector(clip) for clip in clips] for name, clips in (("real", real), ("generated", generated))}
    scores: dict[str, float | str] = {}
    columns: dict[str, list[float]] = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FewSamples)
        echo = [[_echo(clip, features, fps, step) for clip in clips] for clips in (real, generated)]
        scores |= _echo_scores(*echo, seed) | {"echo.hash": features.hash}
        if paired:
            columns |= _pair_columns(real, generated, sectors["real"], networks, step)
        spectra = {}
        for name, clips in (("real", real), ("generated", generated)):
            found, spectra[name] = _temporal_columns(clips, sectors[name], fps, step)
            columns |= {f"{name}.{key}": values for key, values in found.items()}
        scores |= _spectra_scores(spectra["real"], spectra["generated"])
        scores |= _network_scores(real, generated, networks, seed)
    if as_published:
        frames = None if networks.inception is None else networks.inception.frames
        columns |= older.columns(real, generated, frames)
    for key, values in columns.items():
        known = [value for value in values if not np.isnan(value)]
        scores |= {key: float(np.mean(known)) if known else np.nan, f"{key}.n": len(known)}
        scores[f"{key}.missing"] = len(values) - len(known)
    about = {
        "features": {"network": "echo", "hash": features.hash, **(networks.hashes or {})},
        "remarks": sorted({str(one.message) for one in caught if issubclass(one.category, FewSamples)}),
    }
    on_step(1.0)
    return Results(scores, columns, about)


def _check(real: Sequence[np.ndarray], generated: Sequence[np.ndarray], paired: bool) -> None:
    for name, clips in (("real", real), ("generated", generated)):
        if len(clips) < LEAST_CLIPS:
            raise InputError(f"{len(clips)} {name} clips: quality needs at least {LEAST_CLIPS}; give more.")
        wrong = [i for i, clip in enumerate(clips) if clip.ndim != 3 or clip.dtype != np.uint8]
        if wrong:
            raise InputError(f"{name} clip {wrong[0]} is {clips[wrong[0]].dtype} {clips[wrong[0]].shape}: uint8 "
                             "[t, h, w] is expected.")  # fmt: skip
    if not paired:
        return
    if len(real) != len(generated):
        raise InputError(f"{len(real)} real and {len(generated)} generated clips: pairs need one for one; say "
                         "paired=False to compare the sets alone.")  # fmt: skip
    for i, (a, b) in enumerate(zip(real, generated, strict=True)):
        if a.shape != b.shape:
            raise InputError(f"pair {i}: real {a.shape}, generated {b.shape}; the same frames, height and width are "
                             "expected, cut and resize them or say paired=False.")  # fmt: skip


def _echo(clip: np.ndarray, features: EchoFeatures, fps: float, step: Counted) -> tuple[np.ndarray, np.ndarray]:
    """Frame features [t, d] on the grid of 25/s and window features [k, d'] of a clip."""
    kept, back = np.unique(on_grid(len(clip), fps), return_inverse=True)
    if len(back) < WINDOW:
        features.windows(clip, fps)  # says what is needed
    frames = features.frames(clip[kept])
    step()
    return frames, features.windows_of(frames[back])


def _echo_scores(real: list, generated: list, seed: int) -> dict[str, float]:
    frames = [np.concatenate([one[0] for one in pool]) for pool in (real, generated)]
    windows = [np.concatenate([one[1] for one in pool]) for pool in (real, generated)]
    clips = [np.stack([one[1].mean(0) for one in pool]) for pool in (real, generated)]
    kernel, shares = kernel_distance(*frames, seed=seed), coverage(*clips)
    return {
        "fid_echo": frechet_distance(*frames), "fid_echo.n": min(map(len, frames)),
        "fid_echo.halves": frechet_distance(*(np.concatenate([one[0] for one in real[i::2]]) for i in (0, 1))),
        "kid_echo": kernel.mean, "kid_echo.sd": kernel.sd, "kid_echo.n": kernel.size,
        "fvd_echo": frechet_distance(*windows), "fvd_echo.n": min(map(len, windows)),
        "fvd_echo.halves": frechet_distance(*(np.concatenate([one[1] for one in real[i::2]]) for i in (0, 1))),
        "echo.precision": shares.precision, "echo.recall": shares.recall, "echo.density": shares.density,
        "echo.coverage": shares.coverage, "echo.coverage.n": min(map(len, clips)),
    }  # fmt: skip


def _pair_columns(real, generated, sectors, networks: Networks, step: Counted) -> dict[str, list[float]]:
    side = min(real[0].shape[1:])
    scales = max((n for n in range(2, 6) if pixel.smallest_side(n) <= side), default=0)
    found: dict[str, list[float]] = {}
    for clip, made, sector in zip(real, generated, sectors, strict=True):
        x, y = (torch.from_numpy(np.ascontiguousarray(one)).float() / 255 for one in (clip, made))
        mask = None if sector is None else torch.from_numpy(sector)
        values = {"mse": pixel.mse(y, x, mask), "mae": pixel.mae(y, x, mask), "psnr": pixel.psnr(y, x, mask)}
        x, y = x[::SPARSE], y[::SPARSE]
        if side >= pixel.SSIM_WINDOW:
            values["ssim"] = pixel.ssim(y, x, mask)
        if scales:
            values[_ms_ssim_name(scales)] = pixel.ms_ssim(y, x, mask, scales)
        if networks.lpips is not None:
            values["lpips"] = lpips(networks.lpips, y, x)
        for key, value in values.items():
            found.setdefault(key, []).append(value)
        step(steps=2)
    return found


def _temporal_columns(clips, sectors, fps: float, step: Counted) -> tuple[dict[str, list[float]], list]:
    """Columns of the clips, and their spectra; without flicker where frames come too slowly to show it."""
    found: dict[str, list[float]] = {}
    spectra = []
    for clip, sector in zip(clips, sectors, strict=True):
        spectra.append(temporal.pixel_spectrum(clip, fps, sector))
        values = {"frame_correlation": temporal.frame_correlation(clip, sector)}
        if fps > 2 * temporal.FLICKER_ABOVE_HZ:
            values["flicker"] = temporal.flicker(clip, fps, sector)
            values["pixel_flicker"] = spectra[-1].share_above(temporal.FLICKER_ABOVE_HZ)
        values["warping_error"] = temporal.warping_error(clip, sector=sector, every=SPARSE)
        for key, value in values.items():
            found.setdefault(key, []).append(value)
        step()
    return found, spectra


def _spectra_scores(real: list, generated: list) -> dict[str, float]:
    """Distance of the mean spectra; nothing where the clips differ in length."""
    if len({len(one.power) for one in (*real, *generated)}) > 1:
        return {}

    def mean(spectra: list) -> temporal.Spectrum:
        return temporal.Spectrum(spectra[0].frequencies_hz, np.mean([one.power for one in spectra], 0))

    return {
        "spectrum_distance": temporal.spectrum_distance(mean(real), mean(generated)),
        "spectrum_distance.halves": temporal.spectrum_distance(mean(real[::2]), mean(real[1::2])),
    }


def _network_scores(real, generated, networks: Networks, seed: int) -> dict[str, float]:
    scores: dict[str, float] = {}
    if networks.inception is not None:
        frames = [
            np.concatenate([networks.inception.frames(clip[::FID_SPARSE]) for clip in clips])
            for clips in (real, generated)
        ]
        kernel = kernel_distance(*frames, seed=seed)
        scores |= {"fid": frechet_distance(*frames), "fid.n": min(map(len, frames))}
        scores |= {"kid": kernel.mean, "kid.sd": kernel.sd, "kid.n": kernel.size}
    if networks.i3d is not None:
        longest = min(len(clip) for clip in (*real, *generated))
        for length in FVD_FRAMES:
            if length <= longest or length == min(FVD_FRAMES):  # too short for the least: refused by the network
                pools = [networks.i3d.clips(clips, length) for clips in (real, generated)]
                scores |= {f"fvd_{length}": frechet_distance(*pools), f"fvd_{length}.n": min(map(len, pools))}
    return scores


def _sector(clip: np.ndarray) -> np.ndarray | None:
    from echopulse.echo.sector import find_sector

    return find_sector(clip)
