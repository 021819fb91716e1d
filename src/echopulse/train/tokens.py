"""The clips of a bank as tokens: encoded once, in as many processes as there are cores, and kept beside the run."""

import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from echopulse.data.bank import Bank, shard_clips
from echopulse.jobs import run_jobs
from echopulse.model.checkpoint import hash_of_networks
from echopulse.model.precision import mixed_precision
from echopulse.model.tokenizer import Tokenizer

FEW_CLIPS = 2048  # fewer are also encoded shifted and of other gain; more differ enough by themselves
STILLS = 4  # pictures of each clip that are also encoded as standing still
BATCH = 8


class TokenCache:
    """Every clip of a bank as tokens.

    ids [clips, versions, t', h', w'], of which later versions are shifted and of other gain; stills [clips, STILLS, 2,
    h', w']: some pictures as a first picture and as one that stands on (`filling.encode_picture`), of the latent
    frames `places` int64 [clips, STILLS]: the fullest and the emptiest of the clip's first half and of its second.

    With a folder `kept` the tokens of every shard are written there, and read back by a run that goes on. Without
    `versions` there are two of a small bank and one of a large one.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        bank: Bank,
        *,
        versions: int | None = None,
        device: str = "cpu",
        seed: int = 0,
        kept: Path | None = None,
        workers: int = 1,
        on_encoded: Callable[[float], None] = lambda _: None,
    ):
        self.tokenizer, self.bank, self.kept, self.workers = tokenizer.eval(), bank, kept, workers
        self.versions = versions or (2 if len(bank) < FEW_CLIPS else 1)
        self.encode = partial(encode_clips, self.tokenizer, versions=self.versions, device=device)
        self.seed, self.on_encoded, self.shards = seed, on_encoded, 0
        self.tensors: dict[str, Tensor] = {}
        self.extend()

    def __len__(self) -> int:
        return len(self.tensors["ids"]) if self.tensors else 0

    @property
    def ids(self) -> Tensor:
        """Tokens of whole clips."""
        return self.tensors["ids"]

    @property
    def stills(self) -> Tensor:
        """Tokens of pictures that stand still."""
        return self.tensors["stills"]

    @property
    def places(self) -> Tensor:
        """The latent frames of those pictures."""
        return self.tensors["places"]

    def extend(self) -> None:
        """Encodes the clips that the bank has got since."""
        new = self._from_shards() if self.kept and self.bank.folder else self._from_memory()
        old = [self.tensors] if self.tensors else []
        if new:
            self.tensors = {name: torch.cat([part[name] for part in (*old, *new)]) for name in new[0]}

    def _from_memory(self) -> list[dict[str, Tensor]]:
        rows = slice(len(self), len(self.bank))
        frames, volume = self.bank.frames[rows], self.bank.volume_ml[rows]
        return [self.encode(frames, volume, seed=self.seed + rows.start)] if len(frames) else []

    def _from_shards(self) -> list[dict[str, Tensor]]:
        paths = [self.bank.folder / name for name in self.bank.shards[self.shards :]]
        self.shards = len(self.bank.shards)
        self.kept.mkdir(parents=True, exist_ok=True)
        made_by = f"{hash_of_networks([self.tokenizer])} {self.versions} {self.seed}"
        missing = [path for path in paths if not _is_there(self.kept / path.name, _origin(made_by, path))]
        done: list[Path] = []

        def told(path: Path) -> None:
            done.append(path)
            self.on_encoded(len(done) / len(missing))

        work = partial(_encode_shard, self.encode, self.kept, made_by, self.seed)
        run_jobs(work, missing, workers=self.workers, on_done=told)
        return [_read(self.kept / path.name) for path in paths]


@torch.no_grad()
def encode_clips(
    tokenizer: Tokenizer, frames: Tensor, volume_ml: Tensor, *, versions: int, device: str, seed: int
) -> dict[str, Tensor]:
    """Clips uint8 [n, t, h, w] and their volumes [n, t] as `ids`, `stills` and `places` of a `TokenCache`."""
    draw = torch.Generator().manual_seed(seed)
    span = 1 + (frames.shape[1] - 1) // 4 * 4
    places = still_places(volume_ml[:, :span])
    pictures = still_frames(places)
    ids, stills = [], []
    for low in range(0, len(frames), BATCH):
        some = frames[low : low + BATCH, :span].to(device).float() / 255
        shown = some[torch.arange(len(some))[:, None], pictures[low : low + BATCH]]
        with mixed_precision(device):
            coded = [tokenizer.encode(_vary(some, draw) if version else some) for version in range(versions)]
            still = tokenizer.encode(shown.flatten(0, 1)[:, None].expand(-1, 5, -1, -1))
        ids.append(torch.stack(coded, 1).cpu())
        stills.append(still.unflatten(0, shown.shape[:2]).cpu())
    small = torch.int16 if tokenizer.config.id_bits < 16 else torch.int32
    return {"ids": torch.cat(ids).to(small), "stills": torch.cat(stills).to(small), "places": places}


def still_frames(latent: Tensor) -> Tensor:
    """Which picture of latent frames, int64 of any shape, is held still."""
    return (latent * 4 - 1).clamp(min=0)


def still_places(volume_ml: Tensor) -> Tensor:
    """Latent frames int64 [n, STILLS] at which volumes [n, t] are largest and smallest, in the first half and after."""
    latents = 1 + (volume_ml.shape[1] - 1) // 4
    volume = volume_ml[:, still_frames(torch.arange(latents))]
    half = (latents + 1) // 2
    found = []
    for first, stop in ((1, half), (half, latents)):
        part = volume[:, first:stop]
        found += [first + part.argmax(1), first + part.argmin(1)]
    return torch.stack(found, 1)


def _vary(frames: Tensor, draw: torch.Generator) -> Tensor:
    """Clips [n, t, h, w] in 0..1, moved by some pixels and of another gain."""
    dy, dx = torch.randint(-5, 6, (2,), generator=draw).tolist()
    gain = 0.85 + 0.3 * float(torch.rand(1, generator=draw))
    height, width = frames.shape[-2:]
    padded = F.pad(frames, (5, 5, 5, 5))
    return (padded[..., 5 + dy : 5 + dy + height, 5 + dx : 5 + dx + width] * gain).clamp(0, 1)


def _encode_shard(
    encode: Callable[..., dict[str, Tensor]], folder: Path, made_by: str, seed: int, shard: Path
) -> None:
    with safe_open(shard, "pt") as file:
        frames, volume = file.get_tensor("frames"), file.get_tensor("volume_ml")
    unfinished = folder / f"{shard.name}.partial"
    tokens = encode(frames, volume, seed=seed + zlib.crc32(shard.name.encode()))
    save_file(tokens, unfinished, metadata={"made_by": _origin(made_by, shard)})
    unfinished.replace(folder / shard.name)


def _origin(made_by: str, shard: Path) -> str:
    """What tokens are made from: a shard that was made anew has another time, and one of another bank too."""
    stat = shard.stat()
    return f"{made_by} {shard_clips(shard)} {stat.st_size} {stat.st_mtime_ns}"


def _is_there(path: Path, made_by: str) -> bool:
    """Whether a file holds tokens that were made as they would be now."""
    if not path.exists():
        return False
    try:
        with safe_open(path, "pt") as file:
            return (file.metadata() or {}).get("made_by") == made_by
    except (OSError, SafetensorError):  # half written by a machine that went down: made anew
        return False


def _read(path: Path) -> dict[str, Tensor]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}
