"""`echopulse evaluate`: the table of what a model reaches, anybody's model."""

import argparse
from pathlib import Path
from typing import Any

from echopulse.cli.shared import Progress, add_adapter_option, add_verb
from echopulse.errors import InputError

# What an option is unless it is given; options that make no sense with some others are told by it.
DEFAULTS = {
    "ecg": [], "model": None, "clips": 200, "seconds": 2.0, "seed": 990_000, "start": "phantom", "only": None,
    "work": None, "features": None, "as_published": False, "train_data": None, "reject_copies": None, "markdown": None,
    "json": None, "html": None, "export_tasks": None, "reproduce": None,
}  # fmt: skip
SUPPLIED = ("features", "as_published", "train_data", "reject_copies")
ONLY_FOR = {
    "ecg": ("files",), "start": ("files", "speed"), "features": ("quality",), "as_published": ("quality",),
    "train_data": ("privacy",), "reject_copies": ("quality",),
}  # fmt: skip


def add_evaluate(verbs) -> None:
    """The options of `evaluate`."""
    verb = add_verb(
        verbs, "evaluate", run_evaluate, "measure a model on held-out simulated hearts and on given ECG files",
        "echopulse evaluate --clips 64 --html page.html --json table.json\n"
        "  echopulse evaluate --model my_package.my_module:generate --only timing,controls\n"
        "  echopulse evaluate --reproduce README.md",
    )  # fmt: skip
    verb.add_argument("ecg", nargs="*", type=Path, help="ECG files to generate from and compare beats with")
    verb.add_argument("--model", metavar="SPEC", help="instead of the bundled weights: a model folder, "
                      "package.module:function, or a folder of clips made for --export-tasks")  # fmt: skip
    add_adapter_option(verb)
    verb.add_argument("--clips", type=int, default=DEFAULTS["clips"], help="held-out simulated clips")
    verb.add_argument("--seconds", type=float, default=DEFAULTS["seconds"], help="length of each")
    verb.add_argument("--seed", type=int, default=DEFAULTS["seed"], help="seed of the held-out hearts")
    verb.add_argument("--start", default=DEFAULTS["start"], help="how clips from ECG files open: phantom or generated")
    verb.add_argument("--only", metavar="PARTS", help="comma-separated: speed, tokenizer, measurer, timing, controls, "
                      "quality, privacy, usefulness, conditions, ceiling, long, files (default: all that suit, but "
                      "usefulness, conditions, ceiling and long)")  # fmt: skip
    verb.add_argument("--work", type=Path, metavar="DIR", help="keep finished parts here, for a later run to go on")
    verb.add_argument("--features", metavar="NAME=FILE,...", help="published feature networks: inception, i3d, "
                      "lpips-alex or lpips-vgg with lpips-heads")  # fmt: skip
    verb.add_argument("--as-published", action="store_true", help="add the older paper's own scores, labelled so")
    verb.add_argument("--train-data", type=Path, metavar="DIR", help="the model's training clips, for privacy")
    verb.add_argument("--reject-copies", type=Path, metavar="DIR", help="a saved copy filter; what it rejects is left "
                      "out of the quality figures")  # fmt: skip
    verb.add_argument("--markdown", type=Path, metavar="FILE")
    verb.add_argument("--json", type=Path, metavar="FILE")
    verb.add_argument("--html", type=Path, metavar="FILE", help="one page with everything, for any browser, offline")
    verb.add_argument("--export-tasks", type=Path, metavar="DIR", help="write ECGs and first pictures for another "
                      "model to answer, and stop")  # fmt: skip
    verb.add_argument("--reproduce", type=Path, metavar="README", help="run again what a page claims; 1 if it differs")
    verb.add_argument("--force", action="store_true", help="replace files that exist")


