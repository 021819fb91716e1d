"""The generator's recipe: first its ECG encoder learns what the heart does, then the whole fills in hidden tokens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor

from echopulse.data.bank import Bank
from echopulse.errors import InputError
from echopulse.model.config import GeneratorConfig
from echopulse.model.generator import Conditions, Generator
from echopulse.model.masking import MaskedTokens, draw_mask_ratio, mask_tokens
from echopulse.model.sampling import denoiser, fill_in
from echopulse.model.tokenizer import Tokenizer
from echopulse.model.types import split_ids
from echopulse.model.windows import latent_times, reference_at_most
from echopulse.phantom.types import RHYTHMS
from echopulse.train.banks import check_ecg_rate, check_rate, pick
from echopulse.train.ecg_encoder import by_name, ecg_windows, heart_targets
from echopulse.train.tokenizer import strips
from echopulse.train.tokens import STILLS, TokenCache, still_frames

LATE = (0.55, 0.75)  # shares of hidden groups: guidance is whole below the first and none above the second
STANDING = RHYTHMS.index("asystole")
PICTURES = 0.25  # share of windows that know later pictures
STOPPED = 0.03  # share of windows that stand still at a picture, under a flat line
FLAT_MV = 0.02  # of noise on it, at most


class EcgIgnored(RuntimeError):
    """After enough steps the true ECG predicts the tokens no better than another heart's."""


@dataclass(frozen=True)
class Windows:
    """A batch for the generator; times in seconds from the clip's first frame or, if `far`, from the first of slot 1.

    ids int64 [b, t, h, w]; times_s float [b, t], the middle of each latent frame; far bool [b]; ecg [b, l, n] mV,
    NaN where absent, from ecg_start_s [b] on; heart [b, f, 3] (see `heart_targets`; NaN where it is not to be learned)
    at frame_times_s [b, f]; ef, view, age_years, female [b], NaN where not known; known bool [b, t], the slots given.
    """

    ids: Tensor
    times_s: Tensor
    far: Tensor
    ecg: Tensor
    ecg_start_s: Tensor
    frame_times_s: Tensor
    heart: Tensor
    ef: Tensor
    view: Tensor
    age_years: Tensor
    female: Tensor
    known: Tensor


def guidance_of_run(run: Path) -> float | None:
    """The guidance that the run in this folder builds in; None where it has come to no checkpoint."""
    path = run / "checkpoint.safetensors"
    if not path.exists():
        return None
    with safe_open(path, "pt") as file:
        return float(file.get_tensor("extra.guidance")) if "extra.guidance" in file.keys() else None


def check_views(bank: Bank, views: Sequence[str]) -> None:
    """InputError for clips of other views than a generator knows."""
    if int(bank.view.max()) >= len(views):
        raise InputError(
            f"{bank.folder or 'these clips'}: other views than {', '.join(views)}, which are all that this generator "
            "knows; simulate some with --views."
        )


def draw_windows(
    bank: Bank, cache: TokenCache, window: int, batch: int, draw: torch.Generator, *, augment: bool = True, rows=None,
    placed: bool = False,
) -> Windows:  # fmt: skip
    """A batch of windows.

    Two thirds begin at the clip's start; the others (`far`) continue: slot 0 is the clip's first latent frame, far
    back, and the next few slots are known. Some also know later pictures, of end-diastole, end-systole or both, and a
    few stand still under a flat line. Held-out batches (augment=False) begin at the start and know the first frame.
    `placed` as in `ecg_windows`.
    """
    count = batch if rows is None else len(rows)
    rows = torch.randint(len(bank), (count,), generator=draw) if rows is None else rows
    latents = cache.ids.shape[2]
    far = torch.zeros(count, dtype=torch.bool)
    offset = torch.zeros(count, dtype=torch.long)
    leading = torch.ones(count, dtype=torch.long)
    version = torch.zeros(count, dtype=torch.long)
    if augment:
        dice = torch.rand(count, 3, generator=draw)
        far = (dice[:, 0] < 0.35) & (latents > window)
        offset = torch.where(far, 2 + (dice[:, 1] * (latents - window)).long().clamp(max=latents - window - 1), offset)
        early = torch.where(dice[:, 2] < 0.3, 0, torch.where(dice[:, 2] < 0.9, 1, 3))
        late = 1 + torch.where(dice[:, 2] < 0.1, 0, (2 + dice[:, 2] * 3).long())
        leading = torch.where(far, late, early)
        version = torch.randint(cache.versions, (count,), generator=draw)
    slots = torch.arange(window)[None].expand(count, -1)
    known = slots < leading[:, None]
    latent = torch.where(far[:, None] & (slots > 0), slots - 1 + offset[:, None], slots)
    ids = cache.ids[rows[:, None], version[:, None], latent].long()
    starts = torch.where(far, (offset * 4 - 3).clamp(min=0), torch.zeros_like(offset))
    frames = 1 + 4 * (window - 1)
    starts = starts.clamp(max=bank.frames.shape[1] - frames)
    ecg, ecg_start, frame_times, index = ecg_windows(bank, rows, starts, frames, draw, augment=augment, placed=placed)
    if augment:
        add_pictures(bank, cache, rows, latent, ids, known, draw)
    heart = heart_targets(bank, rows, index)
    ef = torch.where(bank.rhythm[rows] == STANDING, torch.nan, bank.ef[rows])
    if augment:
        stopped = torch.rand(count, generator=draw) < STOPPED
        pictures = torch.randint(STILLS, (count,), generator=draw)
        hold_still(cache, rows, pictures, stopped, ids, ecg, heart, ef, draw)
    times = latent_times(latent, fps=bank.fps) - starts[:, None] / bank.fps
    return Windows(
        ids=ids,
        times_s=times.clamp(min=-reference_at_most(bank.fps)),
        far=far,
        ecg=ecg,
        ecg_start_s=ecg_start,
        frame_times_s=frame_times,
        heart=heart,
        ef=ef,
        view=bank.view[rows],
        age_years=bank.age_years[rows],
        female=bank.female[rows],
        known=known,
    )


