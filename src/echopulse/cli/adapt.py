"""`echopulse adapt`: LoRA adapters, which teach a trained model another domain and leave the model as it is."""

import argparse
from functools import partial
from pathlib import Path

from echopulse.cli.shared import Progress, add_verb, say_notice, say_skipped


def add_adapt(verbs) -> None:
    """`adapt tokenizer`, `adapt generator` and `adapt merge`, each with its options."""
    adapt = verbs.add_parser(
        "adapt", help="teach a trained model another domain by a small adapter (LoRA)",
        description="Teach a trained model another domain by a small adapter (LoRA).",
        epilog="example:\n  echopulse adapt tokenizer --data my_videos --out look-b --minutes 10",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    kinds = adapt.add_subparsers(dest="what", required=True, metavar="WHAT")
    _add_network(
        kinds, "tokenizer", "a folder of videos or of .tar shards of them, a bank from `simulate --bank`",
        "'decoder*,encoder_out' or '*' for all; while the encoder stays, a generator knows the tokens",
        "echopulse adapt tokenizer --data my_videos --out look-b --minutes 10\n"
        "  echopulse generate watch.csv --adapter look-b",
    )  # fmt: skip
    _add_network(
        kinds, "generator", "a bank from `simulate --bank`", "'blocks.5*' or '*' for all",
        "echopulse adapt generator --data weak_hearts --out weak --minutes 10",
    )  # fmt: skip
    _add_merge(kinds)


def _add_network(kinds, what: str, data: str, layers: str, example: str) -> None:
    text = f"train an adapter of a model's {what} on other clips"
    verb = add_verb(kinds, what, partial(run_adapt, what), text, example)
    verb.add_argument("--model", type=Path, help="a model folder instead of the bundled weights")
    verb.add_argument("--data", default="phantom", help=f"{data}, or phantom: one is made first")
    verb.add_argument("--clips", type=int, default=256, help="clips to simulate with --data phantom")
    verb.add_argument("--rank", type=int, default=8, help="how many numbers every layer's change goes through")
    verb.add_argument("--alpha", type=float, default=16.0, help="changes are scaled by alpha / rank")
    own = {"tokenizer": "the decoder", "generator": "the transformer"}[what]
    verb.add_argument("--layers", metavar="PATTERN", help=f"which layers, {own} by default, as {layers}")
    verb.add_argument("--run", type=Path, help=f"folder of the run; runs/out/adapt-{what} by default")
    verb.add_argument("--resume", type=Path, metavar="RUN", help="go on with the run in this folder")
    verb.add_argument("--out", type=Path, metavar="ADAPTER", help="folder of the adapter; RUN/adapter by default")
    verb.add_argument("--steps", type=int, help="steps in all")
    verb.add_argument("--minutes", type=float, help="let the schedule follow the clock and stop after this")
    verb.add_argument("--batch", type=int)
    verb.add_argument("--learning-rate", type=float)
    verb.add_argument("--device", default="cpu")
    verb.add_argument("--seed", type=int, default=0, help="of the adapter and batches")


def run_adapt(what: str, options: argparse.Namespace) -> int:
    """Trains an adapter of a tokenizer or a generator, or goes on with it."""
    from echopulse.pipeline import BUNDLED
    from echopulse.train.adapt import adapt

    with Progress(f"adapting the {what}") as on_step:
        scores, folder = adapt(
            what, options.model or BUNDLED, data=options.data, clips=options.clips, rank=options.rank,
            alpha=options.alpha, layers=options.layers,
            run=options.resume or options.run or Path(f"runs/out/adapt-{what}"), resume=options.resume is not None,
            out=options.out, steps=options.steps, minutes=options.minutes, batch=options.batch,
            learning_rate=options.learning_rate, device=options.device, seed=options.seed, on_progress=on_step,
            on_skip=say_skipped, on_notice=say_notice,
        )  # fmt: skip
    print(f"{folder}: " + ", ".join(f"{name} {value:.4g}" for name, value in scores.items()))
    return 0


def _add_merge(kinds) -> None:
    verb = add_verb(
        kinds, "merge", run_adapt_merge, "write a model folder with adapters merged into its weights",
        "echopulse adapt merge --adapter look-b --adapter sharper:0.5 --out model-b",
    )  # fmt: skip
    verb.add_argument("--model", type=Path, help="a model folder instead of the bundled weights")
    verb.add_argument("--adapter", action="append", required=True, metavar="FOLDER[:WEIGHT]")
    verb.add_argument("--out", type=Path, required=True, help="folder of the merged model")


def run_adapt_merge(options: argparse.Namespace) -> int:
    """Writes the merged model."""
    from echopulse.model.adapter_files import parse_spec
    from echopulse.pipeline import BUNDLED
    from echopulse.train.adapt import merge_adapters

    out = merge_adapters(options.model or BUNDLED, [parse_spec(text) for text in options.adapter], options.out)
    print(f"{out}: a model folder with {len(options.adapter)} merged; give it as --model.")
    return 0
