"""What the verbs share: how they explain themselves, tell their progress and complain."""

import argparse
import sys
from collections.abc import Callable

NOTICE = "Synthetic video from a model that learned from simulated hearts. Not for diagnosis."


class _Help(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Examples as they are written, and every default that there is."""

    def _get_help_string(self, action: argparse.Action) -> str:
        if action.default in (None, False, [], "==SUPPRESS==") or "default" in (action.help or ""):
            return action.help or ""
        return f"{action.help or action.dest} (default: %(default)s)"


def add_verb(verbs, name: str, run: Callable, help: str, example: str) -> argparse.ArgumentParser:
    """The parser of one verb, which `run` carries out."""
    verb = verbs.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=_Help,
    )
    verb.add_argument("--verbose", action="store_true", help="show the traceback of an error")
    verb.set_defaults(command=run)
    return verb


def add_ecg_options(verb: argparse.ArgumentParser) -> None:
    """How a recording is read: what the readers' own advice names."""
    verb.add_argument("--at", type=float, help="where in the ECG the clip begins, in seconds")
    verb.add_argument("--rate", type=float, help="the ECG's sampling rate in Hz where the file does not say")
    verb.add_argument("--allow-flat", action="store_true", help="accept a flat line (the heart then stands still)")


def add_adapter_option(verb: argparse.ArgumentParser) -> None:
    """`--adapter`, for commands that load a model."""
    verb.add_argument("--adapter", action="append", default=[], metavar="FOLDER[:WEIGHT]", help="an adapter from "
                      "`adapt`, by default with weight 1; give it again for another one")  # fmt: skip


def load_adapted_tokenizer(options: argparse.Namespace):
    """The tokenizer that `--model` and `--adapter` ask for."""
    from echopulse.model.adapter_files import attach, parse_spec
    from echopulse.model.networks import load_network
    from echopulse.pipeline import BUNDLED

    tokenizer = load_network(options.model or BUNDLED, "tokenizer")
    attach({"tokenizer": tokenizer}, [parse_spec(text) for text in options.adapter])
    return tokenizer


class Progress:
    """A bar that appears after two seconds; entered, it gives a function that takes the share done, 0..1.

    Beside the share that function takes the name of a part that is complete, which gets a line of its own, also where
    there is no terminal to draw a bar in.
    """

    def __init__(self, label: str):
        self.label = label

    def __enter__(self) -> Callable[..., None]:
        self.bar = None
        try:
            from tqdm import tqdm
        except ImportError:  # on a training machine there may be torch, numpy and safetensors only
            return self._to
        # Nothing is drawn where no terminal looks (disable=None).
        form = "{desc} {percentage:3.0f}%|{bar}| {remaining}"
        self.bar = tqdm(total=100, desc=self.label, delay=2, leave=False, bar_format=form, disable=None)
        return self._to

    def _to(self, share: float, complete: str | None = None) -> None:
        if complete is not None:
            say = print if self.bar is None else self.bar.write
            say(f"{self.label}: {complete} done, {100 * share:.0f} % of all", file=sys.stderr)
        if self.bar is not None:
            self.bar.update(max(0, round(100 * share) - self.bar.n))

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()


def say_skipped(name: str, reason: str) -> None:
    """Tells that one of several files is left out, and why."""
    print(f"echopulse: {name}: {reason}; skipped.", file=sys.stderr)


def say_notice(text: str) -> None:
    """Tells what a user has to know but did not ask for."""
    print(f"echopulse: {text}.", file=sys.stderr)


def fail(error: Exception, verbose: bool) -> int:
    """Tells what went wrong in one line, or with its traceback; gives the exit code."""
    if verbose:
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    else:
        text = " ".join(str(error).split()) or type(error).__name__
        print(f"echopulse: {text}", file=sys.stderr)
    return 1
