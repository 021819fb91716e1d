"""From the words of a command to a trained model folder: data, sizes and rates of each recipe."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from echopulse.data import Bank, fill_bank
from echopulse.data.recordings import Recordings, load_recordings
from echopulse.data.videos import Videos, load_videos
from echopulse.errors import InputError
from echopulse.files import write_json
from echopulse.jobs import usable_cores
from echopulse.measure.segmenter import Segmenter, SegmenterConfig, load_segmenter
from echopulse.model.checkpoint import load_config, load_weights, save_config, save_weights
from echopulse.model.config import (
    PRESETS,
    VIEWS,
    GeneratorConfig,
    TokenizerConfig,
    config_from_dict,
    fit_generator,
    parse_quantizer,
)
from echopulse.model.ecg_checkpoints import PublishedEcg, load_published_ecg, parse_ecg_encoder, with_network
from echopulse.model.ecg_config import LICENCES
from echopulse.model.generator import Generator
from echopulse.model.networks import load_ecg_encoder, load_network
from echopulse.model.tokenizer import Tokenizer
from echopulse.phantom.types import APICAL_VIEWS, LABELS
from echopulse.phantom.types import VIEWS as ALL_VIEWS
from echopulse.pipeline import BUNDLED
from echopulse.train.banks import own_rate_first, rates_of
from echopulse.train.ecg_alone import EcgEncoderTask, EcgLearner
from echopulse.train.ecg_encoder import EcgTask
from echopulse.train.familiarity import fit_familiarity
from echopulse.train.generator import GeneratorTask, check_views, guidance_of_run
from echopulse.train.loop import Run, Settings
from echopulse.train.losses.judges import load_judges
from echopulse.train.losses.weights import loss_weights
from echopulse.train.measurer import MeasurerTask
from echopulse.train.tokenizer import TokenizerTask
from echopulse.train.volume_curve import shows_apical_views, train_curve_head, without_curve_head

HELD_OUT_SEED = 900_000  # training seeds stay below it
HELD_OUT_CLIPS = 64
SETTINGS = {
    "tokenizer": Settings(steps=3000, learning_rate=8e-4, ema=0.997),
    "ecg": Settings(steps=500, learning_rate=1e-3, ema=0.99, evaluate_every=250),
    "ecg-encoder": Settings(steps=2000, learning_rate=1e-3, ema=0.995),
    "generator": Settings(steps=3000, learning_rate=8e-4, weight_decay=0.05, ema=0.998),
    "measurer": Settings(steps=2000, learning_rate=2e-3, ema=0.995),
    "volumes": Settings(steps=4000, learning_rate=1e-3, weight_decay=0.05, ema=0.995, evaluate_every=250),
}
# Frames 0.08 s apart, so that a frame's neighbours are those that it is read with, over a beat of 50/min.
MEASURER_CLIPS = {"frames": 16, "fps": 12.5, "leads": 1, "ecg_before_s": 0.4, "labels": True}
# Of ten clips two are apical of every EF, evenly, and two apical of the clinical prior: volumes are read there. With
# half of them so, outlines in short axes were worse by 0.015 (Dice).
MEASURER_MIX = (
    (0.6, {"prior": "clinical", "view": ALL_VIEWS}),
    (0.2, {"prior": "clinical", "view": APICAL_VIEWS}),
    (0.2, {"prior": "uniform", "view": APICAL_VIEWS}),
)
MEASURER_CHANNELS = (32, 64, 96, 128, 160)
MEASURER_CONTEXT_S = 0.08
MEASURER_SEQUENCE = 3  # layers
MEASURER_HELD_OUT = 160
MOST_GUIDANCE = 10.0
ECG_PICTURES = 32  # pixels to a side, of clips that are simulated for their ECGs
BATCH = {"tokenizer": 6, "ecg": 32, "ecg-encoder": 32, "generator": 12, "measurer": 8, "volumes": 32}


def train(
    what: str,
    *,
    data: str = "phantom",
    more: Sequence[str] = (),
    clips: int = 1024,
    preset: str = "small",
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
    skipped.json. The ECG encoder learns from a bank, a folder of ECG files, or one of each (`more`). `quantizer`
    (lfq:14, fsq:8,8,8,8,4, vq:16384), `patch` and `decoder` take the place of the preset's; with `grain` the tokenizer
    also learns to draw speckle. Grain and the decoder "motion" are learned from shards that say how tissue moves.
    `losses`, `balance` and the networks for `perceptual` losses are a tokenizer's too (see `losses`);
    `measurer_folder` is the model folder of the measurer that one of them looks through, the bundled one by default.
    `start_from` is a model folder whose weights the run begins with instead of chance; they need not know grain or
    motion. With `keep_tokens` only the decoder of the tokenizer in `start_from` learns, so that a generator that has
    learned its tokens goes on with it. `guidance` is built into a generator, which then needs one pass a step; by
    default what it holds already, or none. It begins with the ECG encoder in the model folder `ecg_encoder`, or trains
    one first; with st-mem=FILE or ecgfounder=FILE in its place the generator hears through published weights, which
    stand still, and `on_notice` is told their licence. A measurer of labelled clips at last learns the curve of volumes
    in apical views, in RUN/volumes, while its other weights stand still; with `only_volumes` it learns nothing else,
    and `start_from` has to name a measurer. `more` are further banks for a generator, each of a frame rate of its own;
    its weights then know all rates from the lowest to the highest. `on_encoded` is told how much of a generator's bank
    is encoded, 0..1, `on_progress` how much of the training is done. Raises InputError for an unknown preset, a loss
    that is none or lacks its network, a run that exists without `resume`, a generator without a tokenizer, or weights
    of another architecture than the preset's.
    """
    if preset not in PRESETS:
        raise InputError(f"--preset {preset}: expected one of {', '.join(PRESETS)}.")
    check_numbers(steps=steps, minutes=minutes, batch=batch, clips=clips, learning_rate=learning_rate)
    if resume and not (run / "checkpoint.safetensors").exists() and not (run / "ecg").exists():
        raise InputError(f"{run}: no checkpoint.safetensors here to resume from.")
    if more and what not in ("generator", "ecg-encoder"):
        raise InputError(f"--data {more[0]}: only a generator learns from several banks; give the {what} one.")
    if start_from:
        load_config(start_from)  # what is no model folder is refused before anything is simulated
    if keep_tokens and (what != "tokenizer" or not (start_from or resume)):
        raise InputError("--keep-tokens: `train tokenizer --from MODEL` is needed, whose tokens are to be kept.")
    if ecg_encoder and (what != "generator" or start_from):
        raise InputError(
            f"--ecg-encoder {ecg_encoder}: it is what a new generator begins with; `train generator` without --from is "
            "needed."
        )
    if what != "generator" and guidance is not None:
        raise InputError(f"--guidance {guidance:g}: it is built into a generator, not into the {what}.")
    if guidance is not None and not 1 <= guidance <= MOST_GUIDANCE:
        raise InputError(f"--guidance {guidance:g}: from 1, which is none, to {MOST_GUIDANCE:g} is expected.")
    kind, given_ecg = parse_ecg_encoder(str(ecg_encoder)) if ecg_encoder else ("own", None)
    published, learned = (None, given_ecg) if kind == "own" else (load_published_ecg(kind, given_ecg), None)
    if published and on_notice:
        on_notice(published.licence)
    if what != "tokenizer" and (losses or balance or perceptual or measurer_folder):
        raise InputError(f"--loss, --balance, --perceptual and --measurer: they are a tokenizer's, not the {what}'s.")
    for name, value in {"quantizer": quantizer, "patch": patch, "decoder": decoder}.items():
        if value is not None and what != "tokenizer":
            raise InputError(f"--{name} {value}: it is chosen when the tokenizer is trained, not the {what}.")
    if grain and (what != "tokenizer" or holds_videos(data)):
        raise InputError(
            "--grain: only a tokenizer learns it, not from videos but from simulated shards that say how tissue "
            "moves; make some with `echopulse simulate --bank FOLDER --displacement`."
        )
    if only_volumes:
        given = {"steps": steps, "minutes": minutes, "learning_rate": learning_rate, "batch": batch}
        return train_only_volumes(
            what, start_from, data=data, clips=clips, run=run, resume=resume, out=out or run / "model", device=device,
            seed=seed, on_progress=on_progress, **given,
        )  # fmt: skip
    sizes = dict(PRESETS[preset])
    ecg_weights = load_ecg_encoder(learned, sizes["generator"].ecg).state_dict() if learned else None
    if quantizer:
        sizes["tokenizer"] = parse_quantizer(quantizer, sizes["tokenizer"])
    if grain:
        sizes["tokenizer"] = replace(sizes["tokenizer"], grain=True)
    if patch is not None:
        sizes["tokenizer"] = replace(sizes["tokenizer"], patch=patch)
    if decoder is not None:
        sizes["tokenizer"] = replace(sizes["tokenizer"], decoder=decoder)
        if decoder == "motion" and holds_videos(data):
            raise InputError("--decoder motion: it is learned from simulated shards, which say how tissue moves.")
    if what == "tokenizer":
        weights = loss_weights(sizes["tokenizer"], losses)
        if measurer_folder and not weights["measurer"]:
            raise InputError("--measurer: no loss looks through it; add --loss measurer=WEIGHT.")
        judges = load_judges(weights, perceptual or {}, measurer_folder or BUNDLED, device)
        judges.check(weights, sizes["tokenizer"].size)
    tokenizer = _load_tokenizer(tokenizer_folder) if what == "generator" else None
    if tokenizer:
        if guidance is None and start_from:
            guidance = load_config(start_from).get("generator", {}).get("guidance")
        elif guidance is None:
            guidance = guidance_of_run(run)
        sizes["generator"] = replace(fit_generator(sizes["generator"], tokenizer.config), guidance=guidance or 1.0)
        sizes["generator"] = with_ecg_encoder(sizes["generator"], published, start_from)
    frame_size = tokenizer.config.size if tokenizer else sizes["tokenizer"].size
    skipped: dict[str, str] = {}
    labelled = False
    if what == "ecg-encoder":
        simulated, recorded, skipped = load_ecgs((data, *more), run, clips, seed, sizes["generator"], device, on_skip)
    elif tokenizer:
        window = 1 + 4 * (sizes["generator"].window - 1)
        (bank, *others), held_out = load_banks((data, *more), run, clips, seed, tokenizer.config, window, device)
        sizes["generator"] = replace(sizes["generator"], rates=rates_of((bank, *others)))
    elif what == "tokenizer" and holds_videos(data):
        bank, held_out, skipped = load_own_videos(data, run, sizes["tokenizer"], on_skip)
    else:
        window = 1 if what == "measurer" else 1 + 4 * (sizes["generator"].window - 1)
        moving = what == "tokenizer" and sizes["tokenizer"].needs_motion
        bank, held_out, labelled = load_simulated(what, data, run, clips, seed, frame_size, window, device, moving)
    given = {"steps": steps, "minutes": minutes, "learning_rate": learning_rate}
    settings = replace(SETTINGS[what], seed=seed, **{name: value for name, value in given.items() if value is not None})
    shared = {"device": device, "seed": seed, "batch": batch or BATCH[what]}
    if what == "tokenizer":
        aims = {"weights": losses, "balance": balance, "judges": judges, "keep_tokens": keep_tokens}
        task = TokenizerTask(sizes["tokenizer"], bank, held_out, **shared, **aims)
        config = {"tokenizer": sizes["tokenizer"]}
    elif what == "measurer":
        measurer = SegmenterConfig(size=frame_size)  # shards without labels: the ventricle alone
        if labelled:
            measurer = SegmenterConfig(
                frame_size, MEASURER_CHANNELS, classes=len(LABELS), views=len(ALL_VIEWS),
                context_s=MEASURER_CONTEXT_S, volumes=True,
            )  # fmt: skip
        task = MeasurerTask(measurer, bank, held_out, **shared)
        config = {"measurer": measurer}
    elif what == "ecg-encoder":
        task = EcgEncoderTask(sizes["generator"], simulated, recorded, **shared)
        config = {"ecg_encoder": sizes["generator"].ecg}
    else:
        for one in (bank, *others, held_out):
            check_views(one, sizes["generator"].views)
        # An encoder that is given, or comes with the generator or with its checkpoint, has learned already.
        if not learned and not start_from and not (run / "checkpoint.safetensors").exists():
            encoder = train_ecg_encoder(
                sizes["generator"], bank, held_out, run / "ecg", published, more=others, device=device, seed=seed
            )
            ecg_weights = encoder.state_dict()
        task = GeneratorTask(
            sizes["generator"], tokenizer, bank, held_out, more=others, ecg_weights=ecg_weights, kept=run / "tokens",
            workers=_workers(device), on_encoded=on_encoded, **shared,
        )
        config = {"generator": sizes["generator"]}
    if start_from and not resume:
        begin_with(task.model, start_from, what)
    model_folder = out or run / "model"
    training = Run(task, settings, run, resume=resume)
    writer = _tensorboard(run) if tensorboard else None

    def on_step(step: int, progress: float, scalars: dict[str, float]) -> None:
        if on_progress:
            on_progress(progress)
        if writer and step % 10 == 0:
            for name, value in scalars.items():
                writer.add_scalar(name, value, step)

    scores = training.train(on_step) | training.utilisation()
    model = training.averaged_model()
    if what == "measurer" and measurer.volumes and shows_apical_views(bank) and shows_apical_views(held_out):
        settings = replace(SETTINGS["volumes"], seed=seed)
        model, more = train_curve_head(model, MEASURER_SEQUENCE, bank, held_out, run / "volumes", settings, resume=True)
        scores |= {f"curve_{name}": value for name, value in more.items()}
        config = {"measurer": model.config}
    if what == "generator":
        familiarity = fit_familiarity(model, bank, held_out, seed=seed)
        save_weights(familiarity, model_folder / "familiarity", torch.float16)
        config["familiarity"] = familiarity.config
        if (kind := sizes["generator"].ecg.kind) in LICENCES:
            config["licences"] = {"ecg_encoder": LICENCES[kind]}
    if isinstance(model, EcgLearner):
        save_weights(model.encoder, model_folder / "ecg_encoder")  # what told the signal has done its work
    else:
        save_weights(model, model_folder / what)
    save_config(model_folder, name=f"echopulse-{preset}", **config)
    return scores | ({"skipped": len(skipped)} if skipped else {}), model_folder


