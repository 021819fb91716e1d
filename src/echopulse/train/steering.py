"""The recipe of what steers the EF: a bank's pictures and tokens, looked at once, and two small networks on them.

Looking takes most of the time, so what was seen is kept in the run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from echopulse.data import Bank
from echopulse.errors import InputError
from echopulse.measure.ef_by_ecg import ef_by_ecg
from echopulse.measure.expected_ef import ExpectedEf, features_of, look_at_pictures
from echopulse.measure.learning import degrade
from echopulse.measure.segmenter import Segmenter, load_segmenter
from echopulse.measure.steering import Steering, SteeringConfig
from echopulse.measure.volume_curve import curve_loss
from echopulse.model.checkpoint import hash_of_networks, load_config, save_config, save_weights
from echopulse.model.generator import Generator
from echopulse.model.networks import load_network
from echopulse.model.precision import mixed_precision
from echopulse.model.tokenizer import Tokenizer
from echopulse.model.types import ids_to_bits
from echopulse.model.windows import latent_times
from echopulse.train.banks import check_ecg_rate, check_rate
from echopulse.train.ecg_encoder import by_name, ecg_windows
from echopulse.train.generator import STANDING, check_views
from echopulse.train.kept import made_once
from echopulse.train.loop import Run
from echopulse.train.measurer import log_pixel_volumes
from echopulse.train.settings import BATCH, SETTINGS
from echopulse.train.sources import load_simulated, workers
from echopulse.train.tokens import TokenCache

MOMENTS = 6  # pictures of every clip, each with its ECG; the first as it is, the later half made worse
CLIPS_AT_ONCE = 16
WITHHELD = 0.3  # of the features, others in every step
BLANK = 0.3  # of the tokens at most
WHOLE = 0.5  # of the batches show all tokens of their clips, the others those of one window
NOISES = (0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3)  # of a log volume, from which the best is chosen at last


@dataclass(frozen=True)
class Moments:
    """What is seen at m moments of n clips: features [n, m, d], log volume and fullness by the ECG [n, m]."""

    features: Tensor
    log_volume: Tensor
    fullness: Tensor


class SteeringTask:
    """Both readers on a bank: the EF of a clip from one of its pictures, and its volumes from its tokens."""

    name = "steering"

    def __init__(
        self,
        generator: Generator,
        segmenter: Segmenter,
        tokenizer: Tokenizer,
        bank: Bank,
        held_out: Bank,
        *,
        kept: Path,
        batch: int = 64,
        device: str = "cpu",
        seed: int = 0,
        workers: int = 1,
        on_encoded: Callable[[float], None] = lambda _: None,
    ):
        torch.manual_seed(seed)
        if not segmenter.config.volumes:
            raise InputError("train steering: a measurer that reads volumes is needed; train one on labelled clips.")
        self.generator, self.segmenter = generator.to(device).eval(), segmenter.to(device).eval()
        self.bank, self.held_out, self.batch, self.device = bank, held_out, batch, device
        looking = {"generator": self.generator, "segmenter": self.segmenter, "seed": seed}
        self.seen = look_at_moments(
            bank, kept / "looks", moments=MOMENTS, **looking, on_progress=lambda share: on_encoded(share / 2)
        )
        self.judged = look_at_moments(held_out, kept / "looks", moments=2, changed=False, **looking)
        self.tokens = TokenCache(
            tokenizer, bank, device=device, seed=seed, kept=kept / "tokens" / "0", workers=workers,
            on_encoded=lambda share: on_encoded((1 + share) / 2),
        )  # fmt: skip
        self.judged_tokens = TokenCache(tokenizer, held_out, versions=1, device=device)
        self.ef = [usual_ef(one) for one in (bank, held_out)]
        read = generator.config
        config = SteeringConfig(self.seen.features.shape[-1], read.bits, read.grid, fps=bank.fps)
        self.model = Steering(config).to(device)
        self.model.expectation.set_scale(self.seen.features.flatten(0, 1).to(device))

    def on_progress(self, progress: float, step: int) -> None:
        """Nothing changes on the way."""

    def loss(self, seed: int) -> tuple[Tensor, dict[str, float]]:
        draw = torch.Generator().manual_seed(seed)
        rows = torch.randint(len(self.bank), (self.batch,), generator=draw)
        moments = torch.randint(self.seen.features.shape[1], (self.batch,), generator=draw)
        mean, sd = self.model.expectation.members(self.seen.features[rows, moments].to(self.device), WITHHELD)
        expected = (sd.log() + (self.ef[0][rows].to(self.device) - mean).square() / (2 * sd.square())).mean()
        latents = self.tokens.ids.shape[2]
        whole = bool(torch.rand((), generator=draw) < WHOLE)
        length = latents if whole else min(latents, self.generator.config.window - 1)
        first = torch.randint(latents - length + 1, (self.batch, 1), generator=draw) if not whole else 0
        index = first + torch.arange(length).expand(self.batch, -1)
        version = torch.randint(self.tokens.versions, (self.batch, 1), generator=draw)
        read, frames = self._volumes(self.model, self.tokens.ids[rows[:, None], version, index], index, draw)
        curve = curve_loss(read, log_pixel_volumes(self.bank, rows, frames).to(self.device))
        return expected + curve, {"expected": float(expected.detach()), "curve": float(curve.detach())}

    def _volumes(
        self, model: Steering, ids: Tensor, index: Tensor, draw: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Log volumes [b, n] read of tokens [b, t', h, w] of latent frames [b, t'], and the frames [b, n] they are of.

        Where every row begins with a clip's first latent frame, that is one picture; where some do, it is left out.
        With `draw` some tokens are withheld, up to `BLANK` of them.
        """
        codes = ids_to_bits(ids.long(), model.config.bits)
        if draw is not None:
            share = BLANK * torch.rand(len(ids), 1, 1, 1, generator=draw)
            codes = codes * (torch.rand(ids.shape, generator=draw) >= share)[..., None]
        per, fps = model.config.frames, self.bank.fps
        times = latent_times(index, per, fps).to(self.device)
        read = model.volumes(codes.to(self.device), times).flatten(1)
        frames = (per * index[..., None] - per + 1 + torch.arange(per)).flatten(1)
        skipped = per - 1 if bool((index[:, 0] == 0).all()) else per if bool((index[:, 0] == 0).any()) else 0
        return read[:, skipped:], frames[:, skipped:]

    def evaluate(self, model: Steering) -> dict[str, float]:
        """Errors on held-out clips of what is expected, of what two pictures tell, and of what tokens tell."""
        true = self.ef[1]
        expected = model.expectation(self.judged.features[:, 0].to(self.device))
        told = ef_by_ecg(self.judged.log_volume, self.judged.fullness, float(model.picture_noise), on_cpu(expected))
        read, full = self.held_out_volumes(model)
        seen = ef_by_ecg(read, full, float(model.token_noise))
        within = ((expected.mean.cpu() - true).abs() < expected.sd.cpu()).float().mean()
        return (
            _errors("expected", expected.mean.cpu(), true) | {"expected_within_sd": float(within)}
            | _errors("two_pictures", told.mean, true) | _errors("tokens", seen.mean, true)
        )  # fmt: skip

    def held_out_volumes(self, model: Steering) -> tuple[Tensor, Tensor]:
        """Log volumes read of the held-out clips' tokens, and how full the ECG says that the ventricle is, [n, t]."""
        ids = self.judged_tokens.ids[:, 0]
        rows, index = torch.arange(len(ids)), torch.arange(ids.shape[1]).expand(len(ids), -1)
        read, frames = self._volumes(model, ids, index)
        return read.float().cpu(), fullness(self.generator, self.held_out, rows, frames)

    def settle(self, model: Steering) -> None:
        """Chooses how much each volume is believed: what errs least on the held-out clips."""
        true = self.ef[1]
        expected = on_cpu(model.expectation(self.judged.features[:, 0].to(self.device)))
        read, full = self.held_out_volumes(model)
        model.token_noise.fill_(_best(lambda noise: ef_by_ecg(read, full, noise), true))
        pictures = self.judged.log_volume, self.judged.fullness
        model.picture_noise.fill_(_best(lambda noise: ef_by_ecg(*pictures, noise, expected), true))

    def pictures(self, model: Steering) -> None:
        """There is nothing to look at."""