def add_pictures(
    bank: Bank, cache: TokenCache, rows: Tensor, latent: Tensor, ids: Tensor, known: Tensor, draw: torch.Generator
) -> None:
    """Gives some windows that know their first picture later ones too, as `generate --image FILE@SECONDS` does.

    They are the fullest and the emptiest of those that are cached and lie in slots that are hidden, or one of the two;
    `ids` and `known` change where they lie.
    """
    here = (latent[:, :, None] == cache.places[rows][:, None]) & ~known[:, :, None]  # [b, t, stills]
    volume = bank.volume_ml[rows[:, None], still_frames(cache.places[rows])]
    dice = torch.rand(len(rows), 2, generator=draw)
    some = (dice[:, 0] < PICTURES) & known[:, 0] & here.any((1, 2))
    fullest = volume.masked_fill(~here.any(1), -torch.inf).argmax(1)
    emptiest = volume.masked_fill(~here.any(1), torch.inf).argmin(1)
    for which, wanted in ((fullest, dice[:, 1] < 0.75), (emptiest, dice[:, 1] > 0.25)):
        row = torch.nonzero(some & wanted)[:, 0]
        slot = here[row, :, which[row]].long().argmax(1)
        ids[row, slot] = cache.stills[rows[row], which[row], 1].long()
        known[row, slot] = True


def hold_still(
    cache: TokenCache, rows: Tensor, pictures: Tensor, stopped: Tensor, ids: Tensor, ecg: Tensor, heart: Tensor,
    ef: Tensor, draw: torch.Generator,
) -> None:  # fmt: skip
    """Windows that are `stopped`, bool [b], stand still at a picture of theirs, whatever its phase, under a flat line.

    A heart in asystole rests relaxed; the picture that somebody gives with a flat ECG need not.
    """
    still = cache.stills[rows[stopped], pictures[stopped]].long()  # [k, 2, h, w]
    ids[stopped] = torch.cat([still[:, :1], still[:, 1:].expand(-1, ids.shape[1] - 1, -1, -1)], 1)
    loud = torch.rand(len(rows), 1, 1, generator=draw) * FLAT_MV
    noise = loud * torch.randn(ecg.shape, generator=draw)
    ecg[stopped] = torch.where(ecg.isnan(), ecg, noise)[stopped]
    heart[stopped] = torch.nan
    ef[stopped] = torch.nan


def guidance_held(hidden: Tensor, known: Tensor, strength: float) -> Tensor:
    """Guidance [b] that logits are to hold where these groups are hidden, bool [b, t, h, w, groups].

    As in sampling there is none while little is known of the frames that are not `known`, bool [b, t]; here it sets in
    gradually, and half a pass later.
    """
    most = ((~known).sum(1).to(hidden.device) * hidden[0, 0].numel()).clamp(min=1)
    share = hidden.flatten(1).sum(1) / most
    whole, none = LATE
    return 1 + (strength - 1) * ((none - share) / (none - whole)).clamp(0, 1)


def without_guidance(logits: Tensor, null: Tensor, strength: Tensor) -> Tensor:
    """What logits [b, ...] that hold guidance of `strength` [b] say without it, beside those of nothing given.

    Learned so, the logits themselves come to hold the guidance (Chen et al. 2025). The gradient reaches them in full,
    as if they held none: else guided steps would count the less, the stronger the guidance.
    """
    plain = null + (logits - null) / strength.reshape(-1, *(1,) * (logits.ndim - 1))
    return logits + (plain - logits).detach()