def run_evaluate(options: argparse.Namespace) -> int:
    """Prints the table between two lines that say the overall result, and writes it where asked."""
    from echopulse.echo import check_output

    _refuse_what_would_be_ignored(options)
    for path, ending in ((options.markdown, ".md"), (options.json, ".json"), (options.html, ".html")):
        if path:
            check_output(path, force=options.force, endings=(ending,))
    for other in ("export_tasks", "reproduce"):
        if getattr(options, other):
            return {"export_tasks": _export_tasks, "reproduce": _reproduce}[other](options)
    from echopulse.evaluate.html import to_html
    from echopulse.evaluate.report import headline, to_json, to_markdown
    from echopulse.files import write_text

    results = _evaluate(options)
    print(to_markdown(results), headline(results), sep="\n\n")  # again at the end, where a terminal stands
    for path, form in ((options.markdown, to_markdown), (options.json, to_json), (options.html, to_html)):
        if path:
            write_text(form(results), path)
    return 0


def _refuse_what_would_be_ignored(options: argparse.Namespace) -> None:
    if options.export_tasks or options.reproduce:
        mode, used, why = (
            ("export_tasks", ("clips", "seconds", "seed"), "tasks hang on --clips, --seconds and --seed alone")
            if options.export_tasks
            else ("reproduce", ("model", "work", *SUPPLIED), "the page says what is evaluated, its table is printed")
        )
        others = [name for name in DEFAULTS if name not in (mode, *used)]
        if ignored := [name for name in others if getattr(options, name) != DEFAULTS[name]]:
            raise InputError(f"{_named(ignored)} with {_named([mode])}: {why}.")
    parts = _parts(options)
    for name, needs in ONLY_FOR.items():
        if parts and not set(needs) & set(parts) and getattr(options, name) != DEFAULTS[name]:
            raise InputError(
                f"{_named([name])} with --only {options.only}: only {' and '.join(needs)} would look at it; add the "
                "part or leave it out."
            )


def _named(names: list[str]) -> str:
    """Options as they are typed."""
    return ", ".join("ECG files" if name == "ecg" else f"--{name.replace('_', '-')}" for name in names)


def _parts(options: argparse.Namespace) -> list[str] | None:
    """The parts asked for; None: all that suit."""
    return None if options.only is None else [name.strip() for name in options.only.split(",")]


def _evaluate(options: argparse.Namespace):
    """Results of what the options ask for."""
    from echopulse.evaluate.runner import evaluate

    supplied, candidate = _supplied(options), _candidate(options)
    with Progress("evaluating") as on_step:
        return evaluate(
            candidate, parts=_parts(options), clips=options.clips, seconds=options.seconds, seed=options.seed,
            ecg_files=options.ecg, start=options.start, on_step=on_step, **supplied,
        )  # fmt: skip


def _supplied(options: argparse.Namespace) -> dict[str, Any]:
    """What a user hands over beside the model, for an evaluation of any kind."""
    from echopulse.evaluate.metrics.networks import feature_files

    return {
        "features": feature_files(options.features), "as_published": options.as_published,
        "train_data": options.train_data, "reject_copies": options.reject_copies, "work": options.work,
    }  # fmt: skip


def _candidate(options: argparse.Namespace):
    """Whose clips are judged."""
    from echopulse.evaluate.candidates import load_candidate
    from echopulse.model.adapter_files import parse_spec

    return load_candidate(options.model, adapters=[parse_spec(text) for text in options.adapter])


def _export_tasks(options: argparse.Namespace) -> int:
    from echopulse.evaluate.candidates import export_tasks

    with Progress("exporting") as on_step:
        count = export_tasks(options.export_tasks, clips=options.clips, seed=options.seed, seconds=options.seconds,
                             on_step=on_step)  # fmt: skip
    print(f"{count} tasks in {options.export_tasks}/tasks.csv: make clips/TASK.mp4 for each, then give the folder as "
          "--model with the same --clips, --seed and --seconds.")  # fmt: skip
    return 0


def _reproduce(options: argparse.Namespace) -> int:
    from echopulse.evaluate.reproduce import reproduce, to_markdown
    from echopulse.evaluate.runner import evaluate

    def again(*, ecg: str | None = None, **settings):
        files = [options.reproduce.parent / ecg] if ecg else []
        with Progress("evaluating") as on_step:
            return evaluate(candidate, ecg_files=files, on_step=on_step, **supplied, **settings)

    supplied, candidate = _supplied(options), _candidate(options)
    checks = reproduce(options.reproduce, again)
    print(to_markdown(checks))
    return 0 if all(check.holds for check in checks) else 1