def check_numbers(*, learning_rate: float | None, **counts: float | None) -> None:
    """InputError for a count or a length that is not above 0, and for a learning rate that is below."""
    for name, value in counts.items():
        if value is not None and not value > 0:
            raise InputError(f"--{name} {value:g}: a number above 0 is expected.")
    if learning_rate is not None and not learning_rate >= 0:
        raise InputError(f"--learning-rate {learning_rate:g}: a number that is not below 0 is expected.")


def train_only_volumes(
    what: str,
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
    **given: int | float | None,
) -> tuple[dict[str, float], Path]:
    """The curve of volumes for a measurer that is there already; the last scores and the model folder.

    All other weights are those of `start_from`. What it has seen of the bank is kept in the run, so a run that was
    killed goes on where it was. Raises InputError where `start_from` reads no volumes or no clip shows an apical view.
    """
    if what != "measurer" or start_from is None:
        raise InputError("--only-volumes: `train measurer --from MODEL` is needed, with a measurer that reads volumes.")
    segmenter = load_segmenter(start_from)
    if not segmenter.config.volumes:
        raise InputError(f"{start_from}: this measurer reads no volumes that could be corrected; train a whole one.")
    bank, held_out, _ = load_simulated(what, data, run, clips, seed, segmenter.config.size, 1, device)
    asked = {name: value for name, value in given.items() if value is not None}
    segmenter, scores = train_curve_head(
        segmenter.to(device), MEASURER_SEQUENCE, bank, held_out, run, replace(SETTINGS["volumes"], seed=seed, **asked),
        batch=batch or BATCH["volumes"], resume=resume, on_progress=on_progress,
    )  # fmt: skip
    save_weights(segmenter, out / what)
    save_config(out, name=load_config(start_from).get("name", "echopulse"), measurer=segmenter.config)
    return scores, out