def usual_ef(bank: Bank) -> Tensor:
    """What an EF is to be expected, [n]: that of the beats, and 0 of hearts that stand still."""
    return torch.where(bank.rhythm == STANDING, torch.zeros_like(bank.ef), bank.ef)


def on_cpu(expected: ExpectedEf) -> ExpectedEf:
    """The same, where it can be added up with what is kept in memory."""
    return ExpectedEf(expected.mean.cpu(), expected.sd.cpu())


@torch.inference_mode()
def look_at_moments(
    bank: Bank, folder: Path, *, generator: Generator, segmenter: Segmenter, moments: int, changed: bool = True,
    seed: int = 0, on_progress: Callable[[float], None] = lambda _: None,
) -> Moments:  # fmt: skip
    """Looks at so many moments of every clip, drawn by chance; what is seen is kept in `folder`, not what is heard.

    With `changed` all but the first have their ECG changed as in training, and the later half of the pictures too.
    """
    made_by = f"{hash_of_networks([segmenter])} {moments} {changed} {seed} {generator.config.window}"
    draw, found, pieces = torch.Generator().manual_seed(seed), [], torch.arange(len(bank)).split(CLIPS_AT_ONCE)
    for number, rows in enumerate(pieces):
        key = made_by.encode() + bank.frames[rows].numpy().tobytes()
        looks = made_once(folder, key, lambda draw, rows=rows: _look(
            bank.frames[rows], generator.config.window, segmenter, moments, changed, draw))  # fmt: skip
        found.append(_hear(bank, rows, looks, generator, changed, draw))
        on_progress((number + 1) / len(pieces))
    return Moments(*(torch.cat(values) for values in zip(*found, strict=True)))


