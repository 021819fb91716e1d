"""`echopulse measure`: the left ventricle of a clip in numbers."""

import argparse
from pathlib import Path

from echopulse.cli.shared import add_verb


def add_measure(verbs) -> None:
    """The options of `measure`."""
    verb = add_verb(
        verbs, "measure", run_measure, "outline the left ventricle in a clip: volumes, EF, ED/ES, rate",
        "echopulse measure clip.mp4 --json clip.measured.json",
    )  # fmt: skip
    verb.add_argument("clip", type=Path, help="MP4, AVI, GIF, WebM, NPZ or DICOM")
    verb.add_argument("--model", type=Path, help="a model folder instead of the bundled weights")
    verb.add_argument("--json", type=Path, help="write the numbers here too")
    verb.add_argument("--force", action="store_true", help="replace files that exist")


def run_measure(options: argparse.Namespace) -> int:
    """Prints what is found in a clip, and writes it where asked."""
    from echopulse.echo import check_output, read_clip

    if options.json:
        check_output(options.json, force=options.force, endings=(".json",))
    clip = read_clip(options.clip)
    from echopulse.files import write_json
    from echopulse.measure.report import as_dictionary, describe
    from echopulse.pipeline import EchoPulse

    measurement = EchoPulse.from_pretrained(options.model).measure(clip)
    print(describe(measurement, clip))
    if options.json:
        write_json(as_dictionary(measurement, clip), options.json)
    return 0
