"""A bank of simulated clips on disk: shards of safetensors that may still be arriving while training reads them."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from echopulse.errors import InputError
from echopulse.files import open_to_others
from echopulse.jobs import run_jobs
from echopulse.phantom import simulate
from echopulse.phantom.rhythm.leads import lead_places
from echopulse.phantom.types import RHYTHMS, VIEWS

OF_ONE_KIND = ("frames", "fps", "size", "leads", "ecg_rate_hz", "ecg_before_s", "ecg_after_s")  # throughout a folder
KEPT_ON_DEMAND = ("labels", "motion")
GIVEN_UP = "events"  # older shards hold it: event times whose columns were not always one beat's
PATIENT = ("age_years", "female")  # older shards do not hold them: NaN there
WRITING_S = 3600.0  # nobody writes a shard for so long: what is older was left by a run that was killed


@dataclass
class Bank:
    """n clips of t frames with their ECG.

    frames uint8 [n, t, h, w]; lv_mask and sector bit-packed along the last axis; ecg float32 [n, leads, m] in mV at
    `ecg_rate_hz`, from `ecg_start_s` on; volume_ml and mitral_opening float32 [n, t]; ef (of the beats seen, else
    nominal), edv_ml, spacing_cm, age_years and female (1, a man 0; NaN where a shard does not say) float32 [n]; view
    and rhythm int64 [n], indices into VIEWS and RHYTHMS; lead int64 [n, leads], each one's place among the twelve, -1
    for none (older shards do not say: II, V5, ...). A bank made with `labels` also holds what every pixel shows, two
    pixels to a byte; one made with `motion`, how far tissue has moved since the frame before, float16
    [n, t, h/4, w/4, 2], to the right and downwards in picture heights.
    """

    tensors: dict[str, Tensor]
    fps: float
    ecg_rate_hz: float
    ecg_start_s: float
    shards: tuple[str, ...] = ()
    folder: Path | None = None

    def __len__(self) -> int:
        return len(self.tensors["frames"])

    def __getattr__(self, name: str) -> Tensor:
        tensors = self.__dict__.get("tensors", {})
        if name not in tensors:
            raise AttributeError(name)
        return tensors[name]

    @classmethod
    def load(cls, folder: Path) -> "Bank":
        """Every shard in `folder`; raises InputError when there is none."""
        shards = sorted(folder.glob("shard-*.safetensors"))
        if not shards:
            remedy = f"make some with `echopulse simulate --bank {folder}`"
            raise InputError(f"{folder}: no shard-*.safetensors here; {remedy}.")
        about = _about(shards[0])
        bank = cls({}, float(about["fps"]), float(about["ecg_rate_hz"]), float(about["ecg_start_s"]), (), folder)
        bank.refresh()
        return bank

    def refresh(self) -> int:
        """Takes in the shards that have arrived since; returns how many clips came."""
        if self.folder is None:
            return 0
        new = [path for path in sorted(self.folder.glob("shard-*.safetensors")) if path.name not in self.shards]
        if not new:
            return 0
        parts = []
        for path in new:
            rates = [float(_about(path)[name]) for name in ("fps", "ecg_rate_hz", "ecg_start_s")]
            with safe_open(path, "pt") as file:
                part = {key: file.get_tensor(key) for key in file.keys() if key != GIVEN_UP}
            unknown = torch.full((len(part["frames"]),), torch.nan)
            named = {}
            if "ecg" in part:  # older shards name no leads
                places = torch.tensor(lead_places([""] * part["ecg"].shape[1]))
                named = {"lead": places.expand(len(part["ecg"]), -1)}
            part = {name: unknown for name in PATIENT} | named | part
            expected = (self.tensors or parts[0] if self.tensors or parts else part)["frames"].shape[1:]
            if rates != [self.fps, self.ecg_rate_hz, self.ecg_start_s] or part["frames"].shape[1:] != expected:
                raise InputError(
                    f"{path}: clips of {list(part['frames'].shape[1:])} at {rates[0]:g} frames/s among others of "
                    f"{list(expected)} at {self.fps:g}; a bank holds clips of one kind, so use another folder."
                )
            if lacking := set(self.tensors or (parts or [part])[0]) - set(part):
                raise InputError(
                    f"{path}: holds no {min(lacking)}, which shards before it do; a bank holds clips of one kind, so "
                    "use another folder."
                )
            parts.append(part)
        before = len(self.tensors["frames"]) if self.tensors else 0
        old = [self.tensors] if self.tensors else []
        self.tensors = {key: torch.cat([part[key] for part in (*old, *parts)]) for key in (*old, *parts)[0]}
        self.shards = (*self.shards, *(path.name for path in new))
        return len(self) - before

    def draw(self, count: int, frames: int, generator: torch.Generator) -> Tensor:
        """uint8 [count, frames, h, w]: stretches of clips, drawn at random."""
        rows, index = self._stretches(count, frames, generator)
        return self.frames[rows, index]

    def draw_moving(self, count: int, frames: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The same, and how the tissue in them moves, float16 [count, frames, h/4, w/4, 2].

        Raises InputError where the bank was made without.
        """
        self.check_moving()
        rows, index = self._stretches(count, frames, generator)
        return self.frames[rows, index], self.motion[rows, index]

    def check_moving(self) -> None:
        """InputError where the bank does not say how tissue moves."""
        if "motion" not in self.tensors:
            remedy = "make some with `echopulse simulate --bank FOLDER --displacement`"
            raise InputError(f"{self.folder}: these shards do not say how tissue moves; {remedy}.")

    def _stretches(self, count: int, frames: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(self), (count,), generator=generator)
        starts = torch.randint(self.frames.shape[1] - frames + 1, (count,), generator=generator)
        return rows[:, None], starts[:, None] + torch.arange(frames)

    def first(self, count: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The first clips, whole: uint8 [t, h, w], each with its sector bool [h, w]."""
        for row in range(min(count, len(self))):
            yield self.frames[row], self.sectors(torch.tensor([row]))[0]

    def masks(self, rows: Tensor, frames: Tensor) -> Tensor:
        """bool [k, h, w]: the ventricle in frame `frames[i]` of clip `rows[i]`."""
        return unpack_bits(self.tensors["lv_mask"][rows, frames])

    def labels(self, rows: Tensor, frames: Tensor) -> Tensor:
        """uint8 [k, h, w], indices into LABELS: what frame `frames[i]` of clip `rows[i]` shows.

        Raises InputError where the bank holds the ventricle alone.
        """
        if "label_pairs" not in self.tensors:
            raise InputError(
                f"{self.folder}: these shards hold the ventricle alone; what every pixel shows is needed, which "
                "`echopulse train measurer --data phantom` simulates."
            )
        return unpack_pairs(self.tensors["label_pairs"][rows, frames])

    def sectors(self, rows: Tensor) -> Tensor:
        """bool [k, h, w]: where the scanner looks."""
        return unpack_bits(self.tensors["sector"][rows])


def pack_bits(mask: Tensor) -> Tensor:
    """bool [..., 8k] → uint8 [..., k]."""
    weights = (1 << torch.arange(8, device=mask.device)).to(torch.uint8)
    return (mask.unflatten(-1, (-1, 8)).to(torch.uint8) * weights).sum(-1).to(torch.uint8)


def unpack_bits(packed: Tensor) -> Tensor:
    """uint8 [..., k] → bool [..., 8k]; the inverse of `pack_bits`."""
    places = torch.arange(8, device=packed.device, dtype=torch.uint8)
    return (((packed[..., None] >> places) & 1) > 0).flatten(-2)


def pack_pairs(labels: Tensor) -> Tensor:
    """uint8 [..., 2k] below 16 → uint8 [..., k]."""
    return labels[..., ::2] | labels[..., 1::2] << 4


def unpack_pairs(packed: Tensor) -> Tensor:
    """uint8 [..., k] → uint8 [..., 2k]; the inverse of `pack_pairs`."""
    return torch.stack((packed & 15, packed >> 4), -1).flatten(-2)


def clips_to_tensors(clips, *, labels: bool = False, motion: bool = False) -> dict[str, Tensor]:
    """A simulated batch as the bank keeps it; `labels` and `motion` as `Bank` says (`simulate(displacement=True)`)."""
    truth = clips.truth
    seen = (truth.es_times_s > 0) & (truth.ed_times_s < truth.times_s[-1]) & truth.ef_per_beat.isfinite()
    beats_ef = torch.where(seen, truth.ef_per_beat.nan_to_num(), torch.zeros_like(truth.ef_per_beat)).sum(1)
    count = seen.sum(1)
    tensors = {
        "frames": clips.frames,
        "lv_mask": pack_bits(truth.lv_mask),
        "sector": pack_bits(truth.sector),
        "ecg": clips.ecg,
        "lead": torch.tensor([lead_places(names) for names in clips.lead_names]),
        "volume_ml": truth.volume_ml,
        "mitral_opening": truth.mitral_opening,
        "ef": torch.where(count > 0, beats_ef / count.clamp(min=1), truth.ef),
        "edv_ml": truth.edv_ml,
        "spacing_cm": truth.pixel_spacing_cm,
        "age_years": clips.parameters.patients.age_years,
        "female": clips.parameters.patients.female,
        "view": torch.tensor([VIEWS.index(name) for name in truth.view]),
        "rhythm": torch.tensor([RHYTHMS.index(name) for name in truth.rhythm]),
    }
    if labels:
        tensors["label_pairs"] = pack_pairs(truth.labels)
    if motion:
        tensors["motion"] = frame_motion(truth.displacement_cm, truth.pixel_spacing_cm).to(torch.float16)
    return {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}


def frame_motion(displacement_cm: Tensor, spacing_cm: Tensor) -> Tensor:
    """How far tissue has moved since the frame before, float32 [b, t, h/4, w/4, 2], picture heights; 0 in frame 0.

    Of how far it lies from where it was in the first frame, cm [b, t, h, w, 2]: what now lies at a place lay at that
    place less the motion, and had by then come as far as that earlier place says. One refinement settles it.
    """
    b, t, height, width = displacement_cm.shape[:4]
    lies = displacement_cm / (spacing_cm[:, None, None, None, None] * height)
    lies = F.avg_pool2d(lies.flatten(0, 1).permute(0, 3, 1, 2), 4).unflatten(0, (b, t))
    now, before = lies[:, 1:].flatten(0, 1), lies[:, :-1].flatten(0, 1)
    row, column = ((torch.arange(n, device=lies.device) + 0.5) / n * 2 - 1 for n in lies.shape[-2:])
    own = torch.stack(torch.meshgrid(column, row, indexing="xy"), -1)
    scale = torch.tensor([2 * height / width, 2.0], device=lies.device)  # picture heights to -1..1
    guess = (now - before).permute(0, 2, 3, 1)
    come = F.grid_sample(before, own - scale * guess, align_corners=False, padding_mode="border")
    motion = torch.zeros(b, t, *lies.shape[-2:], 2, device=lies.device)
    motion[:, 1:] = (now - come).permute(0, 2, 3, 1).unflatten(0, (b, t - 1))
    return motion


def bank_from_clips(clips) -> Bank:
    """A bank in memory only."""
    return Bank(clips_to_tensors(clips), clips.fps, clips.ecg_rate_hz, float(clips.ecg_times_s[0]))


def fill_bank(
    folder: Path,
    clips: int,
    *,
    seed: int,
    prior: str = "uniform",
    shard: int = 32,
    device: str = "cpu",
    workers: int = 1,
    force: bool = False,
    on_shard: Callable[[int], None] | None = None,
    **options: Any,
) -> int:
    """Simulates `clips` clips into shards of `shard`, in `workers` processes; how many shards were made now.

    Shards that are there already are kept. Shard k of seed s is the same whoever makes it and in whatever order, and
    appears whole or not at all, so several machines can share the work by taking different seeds (with the same one
    they do it twice); `on_shard` is told the k of each. `labels=True` and `motion=True` keep what `Bank` says of them;
    all other options are the simulator's. InputError: pictures whose sides are no multiple of 8, or a shard that is
    there and was made otherwise, unless `force` deletes it.
    """
    check_size(options.get("size", 128))
    settings = {"prior": prior, "device": device, **options}
    folder.mkdir(parents=True, exist_ok=True)
    _clear_away(folder)
    for path in sorted(folder.glob("shard-*.safetensors")):
        same_seed = path.name.startswith(_shard_path(folder, seed, 0).name[: -len("00000.safetensors")])
        difference = _difference(path, settings | {"n": shard}, same_seed)
        if difference and not force:
            raise InputError(
                f"{path}: made with other settings ({difference}); use another folder for these, "
                "or --force to replace those."
            )
        if difference:
            path.unlink(missing_ok=True)
    missing = [index for index in range(-(-clips // shard)) if not _shard_path(folder, seed, index).exists()]
    run_jobs(partial(_make_shard, folder, seed, shard, settings), missing, workers=workers, on_done=on_shard)
    return len(missing)


def check_size(size: int) -> None:
    """Raises InputError for pictures that a shard cannot hold."""
    if size % 8:
        near = " or ".join(str(side) for side in (size // 8 * 8, size // 8 * 8 + 8) if side >= 16)
        raise InputError(f"pictures of {size} by {size} pixels: shards pack masks by eights, so ask for {near}.")


def shard_clips(path: Path) -> int:
    """How many clips a shard holds, from its head alone; InputError where it is no shard."""
    with _opened(path) as file:
        return file.get_slice("frames").get_shape()[0]


def shard_frames(path: Path) -> tuple[Tensor, float]:
    """The pictures of a shard alone, uint8 [n, t, h, w], and their rate per second; InputError where it is no shard."""
    with _opened(path) as file:
        frames = file.get_tensor("frames")
    return frames, float(_about(path)["fps"])


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A shard, looked into before it is given."""
    try:
        with safe_open(path, "pt") as file:
            if "frames" not in file.keys():
                raise InputError(f"{path}: holds no pictures; make it again with `echopulse simulate --bank FOLDER`.")
            yield file
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read ({error}); delete it and make it again.") from error


def shards_there(folder: Path, seed: int, count: int) -> int:
    """How many of the first `count` shards of a seed are in the folder."""
    return sum(_shard_path(folder, seed, index).exists() for index in range(count))


def clips_there(folder: Path) -> int:
    """How many clips all shards in the folder hold, whatever their seeds."""
    count = 0
    for path in folder.glob("shard-*.safetensors"):
        with safe_open(path, "pt") as file:
            count += file.get_slice("frames").get_shape()[0]
    return count


def _difference(path: Path, asked: dict[str, Any], same_seed: bool) -> str:
    """The first setting in which a shard differs from what is asked for, in words; empty where it does not.

    Of another seed's shard only what has to agree throughout a bank is compared.
    """
    stored = _about(path).get("settings")  # older shards do not say
    if stored is None:
        return ""
    found, asked = json.loads(stored), json.loads(_as_json(asked))
    for name in sorted({*found, *asked} if same_seed else OF_ONE_KIND):
        if found.get(name) != asked.get(name):
            return f"{name} {json.dumps(found.get(name))}, not {json.dumps(asked.get(name))}"
    return ""


def _make_shard(folder: Path, seed: int, shard: int, settings: dict[str, Any], index: int) -> None:
    options = {name: value for name, value in settings.items() if name not in KEPT_ON_DEMAND}
    demanded = {name: settings.get(name, False) for name in KEPT_ON_DEMAND}
    made = simulate(shard, seed=seed * 100_003 + index, displacement=demanded["motion"], **options)
    about = {"fps": made.fps, "ecg_rate_hz": made.ecg_rate_hz, "ecg_start_s": float(made.ecg_times_s[0])}
    about["settings"] = _as_json(settings | {"n": shard})
    path = _shard_path(folder, seed, index)
    unfinished = path.with_suffix(f".{uuid4().hex}.partial")  # another run may be making the same shard
    # one entry, since the order of several differs from process to process
    kept = clips_to_tensors(made, **demanded)
    save_file(kept, unfinished, metadata={"about": _as_json(about)})
    open_to_others(unfinished)
    unfinished.replace(path)


def _clear_away(folder: Path) -> None:
    """Deletes shards half written by runs that were killed, and none that somebody is writing now."""
    for path in folder.glob("shard-*.partial"):
        try:
            left = time.time() - path.stat().st_mtime > WRITING_S
        except FileNotFoundError:  # it was finished meanwhile
            continue
        if left:
            path.unlink(missing_ok=True)


def _shard_path(folder: Path, seed: int, index: int) -> Path:
    return folder / f"shard-{seed:06d}-{index:05d}.safetensors"


def _as_json(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _about(path: Path) -> dict[str, Any]:
    """What a shard says about itself; older ones keep every entry by itself."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    return json.loads(metadata["about"]) if "about" in metadata else metadata
