"""`echopulse train`: the tokenizer, the generator, the measurer, the ECG encoder or what steers the EF."""

import argparse
from pathlib import Path

from echopulse.cli.shared import Progress, add_verb, say_notice, say_skipped
from echopulse.errors import InputError


def add_train(verbs) -> None:
    """The options of `train`."""
    verb = add_verb(
        verbs, "train", run_train, "train the tokenizer, the generator, the measurer, the ECG encoder or the steering",
        "echopulse train tokenizer --data bank --run runs/out/tokenizer --minutes 30\n"
        "  echopulse train tokenizer --data my_videos --quantizer fsq:8,8,8,8,4\n"
        "  echopulse train tokenizer --data bank --balance --loss speckle=0.5 --loss adversarial=0.2\n"
        "  echopulse train tokenizer --data bank --patch 8 --decoder motion\n"
        "  echopulse train generator --data bank --data bank50 --tokenizer MODEL\n"
        "  echopulse train ecg-encoder --data my_ecgs --data bank --out ecg\n"
        "  echopulse train generator --data bank --tokenizer MODEL --ecg-encoder ecg\n"
        "  echopulse train steering --data bank --from MODEL --out MODEL",
    )  # fmt: skip
    verb.add_argument("what", choices=("tokenizer", "generator", "measurer", "ecg-encoder", "steering"))
    verb.add_argument("--data", action="append", help="a bank from `simulate --bank`, or phantom (default): one is "
                      "made first; tokenizer: also a folder of videos or of .tar shards of them; generator: again for "
                      "clips of another frame rate; ecg-encoder: also a folder of ECGs, or one of each")  # fmt: skip
    verb.add_argument("--clips", type=int, default=1024, help="clips to simulate with --data phantom")
    verb.add_argument("--preset", help="tiny, small or base; small by default, with --from the sizes of its weights")
    verb.add_argument("--quantizer", metavar="KIND:SIZE", help="tokenizer: lfq:14 (bits), fsq:8,8,8,8,4 (levels) or "
                      "vq:16384 (codes); the generator takes 2^n codes")  # fmt: skip
    verb.add_argument("--grain", action="store_true", help="tokenizer: also learn to draw the speckle that tokens "
                      "cannot hold, from shards made with --displacement")  # fmt: skip
    verb.add_argument("--patch", type=int, help="tokenizer: pixels along a token's side, 16 (default) or 8, which "
                      "makes four times as many tokens")  # fmt: skip
    verb.add_argument("--decoder", metavar="KIND", help="tokenizer: plain (default) or motion, which bends the first "
                      "picture to draw the later ones, learned from shards made with --displacement")  # fmt: skip
    verb.add_argument("--loss", action="append", default=[], metavar="NAME=WEIGHT", help="tokenizer: how much a loss "
                      "counts, 0 switches it off; again for another (docs/tokenizer.md lists them)")  # fmt: skip
    verb.add_argument("--balance", action="store_true", help="tokenizer: make weights shares of the gradient at the "
                      "picture, whatever the losses' scales")  # fmt: skip
    verb.add_argument("--perceptual", metavar="NAME=FILE,...", help="tokenizer: published networks for the losses "
                      "lpips (lpips-alex or lpips-vgg with lpips-heads) and video (i3d)")  # fmt: skip
    verb.add_argument("--measurer", type=Path, metavar="MODEL", help="tokenizer: model folder of the measurer for the "
                      "loss of that name; the bundled one by default")  # fmt: skip
    verb.add_argument("--run", type=Path, help="folder of the run; runs/out/WHAT by default")
    verb.add_argument("--resume", type=Path, metavar="RUN", help="go on with the run in this folder")
    verb.add_argument("--from", type=Path, dest="start_from", metavar="MODEL", help="begin with the weights of this "
                      "model folder, and their architecture, instead of chance; generator, with --resume: where its "
                      "published ECG encoder is")  # fmt: skip
    verb.add_argument("--only-volumes", action="store_true", help="measurer: only learn to read volumes with "
                      "the clip's other frames, and leave all else that --from holds as it is")  # fmt: skip
    verb.add_argument("--keep-tokens", action="store_true", help="tokenizer: only the decoder learns, so that a "
                      "generator of the tokenizer in --from goes on with it")  # fmt: skip
    verb.add_argument("--guidance", type=float, help="generator: build in guidance of this strength (3 suits): "
                      "generating then takes one pass a step; by default what --from holds, or none")  # fmt: skip
    verb.add_argument("--ecg-encoder", metavar="MODEL|KIND=FILE", help="generator: begin with the ECG encoder of this "
                      "model folder, from `train ecg-encoder`, instead of training one first; or hear through "
                      "published weights that stand still, st-mem=FILE or ecgfounder=FILE")  # fmt: skip
    verb.add_argument("--rate", type=float, metavar="HZ", help="ecg-encoder: sampling rate of the ECG files that do "
                      "not say theirs")  # fmt: skip
    verb.add_argument("--tokenizer", type=Path, metavar="MODEL", help="generator: model folder with the tokenizer "
                      "whose tokens it learns; give it as --out too, so that both are in one folder")  # fmt: skip
    verb.add_argument("--out", type=Path, metavar="MODEL", help="model folder for the averaged weights, RUN/model by "
                      "default; one that is there already gets this part new and keeps its others. `generate --model` "
                      "needs tokenizer, generator and measurer in one")  # fmt: skip
    verb.add_argument("--steps", type=int, help="steps in all; the recipe's own by default")
    verb.add_argument("--minutes", type=float, help="let the schedule follow the clock and stop after this")
    verb.add_argument("--batch", type=int, help="clips of a step; the recipe's own by default")
    verb.add_argument("--learning-rate", type=float, help="at its highest; the recipe's own by default")
    verb.add_argument("--device", default="cpu")
    verb.add_argument("--seed", type=int, default=0, help="of weights and batches")
    verb.add_argument("--tensorboard", action="store_true", help="also log for TensorBoard (the extra of that name)")


