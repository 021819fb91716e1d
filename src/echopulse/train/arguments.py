"""What may be asked of a training: what cannot be is refused in one sentence, before any work."""

from collections.abc import Sequence
from pathlib import Path

from echopulse.errors import InputError
from echopulse.model.checkpoint import load_config
from echopulse.train.sources import holds_videos

MOST_GUIDANCE = 10.0


def check_numbers(*, learning_rate: float | None, **counts: float | None) -> None:
    """InputError for a count or a length that is not above 0, and for a learning rate that is below."""
    for name, value in counts.items():
        if value is not None and not value > 0:
            raise InputError(f"--{name} {value:g}: a number above 0 is expected.")
    if learning_rate is not None and not learning_rate >= 0:
        raise InputError(f"--learning-rate {learning_rate:g}: a number that is not below 0 is expected.")


def check_run(what: str, run: Path, resume: bool, start_from: Path | None, data: Sequence[str]) -> None:
    """InputError for a run that is not there to go on with, or there although a new one is to begin, for no model to
    begin with, and for clips that are not there or come from more banks than can be used.
    """
    check_resume(run, resume, run / "ecg")
    if data[1:] and what not in ("generator", "ecg-encoder"):
        raise InputError(f"--data {data[1]}: only a generator learns from several banks; give the {what} one.")
    if start_from:
        held = load_config(start_from)  # what is no model folder is refused before anything is simulated
        kind = held.get("generator", {}).get("ecg", {}).get("kind", "own")
        if what == "ecg-encoder" and "ecg_encoder" not in held and kind != "own":
            raise InputError(
                f"{start_from}: its generator hears through {kind}, published weights that stand still; leave --from "
                "out to train an encoder of our own, or give a folder that `train ecg-encoder` wrote."
            )
    check_data(what, data)


def check_resume(run: Path, resume: bool, *begun: Path) -> None:
    """InputError for a run without a checkpoint to go on with (or one of `begun`), and for one that is there already
    although a new one is to begin.
    """
    there = (run / "checkpoint.safetensors").exists()
    if resume and not there and not any(path.exists() for path in begun):
        raise InputError(f"{run}: no checkpoint.safetensors here to resume from.")
    if there and not resume:
        raise InputError(
            f"{run} holds a run already; go on with --resume {run}, or name another folder for a new one by --run."
        )


def check_data(what: str, data: Sequence[str]) -> None:
    """InputError for a folder that is not there."""
    for one in data:
        if one != "phantom" and not Path(one).is_dir():
            found = "a file, no folder" if Path(one).exists() else "no such folder"
            own = {"tokenizer": "one with videos, or ", "ecg-encoder": "one with ECG files, or "}.get(what, "")
            raise InputError(f"{one}: {found}; give {own}a bank from `echopulse simulate --bank FOLDER`.")


def check_of_ecgs(what: str, data: Sequence[str], rate_hz: float | None) -> None:
    """InputError for a sampling rate where no ECG files are learned from."""
    if rate_hz is not None and (what != "ecg-encoder" or not any(map(holds_videos, data))):
        raise InputError(f"--rate {rate_hz:g}: it is that of ECG files; `train ecg-encoder --data FOLDER` is needed.")


def check_of_generator(
    what: str, ecg_encoder: str | Path | None, guidance: float | None, start_from: Path | None
) -> None:
    """InputError for a generator's options that another network is given, or that cannot be."""
    if ecg_encoder and (what != "generator" or start_from):
        raise InputError(
            f"--ecg-encoder {ecg_encoder}: it is what a new generator begins with; `train generator` without --from is "
            "needed."
        )
    if what != "generator" and guidance is not None:
        raise InputError(f"--guidance {guidance:g}: it is built into a generator, not into the {what}.")
    if guidance is not None and not 1 <= guidance <= MOST_GUIDANCE:
        raise InputError(f"--guidance {guidance:g}: from 1, which is none, to {MOST_GUIDANCE:g} is expected.")


def check_of_tokenizer(
    what: str, data: str, *, keeps_tokens: bool, begins: bool, judged: bool, grain: bool, **chosen: str | int | None
) -> None:
    """InputError for a tokenizer's options that another network is given, or that cannot be.

    `keeps_tokens`: only its decoder is to learn, so it has to begin with another's weights (`begins`). `judged`: losses
    or networks for them were chosen. `chosen` are quantizer, patch and decoder, None where the preset's will do.
    """
    if keeps_tokens and (what != "tokenizer" or not begins):
        raise InputError("--keep-tokens: `train tokenizer --from MODEL` is needed, whose tokens are to be kept.")
    if judged and what != "tokenizer":
        raise InputError(f"--loss, --balance, --perceptual and --measurer: they are a tokenizer's, not the {what}'s.")
    for name, value in chosen.items():
        if value is not None and what != "tokenizer":
            raise InputError(f"--{name} {value}: it is chosen when the tokenizer is trained, not the {what}.")
    if grain and (what != "tokenizer" or holds_videos(data)):
        raise InputError(
            "--grain: only a tokenizer learns it, not from videos but from simulated shards that say how tissue "
            "moves; make some with `echopulse simulate --bank FOLDER --displacement`."
        )
