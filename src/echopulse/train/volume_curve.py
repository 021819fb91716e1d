"""The recipe of the curve of volumes: what a trained segmenter sees in a bank, once, and a small network on it.

The segmenter stays as it is. Looking at every clip takes most of the time, so what was seen is kept on disk under a
name that its pictures and the weights determine: a run that was killed goes on where it was, and a bank that has grown
costs what has come.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from echopulse.data import Bank
from echopulse.errors import InputError
from echopulse.measure.learning import degrade, place_elsewhere
from echopulse.measure.segmenter import Segmenter, neighbours
from echopulse.measure.volume_curve import CurveHead, curve_loss
from echopulse.model.checkpoint import hash_of_networks
from echopulse.model.precision import mixed_precision
from echopulse.phantom.types import APICAL_VIEWS
from echopulse.train.kept import made_once
from echopulse.train.loop import Run, Settings
from echopulse.train.measurer import log_pixel_volumes

VERSIONS = 3  # of every clip: as it is, and worse and framed otherwise
CLIPS_AT_ONCE = 16  # of one file
FRAMES_AT_ONCE = 32
FRAMES_FOR_SCALE = 20_000
LOOKING = 0.8  # of the time goes into looking at the clips
WHOLE = 0.4  # of the batches show clips with all their frames, the others some of them
HIDDEN = 0.1  # of the features of a clip are left out, others in every clip


@dataclass(frozen=True)
class Looks:
    """What a segmenter sees in n apical clips of t frames, in v versions of each.

    Attributes:
        seen: float16 [n, v, t, d], what `Segmenter.look` gives.
        alone: float32 [n, v, t], log volumes in cubed pixels that the volume head reads frame by frame.
        truth: float32 [n, v, t], the true ones.
        times_s: float32 [t].
    """

    seen: Tensor
    alone: Tensor
    truth: Tensor
    times_s: Tensor

    def __len__(self) -> int:
        return len(self.seen)


def train_curve_head(
    segmenter: Segmenter,
    layers: int,
    bank: Bank,
    held_out: Bank,
    run: Path,
    settings: Settings,
    *,
    batch: int = 32,
    resume: bool = False,
    on_progress: Callable[[float], None] | None = None,
) -> tuple[Segmenter, dict[str, float]]:
    """The segmenter with a trained curve head of so many layers, and the last scores; all else of it stays as it is.

    Raises InputError for a bank without apical views, in which volumes are read.
    """
    tell = on_progress or (lambda _: None)
    for one in (bank, held_out):
        if not shows_apical_views(one):
            raise InputError(f"{one.folder}: no clip shows one of {', '.join(APICAL_VIEWS)}, where volumes are read.")
    grown = with_curve_head(segmenter, layers, settings.seed)
    folder = run / "looks"
    looks = look_at_bank(grown, bank, folder, seed=settings.seed, on_progress=lambda share: tell(LOOKING * share))
    judged = look_at_bank(grown, held_out, folder, versions=1, seed=settings.seed)
    training = Run(VolumeCurveTask(grown.curve_head, looks, judged, batch=batch), settings, run, resume=resume)
    scores = training.train(lambda step, progress, scalars: tell(LOOKING + (1 - LOOKING) * progress))
    training.averaged_model()
    return grown, scores


def shows_apical_views(bank: Bank) -> bool:
    """Whether there are clips in which a volume can be read."""
    return bool((bank.view < len(APICAL_VIEWS)).any())


def with_curve_head(segmenter: Segmenter, layers: int, seed: int = 0) -> Segmenter:
    """The same network with a new curve head of so many layers, in place of one that it may have had."""
    torch.manual_seed(seed)
    grown = Segmenter(replace(segmenter.config, sequence=layers))
    grown.load_state_dict({**grown.state_dict(), **_all_but_the_curve(segmenter)})
    return grown.to(segmenter.head.weight.device, memory_format=torch.channels_last).eval()


def without_curve_head(segmenter: Segmenter) -> Segmenter:
    """The same network, reading every frame by itself."""
    plain = Segmenter(replace(segmenter.config, sequence=0))
    plain.load_state_dict(_all_but_the_curve(segmenter))
    return plain.to(segmenter.head.weight.device).eval()


def _all_but_the_curve(segmenter: Segmenter) -> dict[str, Tensor]:
    return {name: value for name, value in segmenter.state_dict().items() if not name.startswith("curve_head.")}


@torch.inference_mode()
def look_at_bank(
    segmenter: Segmenter,
    bank: Bank,
    folder: Path,
    *,
    versions: int = VERSIONS,
    seed: int = 0,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Looks:
    """Looks at every apical clip of a bank; the first version is the clip as it is. Files in `folder` are kept."""
    parts = [segmenter.down, segmenter.up, segmenter.head, segmenter.volume_head]
    made_by = f"{hash_of_networks(parts)} {replace(segmenter.config, sequence=0)} {bank.fps} {versions} {seed}"
    rows = torch.nonzero(bank.view < len(APICAL_VIEWS))[:, 0]
    pieces = rows.split(CLIPS_AT_ONCE) if len(rows) else ()
    found = []
    for number, piece in enumerate(pieces):
        frames = bank.frames[piece]
        found.append(
            made_once(
                folder, made_by.encode() + frames.numpy().tobytes(),
                lambda draw, frames=frames: _look_at_clips(segmenter, frames, bank.fps, versions, draw),
            )
        )  # fmt: skip
        on_progress((number + 1) / len(pieces))
    times = torch.arange(bank.frames.shape[1])
    seen, alone, log_grown = (torch.cat([one[key] for one in found]) for key in ("seen", "alone", "log_grown"))
    truth = log_pixel_volumes(bank, rows, times[None].expand(len(rows), -1))[:, None] + 3 * log_grown[..., None]
    return Looks(seen, alone, truth, times / bank.fps)


def _look_at_clips(
    segmenter: Segmenter, frames: Tensor, fps: float, versions: int, draw: torch.Generator
) -> dict[str, Tensor]:
    """Frames uint8 [b, t, h, w] -> seen [b, v, t, d], alone [b, v, t] and log_grown [b, v]."""
    plain = frames.float() / 255
    looks, log_grown = [], []
    for version in range(versions):
        shown, grown = plain, torch.ones(len(frames))
        if version:
            shown, _, grown = place_elsewhere(plain, frames[:, :1], draw)
            shown = degrade(shown, draw)
        looks.append(look_at(segmenter, shown, fps))
        log_grown.append(grown.log())
    seen, alone = (torch.stack(values, 1) for values in zip(*looks, strict=True))
    return {"seen": seen.half(), "alone": alone, "log_grown": torch.stack(log_grown, 1)}


def look_at(segmenter: Segmenter, frames: Tensor, fps: float) -> tuple[Tensor, Tensor]:
    """What `Segmenter.look` gives of every frame of clips, float [b, t, h, w] in 0..1: [b, t, d] and [b, t]."""
    b, t = frames.shape[:2]
    around = torch.from_numpy(neighbours(t, torch.arange(t).numpy() / fps, segmenter.config.context_s))
    device = segmenter.head.weight.device
    seen, alone = [], []
    for some in torch.arange(b * t).split(FRAMES_AT_ONCE):
        pictures = frames[(some // t)[:, None], around[some % t]].to(device)
        with mixed_precision(device):
            levels = segmenter.encode(pictures.contiguous(memory_format=torch.channels_last))
            features = segmenter.ascend(levels)
            look = segmenter.look(levels, features, segmenter.outline(features).float())
        seen.append(look[0].float().cpu())
        alone.append(look[1].float().cpu())
    return torch.cat(seen).unflatten(0, (b, t)), torch.cat(alone).unflatten(0, (b, t))


class VolumeCurveTask:
    """Clips with all or some of their frames; the network that corrects their volumes. All else stands still."""

    name = "volumes"

    def __init__(self, head: CurveHead, looks: Looks, held_out: Looks, *, batch: int = 32):
        self.model, self.looks, self.held_out, self.batch = head, looks, held_out, batch
        seen, alone = looks.seen.flatten(0, 2), looks.alone.flatten()
        some = torch.arange(0, len(seen), max(1, len(seen) // FRAMES_FOR_SCALE))
        head.set_scale(seen[some].float(), alone[some])

    def on_progress(self, progress: float, step: int) -> None:
        """Nothing changes on the way."""

    def loss(self, seed: int) -> tuple[Tensor, dict[str, float]]:
        draw = torch.Generator().manual_seed(seed)
        rows = torch.randint(len(self.looks), (self.batch, 1), generator=draw)
        version = torch.randint(self.looks.seen.shape[1], (self.batch, 1), generator=draw)
        frames = draw_frames(self.batch, len(self.looks.times_s), draw)
        seen = self.looks.seen[rows, version, frames].float()
        keep = torch.rand(self.batch, 1, seen.shape[-1], generator=draw) >= HIDDEN
        seen = torch.where(keep, seen, self.model.centre[:-1].cpu())
        alone, truth = (value[rows, version, frames] for value in (self.looks.alone, self.looks.truth))
        device = self.model.centre.device
        read = self.model(seen.to(device), alone.to(device), self.looks.times_s[frames].to(device))
        return curve_loss(read, truth.to(device)), {"frames": float(frames.shape[1])}

    def evaluate(self, model: CurveHead) -> dict[str, float]:
        """Errors of the EF from the truly fullest to the truly emptiest frame of held-out clips as they are."""
        looks, device = self.held_out, model.centre.device
        seen, alone = looks.seen[:, 0].float().to(device), looks.alone[:, 0].to(device)
        read = model(seen, alone, looks.times_s.to(device).expand(len(looks), -1)).cpu()
        return ef_scores(read, looks.truth[:, 0]) | {"ef_error_alone": float(
            ef_scores(alone.cpu(), looks.truth[:, 0])["ef_error"])}  # fmt: skip

    def pictures(self, model: CurveHead) -> None:
        """There is nothing to look at."""


def draw_frames(batch: int, t: int, draw: torch.Generator) -> Tensor:
    """Which frames of clips of t frames are shown, int64 [batch, k], k alike in all, increasing.

    All of them, a stretch, or any: so it learns clips of any length and rate, frames that are missing, and one alone.
    """
    kind, share = torch.rand(2, generator=draw).tolist()
    if kind < WHOLE:
        return torch.arange(t).expand(batch, -1)
    k = 1 + int(share * t)
    if kind < (1 + WHOLE) / 2:
        return torch.randint(t - k + 1, (batch, 1), generator=draw) + torch.arange(k)
    return torch.rand(batch, t, generator=draw).argsort(1)[:, :k].sort(1).values


def ef_scores(log_volume: Tensor, truth_log: Tensor) -> dict[str, float]:
    """Mean and median absolute error and R² of 1 - emptiest/fullest, at the truly fullest and emptiest of [n, t]."""
    full, empty = truth_log.argmax(1, keepdim=True), truth_log.argmin(1, keepdim=True)
    read, true = (1 - (v.gather(1, empty) - v.gather(1, full)).exp()[:, 0] for v in (log_volume, truth_log))
    off = read - true
    return {
        "ef_error": float(off.abs().mean()), "ef_error_median": float(off.abs().median()),
        "ef_r2": float(1 - off.square().mean() / true.var(unbiased=False)),
    }  # fmt: skip