def run_train(options: argparse.Namespace) -> int:
    """Trains one of the five models, or goes on with it."""
    goes_on = options.only_volumes or options.what in ("generator", "steering")
    if options.start_from and options.resume and not goes_on:
        raise InputError("--from with --resume: a run goes on with its own weights; leave one of them out.")
    from echopulse.evaluate.metrics.networks import feature_files
    from echopulse.train.losses.weights import parse_weights
    from echopulse.train.recipes import train

    data, *more = options.data or ["phantom"]
    losses, files = parse_weights(options.loss), feature_files(options.perceptual, "--perceptual")
    with Progress("encoding the clips") as on_encoded, Progress(f"training the {options.what}") as on_step:
        scores, model = train(
            options.what, data=data, more=more, clips=options.clips, preset=options.preset, quantizer=options.quantizer,
            grain=options.grain, patch=options.patch, decoder=options.decoder, losses=losses,
            balance=options.balance, perceptual=files, measurer_folder=options.measurer,
            run=options.resume or options.run or Path("runs/out") / options.what, resume=options.resume is not None,
            tokenizer_folder=options.tokenizer, start_from=options.start_from,
            only_volumes=options.only_volumes, keep_tokens=options.keep_tokens, guidance=options.guidance,
            ecg_encoder=options.ecg_encoder, rate_hz=options.rate, out=options.out, steps=options.steps,
            minutes=options.minutes, batch=options.batch, learning_rate=options.learning_rate, device=options.device,
            seed=options.seed, tensorboard=options.tensorboard, on_progress=on_step,
            on_encoded=on_encoded, on_skip=say_skipped, on_notice=say_notice,
        )  # fmt: skip
    print(f"{model}: " + ", ".join(f"{name} {value:.4g}" for name, value in scores.items()))
    return 0
