"""`echopulse ecg`: what is in an ECG file, how it was understood, on paper and in other formats."""

import argparse
from pathlib import Path

from echopulse.cli.shared import add_verb
from echopulse.errors import InputError


def add_ecg(verbs) -> None:
    """The options of `ecg`."""
    verb = add_verb(
        verbs, "ecg", run_ecg, "say what is in an ECG file and how it was understood; draw and convert it",
        "echopulse ecg holter.hea --at 3600 --seconds 10 --plot page.pdf --out part.csv",
    )  # fmt: skip
    verb.add_argument("ecg", type=Path, help="an ECG file of any kind that is read here")
    verb.add_argument("--at", type=float, help="where in the recording to begin, in seconds")
    verb.add_argument("--seconds", type=float, help="how much of it; all by default")
    verb.add_argument("--best", type=float, metavar="SECONDS", help="only the stretch of this length that is clearest")
    verb.add_argument("--rate", type=float, help="the sampling rate in Hz; wins over the file")
    verb.add_argument("--unit", help="nV, uV, mV or V, of the numbers in the file; wins over the file")
    verb.add_argument("--lead", help="only this lead; III, aVR, aVL and aVF are derived from I and II")
    verb.add_argument("--member", help="which ECG of a file that holds several: its name, number or time")
    verb.add_argument("--invert", action="store_true", help="turn it upside down")
    verb.add_argument("--plot", type=Path, metavar="PAGE", help="draw it on ECG paper: PAGE.png, .pdf or .svg")
    verb.add_argument("--json", type=Path, metavar="FILE", help="write what was found here too")
    verb.add_argument("--out", type=Path, help="convert: NAME.hea (WFDB), .csv, .npz or .dcm (DICOM waveform)")
    verb.add_argument("--force", action="store_true", help="replace files that exist")


def run_ecg(options: argparse.Namespace) -> int:
    """Prints what is found in an ECG, and draws and converts it where asked."""
    from echopulse.ecg import best_stretch, find_beats, read_ecg, write_ecg
    from echopulse.ecg.paper import ENDINGS, plot_ecg
    from echopulse.ecg.report import as_dictionary, describe
    from echopulse.ecg.write import WRITERS
    from echopulse.files import check_target, write_json

    targets = ((options.plot, ENDINGS), (options.json, (".json",)), (options.out, tuple(WRITERS)))
    for path, endings in targets:
        if path:
            check_target(path, endings, force=options.force)
    if options.best is not None and options.seconds is not None and options.best > options.seconds:
        raise InputError(f"--best {options.best:g} of --seconds {options.seconds:g}: ask for no more than there is.")
    ecg = read_ecg(
        options.ecg, rate_hz=options.rate, unit=options.unit, lead=options.lead, invert=options.invert,
        at_s=options.at, seconds=options.seconds, member=options.member,
    )  # fmt: skip
    if options.best is not None:
        ecg = best_stretch(ecg, options.best)
    beats = find_beats(ecg, allow_flat=True)
    print(describe(ecg, beats))
    if options.json:
        write_json(as_dictionary(ecg, beats), options.json)
    if options.plot:
        plot_ecg(ecg, beats, options.plot, force=options.force)
    if options.out:
        write_ecg(ecg, options.out, force=options.force)
    return 0