def begin_with(model: nn.Module, folder: Path, what: str) -> None:
    """Gives the model the weights that `folder` holds; a tokenizer may come from one without grain or motion, a
    generator from one that knows neither age nor sex.

    What that one did not know begins by chance. A measurer learns its curve of volumes anew. An ECG encoder may come
    from a generator.
    """
    if isinstance(model, EcgLearner):
        model.encoder.load_state_dict(load_ecg_encoder(folder, model.encoder.config).state_dict())
        return
    held = load_config(folder).get(what, {})
    if isinstance(model, Segmenter) and held.get("sequence"):
        kept = without_curve_head(load_segmenter(folder))
        if kept.config != model.config:
            raise InputError(f"{folder}: a measurer of another architecture than this recipe's ({kept.config}).")
        model.load_state_dict(kept.state_dict())
        return
    if isinstance(model, Generator) and model.config.patient and not held.get("patient"):
        known = load_weights(Generator(replace(model.config, patient=False)), folder / what).state_dict()
        model.load_state_dict(model.state_dict() | known)
        return
    grain, decoder = bool(held.get("grain")), held.get("decoder", "plain")
    if not isinstance(model, Tokenizer) or (grain, decoder) == (model.config.grain, model.config.decoder):
        load_weights(model, folder / what)
        return
    less = replace(
        model.config,
        grain=model.config.grain and grain,
        decoder=decoder if model.config.decoder == "motion" else model.config.decoder,
    )
    known, own = load_weights(Tokenizer(less), folder / what).state_dict(), model.state_dict()
    model.load_state_dict(own | {name: value for name, value in known.items() if name in own})


