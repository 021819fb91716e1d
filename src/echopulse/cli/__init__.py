"""The command line: one short module per verb. What it does lives in the rooms."""

import argparse
import sys
from collections.abc import Sequence

from echopulse import __version__
from echopulse.cli.adapt import add_adapt
from echopulse.cli.bench import add_bench
from echopulse.cli.compare import add_compare
from echopulse.cli.ecg import add_ecg
from echopulse.cli.evaluate import add_evaluate
from echopulse.cli.generate import add_generate
from echopulse.cli.measure import add_measure
from echopulse.cli.shared import NOTICE, fail
from echopulse.cli.simulate import add_simulate
from echopulse.cli.tokenize import add_tokenize
from echopulse.cli.train import add_train
from echopulse.errors import InputError

__all__ = ["build_parser", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns 0 (done), 1 (failed) or 2 (used wrongly)."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        return options.command(options)
    except InputError as error:
        return fail(error, options.verbose)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 1
    except (OSError, RuntimeError) as error:
        return fail(error, options.verbose)


def build_parser() -> argparse.ArgumentParser:
    """The parser of every verb."""
    parser = argparse.ArgumentParser(prog="echopulse", description=f"An ECG becomes an echo video. {NOTICE}")
    parser.add_argument("--version", action="version", version=f"echopulse {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    add_generate(verbs)
    add_ecg(verbs)
    add_simulate(verbs)
    add_measure(verbs)
    add_tokenize(verbs)
    add_train(verbs)
    add_adapt(verbs)
    add_evaluate(verbs)
    add_compare(verbs)
    add_bench(verbs)
    return parser
