"""Where clips and ECGs come from: a bank, a folder of somebody's own, or the phantom, which fills a bank first."""

from collections.abc import Callable, Sequence
from pathlib import Path

from echopulse.data import Bank, fill_bank
from echopulse.data.recordings import Recordings, load_recordings
from echopulse.data.videos import Videos, load_videos
from echopulse.errors import InputError
from echopulse.files import write_json
from echopulse.jobs import usable_cores
from echopulse.model.config import VIEWS, GeneratorConfig, TokenizerConfig
from echopulse.phantom.types import APICAL_VIEWS
from echopulse.phantom.types import VIEWS as ALL_VIEWS
from echopulse.train.banks import own_rate_first

HELD_OUT_SEED = 900_000  # training seeds stay below it
HELD_OUT_CLIPS = 64
ECG_PICTURES = 32  # pixels to a side, of clips that are simulated for their ECGs
# Frames 0.08 s apart, so that a frame's neighbours are those that it is read with, over a beat of 50/min.
MEASURER_CLIPS = {"frames": 16, "fps": 12.5, "leads": 1, "ecg_before_s": 0.4, "labels": True}
# Of ten clips two are apical of every EF, evenly, and two apical of the clinical prior: volumes are read there. With
# half of them so, outlines in short axes were worse by 0.015 (Dice).
MEASURER_MIX = (
    (0.6, {"prior": "clinical", "view": ALL_VIEWS}),
    (0.2, {"prior": "clinical", "view": APICAL_VIEWS}),
    (0.2, {"prior": "uniform", "view": APICAL_VIEWS}),
)
MEASURER_HELD_OUT = 160


def holds_videos(data: str) -> bool:
    """Whether `data` names a folder that holds anything but simulated shards."""
    return data != "phantom" and not list(Path(data).glob("shard-*.safetensors"))


def load_own_videos(data: str, config: TokenizerConfig, on_skip: Callable[[str, str], None]) -> tuple[Videos, Videos]:
    """Videos to train on and to judge by; those that cannot be read are told to `on_skip` by name and reason."""
    return load_videos(Path(data), size=config.size, fps=config.fps, workers=usable_cores(), on_skip=on_skip)


def check_moving(config: TokenizerConfig, data: str) -> None:
    """InputError for a tokenizer that cannot learn from videos, which do not say how tissue moves."""
    if config.decoder == "motion" and holds_videos(data):
        raise InputError(
            f"{data}: videos; a tokenizer with the decoder of motion learns from simulated shards that say how tissue "
            "moves; make some with `echopulse simulate --bank FOLDER --displacement`."
        )


def keeps_grain(
    config: TokenizerConfig, clips: Bank | Videos, data: str, on_notice: Callable[[str], None] | None
) -> bool:
    """Whether a tokenizer that draws grain has to keep it as it is, because the clips do not say how tissue moves.

    `on_notice` is told so.
    """
    kept = config.grain and not (isinstance(clips, Bank) and "motion" in clips.tensors)
    if kept and on_notice:
        on_notice(
            f"{data}: these clips do not say how tissue moves, so the weights that draw grain stay as they are "
            "(`simulate --bank FOLDER --displacement` makes clips that do)"
        )
    return kept


def skipping(
    run: Path, on_skip: Callable[[str, str], None] | None
) -> tuple[dict[str, str], Callable[[str, str], None]]:
    """Reasons by name, and what adds one to them, to the run's skipped.json, and tells it."""
    skipped: dict[str, str] = {}

    def skip(name: str, reason: str) -> None:
        skipped[name] = reason
        run.mkdir(parents=True, exist_ok=True)
        write_json(skipped, run / "skipped.json")
        if on_skip:
            on_skip(name, reason)

    return skipped, skip


def load_ecgs(
    data: Sequence[str], run: Path, clips: int, seed: int, config: GeneratorConfig, device: str,
    on_skip: Callable[[str, str], None], assumed_hz: float | None = None,
) -> tuple[tuple[Bank, Bank] | None, tuple[Recordings, Recordings] | None]:  # fmt: skip
    """Banks and recordings to train on and to judge by, None for what `data` does not name.

    Recordings that cannot be read are told to `on_skip` as their turn comes; those that do not say their sampling rate
    are taken to have `assumed_hz`.

    InputError for two of a kind, and for clips that are too short for the generator's window.
    """
    folders = [one for one in data if holds_videos(one)]
    banks = [one for one in data if one not in folders]
    if len(folders) > 1 or len(banks) > 1:
        raise InputError(
            f"--data {' --data '.join(data)}: one bank (or phantom) and one folder of ECG files at most are expected; "
            "put what belongs together into one folder."
        )
    rates = {"rate_hz": config.ecg.rate_hz, "assumed_hz": assumed_hz}
    recorded = load_recordings(Path(folders[0]), on_skip=on_skip, **rates) if folders else None
    if not banks:
        return None, recorded
    bank = load_bank(banks[0], run, clips, seed, ECG_PICTURES, device)
    frames, size = bank.frames.shape[1:3]
    check_clips(bank, banks[0], 1 + 4 * (config.window - 1), size)
    alike = {} if bank.fps == TokenizerConfig().fps else {"fps": bank.fps, "frames": frames}
    held_out = load_held_out(run if banks[0] == "phantom" else Path(banks[0]), size, device, **alike)
    return (bank, held_out), recorded


