"""`echopulse evaluate`: the table of what a model reaches."""

import argparse
from pathlib import Path

from echopulse.cli.shared import Progress, add_verb
from echopulse.errors import InputError


def add_evaluate(verbs) -> None:
    """The options of `evaluate`."""
    verb = add_verb(
        verbs, "evaluate", run_evaluate, "measure a model on held-out simulated hearts and on given ECG files",
        "echopulse evaluate --clips 64 --markdown table.md --json table.json",
    )  # fmt: skip
    verb.add_argument("ecg", nargs="*", type=Path, help="ECG files to generate from and compare beats with")
    verb.add_argument("--model", type=Path, help="a model folder instead of the bundled weights")
    verb.add_argument("--clips", type=int, default=48, help="held-out simulated clips")
    verb.add_argument("--seed", type=int, default=990_000, help="seed of the held-out hearts")
    verb.add_argument("--start", default="phantom")
    verb.add_argument("--only", help="comma-separated parts: " + ",".join(EVALUATION_PARTS))
    verb.add_argument("--markdown", type=Path)
    verb.add_argument("--json", type=Path)
    verb.add_argument("--force", action="store_true", help="replace files that exist")


EVALUATION_PARTS = ("tokenizer", "measurer", "timing", "controls", "files", "speed")


def run_evaluate(options: argparse.Namespace) -> int:
    """Prints the table, and writes it where asked."""
    from echopulse.echo import check_output

    for path, ending in ((options.markdown, ".md"), (options.json, ".json")):
        if path:
            check_output(path, force=options.force, endings=(ending,))
    from echopulse.evaluate.report import evaluate, to_json, to_markdown
    from echopulse.evaluate.results import Results
    from echopulse.files import write_text
    from echopulse.pipeline import EchoPulse

    parts = tuple(options.only.split(",")) if options.only else EVALUATION_PARTS
    if unknown := sorted(set(parts) - set(EVALUATION_PARTS)):
        raise InputError(f"--only {','.join(unknown)}: expected some of {', '.join(EVALUATION_PARTS)}.")
    pulse = EchoPulse.from_pretrained(options.model)
    with Progress("evaluating") as on_step:
        scores = evaluate(pulse, clips=options.clips, seed=options.seed, ecg_files=options.ecg, parts=parts,
                          start=options.start, on_step=on_step)  # fmt: skip
    results = Results.of(scores)
    print(to_markdown(results))
    if options.markdown:
        write_text(to_markdown(results) + "\n", options.markdown)
    if options.json:
        write_text(to_json(results), options.json)
    return 0