def with_ecg_encoder(config: GeneratorConfig, published: PublishedEcg | None, start_from: Path | None):
    """The generator's configuration with the published ECG encoder, or with the one of the generator to begin with."""
    ecg = published.config if published else config.ecg
    if start_from and "generator" in (held := load_config(start_from)):
        known = config_from_dict(GeneratorConfig, held["generator"]).ecg
        ecg = ecg if known.kind == "own" else known
    return config if ecg.kind == "own" else replace(config, ecg=replace(ecg, width=config.ecg.width))


def train_ecg_encoder(
    config: GeneratorConfig, bank: Bank, held_out: Bank, run: Path, published: PublishedEcg | None = None, *,
    more: Sequence[Bank] = (), device: str, seed: int,
) -> nn.Module:  # fmt: skip
    """The ECG encoder by itself, a minute's work; goes on or returns at once where it has been done before.

    Of a published one the head alone learns.
    """
    task = EcgTask(config, bank, held_out, more=more, batch=BATCH["ecg"], device=device, seed=seed)
    if published:
        with_network(task.model, published)
    training = Run(task, replace(SETTINGS["ecg"], seed=seed), run, resume=True)
    training.train()
    return training.averaged_model()


def holds_videos(data: str) -> bool:
    """Whether `data` names a folder that holds anything but simulated shards."""
    return data != "phantom" and not list(Path(data).glob("shard-*.safetensors"))