def load_simulated(
    what: str, data: str, run: Path, clips: int, seed: int, size: int, window: int, device: str, motion: bool = False
) -> tuple[Bank, Bank, bool]:
    """Banks of simulated clips to train on and to judge by, and whether every pixel of theirs has a label.

    Raises InputError where clips are shorter than `window` frames, of another size, or do not say how tissue moves
    although `motion` is asked for.
    """
    if what == "measurer":
        bank = load_measurer_bank(data, run, clips, seed, size, device)
    else:
        bank = load_bank(data, run, clips, seed, size, device, motion)
    check_clips(bank, data, window, size)
    labelled = what == "measurer" and "label_pairs" in bank.tensors
    beside = run if data == "phantom" else Path(data)
    if not labelled:
        return bank, load_held_out(beside, size, device), False
    options = {"prior": "clinical", "view": ALL_VIEWS, **MEASURER_CLIPS}
    return bank, load_held_out(beside, size, device, clips=MEASURER_HELD_OUT, **options), True


def load_banks(
    data: Sequence[str], run: Path, clips: int, seed: int, config: TokenizerConfig, window: int, device: str
) -> tuple[list[Bank], Bank]:
    """Banks of any frame rates, one at the tokenizer's own before all others, and held-out clips at the first one's.

    Raises InputError where clips are shorter than `window` frames, or not of the tokenizer's size.
    """
    banks = [load_bank(one, run, clips, seed, config.size, device) for one in data]
    for name, one in zip(data, banks, strict=True):
        check_clips(one, name, window, config.size)
    banks = own_rate_first(banks, config.fps)
    rate, frames, folder = banks[0].fps, banks[0].frames.shape[1], banks[0].folder
    alike = {} if rate == config.fps else {"fps": rate, "frames": frames}
    beside = run if folder == run / "bank" else folder
    return banks, load_held_out(beside, config.size, device, **alike)


def check_clips(bank: Bank, data: str, window: int, size: int) -> None:
    """InputError where the clips of a bank are shorter than `window` frames or of another size."""
    frames, height, width = bank.frames.shape[1:]
    short, other = frames < window, (height, width) != (size, size)
    if not short and not other:
        return
    found = [f"{frames} frames"] * short + [f"{height}×{width} pixels"] * other
    needed = [f"at least {window} frames"] * short + [f"{size}×{size} pixels"] * other
    options = [f" --fps {bank.fps:.8g} --seconds {max(window, 65) / bank.fps:.4g}"] * short
    options += [f" --size {size}"] * other
    raise InputError(
        f"{data}: clips of {' and '.join(found)}; {' and '.join(needed)} are needed, so make others with `echopulse "
        f"simulate --bank FOLDER{''.join(options)}`."
    )


def load_bank(data: str, run: Path, clips: int, seed: int, size: int, device: str, motion: bool = False) -> Bank:
    """The bank in `data`, or one of `clips` simulated clips made inside the run.

    With `motion` it says how tissue moves; InputError where that in `data` does not.
    """
    if data != "phantom":
        bank = Bank.load(Path(data))
        if motion:
            bank.check_moving()
        return bank
    folder = run / "bank"
    kept = {"motion": True} if motion else {}
    fill_bank(folder, clips, seed=seed, size=size, view=VIEWS, device=device, workers=workers(device), **kept)
    return Bank.load(folder)


def load_measurer_bank(data: str, run: Path, clips: int, seed: int, size: int, device: str) -> Bank:
    """The bank in `data`, or one made inside the run of `clips` clips in all views whose every pixel has a label."""
    if data != "phantom":
        return Bank.load(Path(data))
    folder = run / "bank"
    options = {"size": size, "device": device, "workers": workers(device), **MEASURER_CLIPS}
    for number, (share, kind) in enumerate(MEASURER_MIX):
        count = max(1, round(clips * share))
        fill_bank(folder, count, seed=len(MEASURER_MIX) * seed + number, shard=min(32, count), **kind, **options)
    return Bank.load(folder)


def load_held_out(beside: Path, size: int, device: str, *, clips: int = HELD_OUT_CLIPS, **options) -> Bank:
    """Clips of seeds that training never uses, made once beside the bank; `options` of the simulator."""
    folder = beside / "held-out"
    options = {"size": size, "view": VIEWS, "device": device, "workers": workers(device)} | options
    fill_bank(folder, clips, seed=HELD_OUT_SEED, shard=min(32, clips), **options)
    return Bank.load(folder)


def workers(device: str) -> int:
    """Processes that simulate: as many as there are cores, or one that has the accelerator to itself."""
    return usable_cores() if device == "cpu" else 1
