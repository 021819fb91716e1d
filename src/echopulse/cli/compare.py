"""`echopulse compare`: what two evaluations have in common and where they differ."""

import argparse
from pathlib import Path

from echopulse.cli.shared import add_verb


def add_compare(verbs) -> None:
    """The options of `compare`."""
    verb = add_verb(
        verbs, "compare", run_compare, "hold two evaluations against each other, figure by figure, with intervals",
        "echopulse compare before.json after.json",
    )  # fmt: skip
    verb.add_argument("a", type=Path, metavar="A.json", help="what `echopulse evaluate --json` wrote")
    verb.add_argument("b", type=Path, metavar="B.json", help="another; differences are B less A")
    verb.add_argument("--anyway", action="store_true", help="compare across versions or held-out data, unpaired")
    verb.add_argument("--json", type=Path, help="write the differences here too")
    verb.add_argument("--force", action="store_true", help="replace files that exist")


def run_compare(options: argparse.Namespace) -> int:
    """Prints both values of every figure, their difference and its interval, between two lines that sum them up."""
    from echopulse.echo import check_output

    if options.json:
        check_output(options.json, force=options.force, endings=(".json",))
    from echopulse.evaluate.compare import as_dictionary, compare, headline, to_markdown
    from echopulse.evaluate.report import read_results
    from echopulse.files import seven_figures, write_json

    names = str(options.a), str(options.b)
    found = compare(read_results(options.a), read_results(options.b), anyway=options.anyway, names=names)
    print(to_markdown(found, names), headline(found, names), sep="\n\n")  # again at the end, where a terminal stands
    if options.json:
        write_json(as_dictionary(found), options.json, seven_figures)
    return 0