class GeneratorTask:
    """Masked cross-entropy over the hidden bit groups, with the ECG encoder's own task kept on beside it.

    With `guidance` in its configuration the network learns to say at once what guided sampling asks twice for. `model`
    is a generator that has learned already, of the same configuration; without it one begins by chance. `more` are
    banks of other frame rates beside `bank`; every step draws from one of them all, by chance, in proportion to their
    clips. Tokens are encoded by so many `workers`, told to `on_encoded` as a share of a bank, and kept in the folder
    `kept`. InputError for clips of views or frame rates that it does not know.
    """

    name = "generator"

    def __init__(
        self,
        config: GeneratorConfig,
        tokenizer: Tokenizer,
        bank: Bank,
        held_out: Bank,
        *,
        more: Sequence[Bank] = (),
        ecg_weights: dict[str, Tensor] | None = None,
        batch: int = 16,
        device: str = "cpu",
        seed: int = 0,
        model: Generator | None = None,
        must_part_by: int = 400,
        kept: Path | None = None,
        workers: int = 1,
        on_encoded: Callable[[float], None] = lambda _: None,
    ):
        torch.manual_seed(seed)
        for one in (bank, *more, held_out):
            check_views(one, config.views)
            check_rate(one, config)
            check_ecg_rate(one, config)
        self.config, self.banks, self.held_out = config, (bank, *more), held_out
        self.model = (model or Generator(config)).to(device)
        if ecg_weights is not None:
            self.model.ecg_encoder.load_state_dict(ecg_weights)
        self.tokenizer = tokenizer.to(device)
        self.caches = [
            TokenCache(
                tokenizer, one, device=device, seed=seed, kept=kept and kept / str(number), workers=workers,
                on_encoded=lambda share, number=number: on_encoded((number + share) / len(self.banks)),
            )
            for number, one in enumerate(self.banks)
        ]  # fmt: skip
        self.held_out_cache = TokenCache(tokenizer, held_out, versions=1, device=device)
        self.batch, self.device, self.must_part_by = batch, device, must_part_by
        self.steps = 0

    def on_progress(self, progress: float, step: int) -> None:
        """Takes in new shards now and then."""
        self.steps = step
        for bank, cache in zip(self.banks, self.caches, strict=True):
            if bank.folder and self.steps % 300 == 0 and bank.refresh():
                check_views(bank, self.config.views)
                cache.extend()

    def loss(self, seed: int) -> tuple[Tensor, dict[str, float]]:
        draw = torch.Generator().manual_seed(seed)
        one = pick(self.banks, draw)
        windows = draw_windows(
            self.banks[one], self.caches[one], self.config.window, self.batch, draw, placed=by_name(self.config)
        )
        windows = _to(windows, self.device)
        masked = mask_tokens(windows.ids, self.config.groups, draw_mask_ratio(self.batch, draw), windows.known, draw)
        dice = torch.rand(self.batch, 5, generator=draw).to(self.device)
        deaf = dice[:, 0] < 0.12
        no_ef = torch.where(deaf, dice[:, 1] < 0.6, dice[:, 1] < 0.25)
        memory = self.model.encode_ecg(windows.ecg, windows.ecg_start_s)
        conditions = Conditions(
            memory,
            ecg_given=~deaf,
            ef=windows.ef.masked_fill(no_ef, torch.nan),
            view=windows.view.masked_fill(dice[:, 2] < 0.1, -1),
            age_years=windows.age_years.masked_fill(dice[:, 3] < 0.3, torch.nan),
            female=windows.female.masked_fill(dice[:, 4] < 0.3, torch.nan),
        )
        logits = self._say(self.model, masked, windows, conditions)
        targets = split_ids(masked.ids, self.config.groups, self.config.group_bits)
        entropy = F.cross_entropy(logits[masked.hidden], targets[masked.hidden], label_smoothing=0.05)
        said = self.model.ecg_encoder.read_out(memory, windows.frame_times_s)
        told = windows.heart.isfinite()
        heart = entropy.new_zeros(())  # where every window stands still there is nothing to tell
        if bool(told.any()):
            heart = F.smooth_l1_loss(said[told], windows.heart[told], beta=0.1)
        return entropy + 0.5 * heart, {"cross_entropy": float(entropy.detach()), "heart": float(heart.detach())}

    def _say(self, model: Generator, masked: MaskedTokens, windows: Windows, conditions: Conditions) -> Tensor:
        """Logits that say how likely each choice is: what the model says without the guidance that it is to hold."""
        logits = model(masked.ids, masked.hidden, windows.times_s, windows.far, conditions)
        strength = guidance_held(masked.hidden, windows.known, self.config.guidance)
        strength[~conditions.ecg_given & conditions.ef.isnan()] = 1.0  # nothing that could guide
        rows = strength > 1
        if not bool(rows.any()):
            return logits
        null = logits.detach().clone()
        with torch.no_grad():
            alone = conditions.rows(rows).without_guidance_terms()
            null[rows] = model(masked.ids[rows], masked.hidden[rows], windows.times_s[rows], windows.far[rows], alone)
        return without_guidance(logits, null, strength)

    def evaluate(self, model: Generator) -> dict[str, float]:
        """Held-out cross-entropy with the true ECG, another heart's and none, at two mask ratios."""
        rows = torch.arange(min(64, len(self.held_out)))
        draw = torch.Generator().manual_seed(0)
        windows = draw_windows(
            self.held_out, self.held_out_cache, self.config.window, len(rows), draw, augment=False, rows=rows,
            placed=by_name(self.config),
        )  # fmt: skip
        windows = _to(windows, self.device)
        memory = model.encode_ecg(windows.ecg, windows.ecg_start_s)
        other = model.encode_ecg(windows.ecg.roll(1, 0), windows.ecg_start_s)
        given = torch.ones(len(rows), dtype=torch.bool, device=self.device)
        scores = {}
        for ratio in (0.6, 1.0):
            masked = mask_tokens(windows.ids, self.config.groups, torch.full((len(rows),), ratio), windows.known, draw)
            targets = split_ids(masked.ids, self.config.groups, self.config.group_bits)[masked.hidden]
            for name, heard, on in (("true", memory, given), ("other", other, given), ("none", memory, ~given)):
                conditions = Conditions(heard, on, windows.ef, windows.view, windows.age_years, windows.female)
                logits = self._say(model, masked, windows, conditions)[masked.hidden]
                scores[f"cross_entropy_{ratio}_{name}"] = float(F.cross_entropy(logits, targets))
                if name == "true":
                    scores[f"accuracy_{ratio}"] = float((logits.argmax(-1) == targets).float().mean())
        gap = scores["cross_entropy_1.0_other"] - scores["cross_entropy_1.0_true"]
        scores["ecg_gap"] = gap
        scores["memory_spread"] = float(memory.tokens.float().std(0, correction=0).mean() / memory.tokens.float().std())
        if self.steps >= self.must_part_by and gap < 0.01:
            raise EcgIgnored(
                f"After {self.steps} steps the true ECG lowers the cross-entropy by {gap:.4f} nats against another "
                "heart's; at least 0.01 was expected. The ECG encoder is dead: train it longer first."
            )
        return scores

    def extra_state(self) -> dict[str, Tensor]:
        """The guidance that is being built in."""
        return {"guidance": torch.tensor(self.config.guidance, dtype=torch.float64)}

    def load_extra_state(self, tensors: dict[str, Tensor]) -> None:
        """InputError where the run began with another guidance; one of a checkpoint from before there was any is 1."""
        began = float(tensors.get("guidance", 1.0))
        if began != self.config.guidance:
            raise InputError(
                f"this run began with guidance={began:g}, not {self.config.guidance:g}; go on with --guidance "
                f"{began:g}."
            )

    def pictures(self, model: Generator) -> Tensor:
        """Three held-out clips as tokens know them, filled in from the first frame, and from the ECG alone."""
        rows = torch.arange(min(3, len(self.held_out)))
        draw = torch.Generator().manual_seed(0)
        windows = draw_windows(
            self.held_out, self.held_out_cache, self.config.window, len(rows), draw, augment=False, rows=rows,
            placed=by_name(self.config),
        )  # fmt: skip
        windows = _to(windows, self.device)
        memory = model.encode_ecg(windows.ecg, windows.ecg_start_s)
        given = torch.ones(len(rows), dtype=torch.bool, device=self.device)
        conditions = Conditions(memory, given, windows.ef, windows.view, windows.age_years, windows.female)
        sheets = [self.tokenizer.decode(windows.ids)]
        for known in (1, 0):
            hidden = torch.ones(*windows.ids.shape, self.config.groups, dtype=torch.bool, device=self.device)
            hidden[:, :known] = False
            made = fill_in(
                denoiser(model, windows.times_s, windows.far),
                windows.ids,
                hidden,
                conditions,
                groups=self.config.groups,
                group_bits=self.config.group_bits,
                guidance=self.config.usual_guidance,
                generator=draw,
            )
            sheets.append(self.tokenizer.decode(made))
        return strips([sheet[i] for i in range(len(rows)) for sheet in sheets])


def _to(windows: Windows, device: str) -> Windows:
    return Windows(**{name: value.to(device) for name, value in vars(windows).items()})