def _look(
    frames: Tensor, window: int, segmenter: Segmenter, moments: int, changed: bool, draw: torch.Generator
) -> dict[str, Tensor]:
    """Of clips uint8 [b, t, h, w] what is `seen` [b, m, d], `log_volume` [b, m], and the frames `at` [b, m]."""
    device, last = segmenter.head.weight.device, frames.shape[1] - (1 + 4 * (window - 1))
    at = torch.randint(last + 1, (len(frames), moments), generator=draw)
    looks = []
    for moment in range(moments):
        shown = frames[torch.arange(len(frames)), at[:, moment]].float() / 255
        if changed and 2 * moment >= moments:
            shown = degrade(shown, draw)
        with mixed_precision(device):
            looks.append(look_at_pictures(segmenter, shown.to(device)))
    seen, log_volume = (torch.stack(values, 1).cpu() for values in zip(*looks, strict=True))
    return {"seen": seen.half(), "log_volume": log_volume, "at": at}


def _hear(
    bank: Bank, rows: Tensor, looks: dict[str, Tensor], generator: Generator, changed: bool, draw: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """The fields of `Moments` of these clips: what was seen of them beside what their ECGs say then."""
    device, frames = next(generator.parameters()).device, 1 + 4 * (generator.config.window - 1)
    parts = []
    for moment in range(looks["at"].shape[1]):
        augment = changed and moment > 0
        heard, start, _, _ = ecg_windows(bank, rows, looks["at"][:, moment], frames, draw, augment=augment,
                                         placed=by_name(generator.config))  # fmt: skip
        seen, log_volume = looks["seen"][:, moment].float(), looks["log_volume"][:, moment]
        with mixed_precision(device):
            memory = generator.encode_ecg(heard.to(device), start.to(device))
            full = generator.ecg_encoder.read_out(memory, torch.zeros(len(rows), 1, device=device))[:, 0, 0]
        features = features_of(seen.to(device), log_volume.to(device), memory, bank.view[rows].to(device))
        parts.append((features.cpu(), log_volume, full.float().cpu()))
    return tuple(torch.stack(values, 1) for values in zip(*parts, strict=True))


@torch.inference_mode()
def fullness(generator: Generator, bank: Bank, rows: Tensor, frames: Tensor) -> Tensor:
    """How full the ventricle of clips `rows` is at `frames` [b, n], by their ECG: 1 filled, 0 emptied as usual."""
    draw, device = torch.Generator().manual_seed(0), next(generator.parameters()).device
    heard, start, _, _ = ecg_windows(
        bank, rows, torch.zeros_like(rows), bank.frames.shape[1], draw, augment=False, placed=by_name(generator.config)
    )
    with mixed_precision(device):
        memory = generator.encode_ecg(heard.to(device), start.to(device))
        return generator.ecg_encoder.read_out(memory, (frames / bank.fps).to(device))[..., 0].float().cpu()


def _errors(name: str, found: Tensor, true: Tensor) -> dict[str, float]:
    off = found - true
    r2 = 1 - off.square().mean() / true.var(unbiased=False).clamp(min=1e-9)
    return {f"{name}_error": float(off.abs().mean()), f"{name}_r2": float(r2)}


def _best(told: Callable[[float], ExpectedEf], true: Tensor) -> float:
    return min(NOISES, key=lambda noise: float((told(noise).mean - true).square().mean()))


def train_steering(
    start_from: Path | None,
    *,
    data: str,
    clips: int,
    run: Path,
    resume: bool,
    out: Path,
    device: str,
    seed: int,
    batch: int | None,
    on_progress: Callable[[float], None] | None,
    on_encoded: Callable[[float], None],
    **given: int | float | None,
) -> tuple[dict[str, float], Path]:
    """Both readers for the whole model in `start_from`, which stays as it is; the last scores and the model folder.

    What has been looked at is kept in the run. InputError where that folder lacks a generator, tokenizer or measurer.
    """
    if start_from is None:
        raise InputError("train steering: --from MODEL is needed, a whole model whose clips it is to steer.")
    generator, tokenizer = (load_network(start_from, name) for name in ("generator", "tokenizer"))
    segmenter = load_segmenter(start_from)
    window = 1 + 4 * (generator.config.window - 1)
    bank, held_out, _ = load_simulated("steering", data, run, clips, seed, tokenizer.config.size, window, device)
    check_views(bank, generator.config.views)
    check_rate(bank, generator.config)
    check_ecg_rate(bank, generator.config)
    task = SteeringTask(
        generator, segmenter, tokenizer, bank, held_out, kept=run, batch=batch or BATCH["steering"], device=device,
        seed=seed, workers=workers(device), on_encoded=on_encoded,
    )  # fmt: skip
    asked = {name: value for name, value in given.items() if value is not None}
    training = Run(task, replace(SETTINGS["steering"], seed=seed, **asked), run, resume=resume)
    training.train(lambda step, progress, scalars: on_progress(progress) if on_progress else None)
    model = training.averaged_model()
    with torch.inference_mode():
        task.settle(model)
        scores = task.evaluate(model)
    save_weights(model, out / "steering")
    save_config(out, name=load_config(start_from).get("name", "echopulse"), steering=model.config)
    return scores, out
