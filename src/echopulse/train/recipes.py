"""From the words of a command to a trained model folder."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from echopulse.data import Bank
from echopulse.errors import InputError
from echopulse.model.checkpoint import load_config, save_config, save_weights
from echopulse.model.config import PRESETS, GeneratorConfig, TokenizerConfig, fit_generator
from echopulse.model.ecg_checkpoints import with_network
from echopulse.model.ecg_config import LICENCES
from echopulse.model.networks import load_ecg_encoder, load_network
from echopulse.model.tokenizer import Tokenizer
from echopulse.pipeline import BUNDLED
from echopulse.train.architecture import (
    KINDS,
    USUAL_PRESET,
    begun_architecture,
    choose_tokenizer,
    keep_architecture,
    with_held_rates,
)
from echopulse.train.arguments import check_numbers, check_of_ecgs, check_of_generator, check_of_tokenizer, check_run
from echopulse.train.banks import rates_of
from echopulse.train.begin import begin_with
from echopulse.train.ecg_alone import EcgEncoderTask
from echopulse.train.ecg_first import given_ecg_encoder, train_ecg_encoder, with_ecg_encoder
from echopulse.train.familiarity import fit_familiarity
from echopulse.train.generator import GeneratorTask, check_views, guidance_of_run
from echopulse.train.loop import Run
from echopulse.train.losses.judges import load_judges
from echopulse.train.losses.weights import loss_weights
from echopulse.train.measurer_recipe import prepare_measurer, train_only_volumes, with_curve
from echopulse.train.settings import BATCH, SETTINGS
from echopulse.train.sources import (
    holds_videos,
    keeps_grain,
    load_banks,
    load_ecgs,
    load_own_videos,
    load_simulated,
    skipping,
    workers,
)
from echopulse.train.steering import train_steering
from echopulse.train.tokenizer import TokenizerTask


def train(
    what: str,
    *,
    data: str = "phantom",
    more: Sequence[str] = (),
    clips: int = 1024,
    preset: str | None = None,
    quantizer: str | None = None,
    grain: bool = False,
    patch: int | None = None,
    decoder: str | None = None,
    losses: Mapping[str, float] | None = None,
    balance: bool = False,
    perceptual: Mapping[str, Path] | None = None,
    measurer_folder: Path | None = None,
    run: Path,
    resume: bool = False,
    tokenizer_folder: Path | None = None,
    start_from: Path | None = None,
    only_volumes: bool = False,
    keep_tokens: bool = False,
    guidance: float | None = None,
    ecg_encoder: str | Path | None = None,
    rate_hz: float | None = None,
    out: Path | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
    device: str = "cpu",
    seed: int = 0,
    tensorboard: bool = False,
    on_progress: Callable[[float], None] | None = None,
    on_encoded: Callable[[float], None] = lambda _: None,
    on_skip: Callable[[str, str], None] | None = None,
    on_notice: Callable[[str], None] | None = None,
) -> tuple[dict[str, float], Path]:
    """Trains one network and writes its averaged weights; returns the last scores and the model folder.

    `data` is a bank's folder, "phantom", which makes a bank of `clips` inside the run first, or for the tokenizer a
    folder of videos; those that cannot be read are told to `on_skip` by name and reason, and stand in the run's
    skipped.json. Sizes are those of `preset`, by default of the weights in `start_from`, else of "small". The ECG
    encoder learns from a bank, a folder of ECG files, or one of each (`more`); `rate_hz` is the sampling rate of files
    that do not say theirs. `quantizer` (lfq:14, fsq:8,8,8,8,4, vq:16384), `patch` and
    `decoder` take the place of the preset's; with `grain` the tokenizer also learns to draw speckle. Grain and the
    decoder "motion" are learned from shards that say how tissue moves. `losses`, `balance` and the networks for
    `perceptual` losses are a tokenizer's too (see `losses`); `measurer_folder` is the model folder of the measurer
    that one of them looks through, the bundled one by default. `start_from` is a model folder whose weights the run
    begins with instead of chance; they need not know grain or motion. With `keep_tokens` only the decoder of the
    tokenizer in `start_from` learns, so that a generator that has learned its tokens goes on with it. `guidance` is
    built into a generator, which then needs one pass a step; by default what it holds already, or none. It begins
    with the ECG encoder in the model folder `ecg_encoder`, or trains one first; with st-mem=FILE or ecgfounder=FILE
    in its place the generator hears through published weights, which stand still, and `on_notice` is told their
    licence. A measurer of labelled clips at last learns the curve of volumes in apical views, in RUN/volumes, while
    its other weights stand still; with `only_volumes` it learns nothing else, and `start_from` has to name a
    measurer. `more` are further banks for a generator, each of a frame rate of its own; its weights then know all
    rates from the lowest to the highest. `on_encoded` is told how much of a generator's bank is encoded, 0..1,
    `on_progress` how much of the training is done. Raises InputError for an unknown preset, a loss that is none or
    lacks its network, a run that exists without `resume`, a generator without a tokenizer, or weights of another
    architecture than the preset's.
    """
    if preset not in (None, *PRESETS):
        raise InputError(f"--preset {preset}: expected one of {', '.join(PRESETS)}.")
    check_numbers(steps=steps, minutes=minutes, batch=batch, clips=clips, learning_rate=learning_rate)
    check_run(what, run, resume, start_from, (data, *more))
    check_of_ecgs(what, (data, *more), rate_hz)
    check_of_generator(what, ecg_encoder, guidance, start_from)
    check_of_tokenizer(
        what, data, keeps_tokens=keep_tokens, begins=bool(start_from or resume), grain=grain,
        judged=bool(losses or balance or perceptual or measurer_folder),
        quantizer=quantizer, patch=patch, decoder=decoder,
    )  # fmt: skip
    model_folder = out or run / "model"
    given = {"steps": steps, "minutes": minutes, "learning_rate": learning_rate}
    if only_volumes:
        return train_only_volumes(
            what, start_from, data=data, clips=clips, run=run, resume=resume, out=model_folder, device=device,
            seed=seed, batch=batch, on_progress=on_progress, **given,
        )  # fmt: skip
    if what == "steering":
        return train_steering(
            start_from, data=data, clips=clips, run=run, resume=resume, out=model_folder, device=device, seed=seed,
            batch=batch, on_progress=on_progress, on_encoded=on_encoded, **given,
        )  # fmt: skip
    settings = replace(SETTINGS[what], seed=seed, **{name: value for name, value in given.items() if value is not None})
    shared = {"batch": batch or BATCH[what], "device": device, "seed": seed}
    sizes, banks = PRESETS[preset or USUAL_PRESET], ()
    skipped, skip = skipping(run, on_skip)
    if what == "tokenizer":
        config, folder = begun_architecture(what, preset, start_from, run, resume)
        config = choose_tokenizer(
            config, folder, data, quantizer=quantizer, grain=grain, patch=patch, decoder=decoder
        )
        window = 1 + 4 * (sizes["generator"].window - 1)
        task = prepare_tokenizer(
            config, data, run, clips, window, losses=losses, balance=balance, perceptual=perceptual,
            measurer_folder=measurer_folder, keep_tokens=keep_tokens, learns_grain=grain, on_skip=skip,
            on_notice=on_notice, **shared,
        )  # fmt: skip
    elif what == "measurer":
        task, *banks = prepare_measurer(data, run, clips, sizes["tokenizer"].size, **shared)
    elif what == "ecg-encoder":
        config = sizes["generator"]
        sources = load_ecgs((data, *more), run, clips, seed, config, device, skip, rate_hz)
        task = EcgEncoderTask(config, *sources, **shared)
    else:
        config, folder = begun_architecture(what, preset, start_from, run, resume)
        task, *banks = prepare_generator(
            config, (data, *more), run, clips, tokenizer_folder=tokenizer_folder, start_from=start_from, goes_on=folder,
            guidance=guidance, ecg_encoder=ecg_encoder, on_encoded=on_encoded, on_notice=on_notice, **shared,
        )  # fmt: skip
    if start_from and (not resume or what == "generator"):  # checkpoints do not hold a published ECG network
        begin_with(task.model, start_from, what)
    training = Run(task, settings, run, resume=resume)
    if what in KINDS:
        keep_architecture(what, task.config, run)
    writer = _tensorboard(run) if tensorboard else None

    def on_step(step: int, progress: float, scalars: dict[str, float]) -> None:
        if on_progress:
            on_progress(progress)
        if writer and step % 10 == 0:
            for name, value in scalars.items():
                writer.add_scalar(name, value, step)

    scores = training.train(on_step) | training.utilisation()
    model = training.averaged_model()
    if what == "measurer":
        model, more_scores = with_curve(model, *banks, run / "volumes", seed)
        scores |= more_scores
    if what == "ecg-encoder":
        part, model = "ecg_encoder", model.encoder  # what told the signal has done its work
    else:
        part = what
    about: dict[str, object] = {part: model.config}
    if what in ("generator", "measurer") or what == "tokenizer" and not keep_tokens:
        about["steering"] = None  # it has learned what others see, hear or say: `train steering` comes after them
    if what == "generator":
        familiarity = fit_familiarity(model, *banks, seed=seed)
        save_weights(familiarity, model_folder / "familiarity", torch.float16)
        about["familiarity"] = familiarity.config
        kind = model.config.ecg.kind
        about["licences"] = {"ecg_encoder": LICENCES[kind]} if kind in LICENCES else None  # none of a model before
    save_weights(model, model_folder / part)
    name = load_config(start_from).get("name") if start_from and not preset else None
    save_config(model_folder, name=name or f"echopulse-{preset or USUAL_PRESET}", **about)
    return scores | ({"skipped": len(skipped)} if skipped else {}), model_folder


def prepare_tokenizer(
    config: TokenizerConfig,
    data: str,
    run: Path,
    clips: int,
    window: int,
    *,
    losses: Mapping[str, float] | None,
    balance: bool,
    perceptual: Mapping[str, Path] | None,
    measurer_folder: Path | None,
    keep_tokens: bool,
    learns_grain: bool,
    on_skip: Callable[[str, str], None],
    on_notice: Callable[[str], None] | None,
    batch: int,
    device: str,
    seed: int,
) -> TokenizerTask:
    """The task of a tokenizer: its losses with their networks, then clips of `window` frames at least, or videos.

    Unless `learns_grain` is asked for, one that draws grain already keeps it on clips that do not say how tissue moves.
    """
    weights = loss_weights(config, losses)
    if measurer_folder and not weights["measurer"]:
        raise InputError("--measurer: no loss looks through it; add --loss measurer=WEIGHT.")
    judges = load_judges(weights, perceptual or {}, measurer_folder or BUNDLED, device)
    judges.check(weights, config.size)
    if holds_videos(data):
        learn, judge = load_own_videos(data, config, on_skip)
    else:
        moving = learns_grain or config.decoder == "motion" or (config.grain and data == "phantom")
        learn, judge, _ = load_simulated("tokenizer", data, run, clips, seed, config.size, window, device, moving)
    aims = {"weights": losses, "balance": balance, "judges": judges, "keep_tokens": keep_tokens}
    aims["keep_grain"] = keeps_grain(config, learn, data, on_notice)
    return TokenizerTask(config, learn, judge, batch=batch, device=device, seed=seed, **aims)


def prepare_generator(
    config: GeneratorConfig,
    data: Sequence[str],
    run: Path,
    clips: int,
    *,
    tokenizer_folder: Path | None,
    start_from: Path | None,
    goes_on: Path | None,
    guidance: float | None,
    ecg_encoder: str | Path | None,
    on_encoded: Callable[[float], None],
    on_notice: Callable[[str], None] | None,
    batch: int,
    device: str,
    seed: int,
) -> tuple[GeneratorTask, Bank, Bank]:
    """The task of a generator, with an ECG encoder that has learned already; its first bank, and the held-out clips.

    `config` is that of the weights in the folder `goes_on`, or the preset's where that is None.
    """
    published, learned = given_ecg_encoder(ecg_encoder)
    if published and on_notice:
        on_notice(published.licence)
    if config.ecg.kind != "own" and not published and not start_from:
        raise InputError(
            f"{run}: its generator hears through {config.ecg.kind}, whose weights a run does not hold; give the "
            "--ecg-encoder or --from that it began with."
        )
    ecg_weights = load_ecg_encoder(learned, config.ecg).state_dict() if learned else None
    tokenizer = _load_tokenizer(tokenizer_folder)
    if guidance is None:
        guidance = load_config(start_from).get("generator", {}).get("guidance") if start_from else guidance_of_run(run)
    held = config if goes_on else None
    # Weights that know neither age nor sex learn both.
    config = replace(fit_generator(config, tokenizer.config), guidance=guidance or 1.0, patient=True)
    config = with_ecg_encoder(config, published, start_from)
    window = 1 + 4 * (config.window - 1)
    (bank, *others), held_out = load_banks(data, run, clips, seed, tokenizer.config, window, device)
    config = replace(config, rates=with_held_rates(rates_of((bank, *others)), held, on_notice))
    for one in (bank, *others, held_out):
        check_views(one, config.views)
    # An encoder that is given, or comes with the generator or with its checkpoint, has learned already.
    if not learned and not start_from and not (run / "checkpoint.safetensors").exists():
        encoder = train_ecg_encoder(
            config, bank, held_out, run / "ecg", published, more=others, device=device, seed=seed
        )
        ecg_weights = encoder.state_dict()
    task = GeneratorTask(
        config, tokenizer, bank, held_out, more=others, ecg_weights=ecg_weights, kept=run / "tokens",
        workers=workers(device), on_encoded=on_encoded, batch=batch, device=device, seed=seed,
    )  # fmt: skip
    if published:
        with_network(task.model.ecg_encoder, published)
    return task, bank, held_out


def _load_tokenizer(folder: Path | None) -> Tokenizer:
    if folder is None:
        raise InputError("train generator: --tokenizer FOLDER is needed, which `train tokenizer` has written.")
    return load_network(folder, "tokenizer")


def _tensorboard(run: Path):
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        remedy = "pip install 'echopulse[tensorboard]'"
        raise InputError(f"--tensorboard: the package tensorboard is missing; {remedy}.") from error
    return SummaryWriter(run / "tensorboard")