def load_own_videos(
    data: str, run: Path, config: TokenizerConfig, on_skip: Callable[[str, str], None] | None
) -> tuple[Videos, Videos, dict[str, str]]:
    """Videos to train on and to judge by, and the reasons for those that cannot be read, as they come up."""
    skipped, skip = skipping(run, on_skip)
    videos = load_videos(Path(data), size=config.size, fps=config.fps, workers=usable_cores(), on_skip=skip)
    return *videos, skipped


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
    on_skip: Callable[[str, str], None] | None,
) -> tuple[tuple[Bank, Bank] | None, tuple[Recordings, Recordings] | None, dict[str, str]]:  # fmt: skip
    """Banks and recordings to train on and to judge by, None for what `data` does not name, and what was skipped.

    InputError for two of a kind, and for clips that are too short for the generator's window.
    """
    skipped, skip = skipping(run, on_skip)
    folders = [one for one in data if holds_videos(one)]
    banks = [one for one in data if one not in folders]
    if len(folders) > 1 or len(banks) > 1:
        raise InputError(
            f"--data {' --data '.join(data)}: one bank (or phantom) and one folder of ECG files at most are expected; "
            "put what belongs together into one folder."
        )
    recorded = load_recordings(Path(folders[0]), rate_hz=config.ecg.rate_hz, on_skip=skip) if folders else None
    if not banks:
        return None, recorded, skipped
    bank = load_bank(banks[0], run, clips, seed, ECG_PICTURES, device)
    frames, size = bank.frames.shape[1:3]
    check_clips(bank, banks[0], 1 + 4 * (config.window - 1), size)
    alike = {} if bank.fps == TokenizerConfig().fps else {"fps": bank.fps, "frames": frames}
    held_out = load_held_out(run if banks[0] == "phantom" else Path(banks[0]), size, device, **alike)
    return (bank, held_out), recorded, skipped


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
    if bank.frames.shape[1] < window or bank.frames.shape[2] != size:
        raise InputError(
            f"{data}: clips of {list(bank.frames.shape[1:])}; at least {window} frames of {size}×{size} "
            f"are needed (simulate --bank ... --seconds {65 / bank.fps:.4g})."
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
    fill_bank(folder, clips, seed=seed, size=size, view=VIEWS, device=device, workers=_workers(device), **kept)
    return Bank.load(folder)


def load_measurer_bank(data: str, run: Path, clips: int, seed: int, size: int, device: str) -> Bank:
    """The bank in `data`, or one made inside the run of `clips` clips in all views whose every pixel has a label."""
    if data != "phantom":
        return Bank.load(Path(data))
    folder = run / "bank"
    options = {"size": size, "device": device, "workers": _workers(device), **MEASURER_CLIPS}
    for number, (share, kind) in enumerate(MEASURER_MIX):
        count = max(1, round(clips * share))
        fill_bank(folder, count, seed=len(MEASURER_MIX) * seed + number, shard=min(32, count), **kind, **options)
    return Bank.load(folder)


def load_held_out(beside: Path, size: int, device: str, *, clips: int = HELD_OUT_CLIPS, **options) -> Bank:
    """Clips of seeds that training never uses, made once beside the bank; `options` of the simulator."""
    folder = beside / "held-out"
    options = {"size": size, "view": VIEWS, "device": device, "workers": _workers(device)} | options
    fill_bank(folder, clips, seed=HELD_OUT_SEED, shard=min(32, clips), **options)
    return Bank.load(folder)


def _workers(device: str) -> int:
    """Processes that simulate: as many as there are cores, or one that has the accelerator to itself."""
    return usable_cores() if device == "cpu" else 1


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
