"""`echopulse simulate`: paired ECG, echo and truth from the simulated heart, and the check of it."""

import argparse
from pathlib import Path

from echopulse.cli.shared import Progress, add_ecg_options, add_verb
from echopulse.errors import InputError


def add_simulate(verbs) -> None:
    """The options of `simulate`."""
    verb = add_verb(
        verbs, "simulate", run_simulate, "make paired ECG, echo and exact truth with the simulated heart",
        "echopulse simulate --out pairs --clips 20 --set ef=0.3 --set rhythm=af",
    )  # fmt: skip
    where = verb.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", type=Path, help="folder to fill; a second run goes on where the first one stopped")
    where.add_argument("--bank", type=Path, help="folder for training shards of 32 clips: short for --format shards "
                       "--out")  # fmt: skip
    where.add_argument("--check", action="store_true", help="measure the phantom itself: every figure with its bar")
    where.add_argument("--parameters", action="store_true", help="list what --set can pin: meaning, unit and range")
    verb.add_argument("--clips", type=int, help="how many hearts; 10 by default, 500 for --check")
    verb.add_argument("--format", default="pairs", help="pairs (default), echonet, camus, dicom or shards")
    verb.add_argument("--workers", type=int, help="processes; as many as there are cores by default")
    verb.add_argument("--seconds", type=float, help="length of each clip; 2.6 by default. Shards, for training, hold "
                      "1 + 4k frames: at 25/s 1.32 (33 frames, the fewest that the generator takes), 1.48, ... 2.6 "
                      "(65)")  # fmt: skip
    verb.add_argument("--fps", type=float, help="frames per second; 25 by default, or what is usual in the format")
    verb.add_argument("--size", type=int, help="pixels on a side; 128 by default, or what is usual in the format")
    verb.add_argument("--seed", type=int, default=0, help="same seed, same hearts")
    verb.add_argument("--views", "--view", help="a4c,a2c,a3c,plax,psax_mitral,psax_papillary,psax_apical: some of them")
    verb.add_argument("--leads", help="of the ECG: how many, or which, as II,V5; 2 by default")
    verb.add_argument("--prior", default="clinical", help="easy, clinical (default), uniform (even EF, for "
                      "training) or independent (even EF; size and shape tell of another)")
    verb.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="pin one of the --parameters")
    verb.add_argument("--ecg", type=Path, metavar="FILE", help="a recording whose beats every heart follows")
    add_ecg_options(verb)
    verb.add_argument("--displacement", action="store_true", help="pairs and shards: add how tissue moves, "
                      "which a tokenizer with grain or motion learns from")  # fmt: skip
    verb.add_argument("--device", default="cpu")
    verb.add_argument("--json", type=Path, help="with --check: write the figures here too")
    verb.add_argument("--force", action="store_true", help="replace files that exist")


def run_simulate(options: argparse.Namespace) -> int:
    """Fills a folder with simulated hearts, measures the phantom (1 where it misses a bar), or lists its parameters."""
    _refuse_what_would_be_ignored(options)
    if options.parameters:
        return _list_parameters()
    if options.check:
        return _check_phantom(options)
    from echopulse.data.export import SHARD, export
    from echopulse.data.plan import parse_leads, parse_names, parse_pins
    from echopulse.jobs import usable_cores

    folder, form = options.bank or options.out, "shards" if options.bank else options.format
    clips = 10 if options.clips is None else options.clips
    with Progress("simulating") as on_step:
        hearts = export(
            folder, clips, form=form, seed=options.seed, prior=options.prior,
            seconds=options.seconds, fps=options.fps, size=options.size,
            views=parse_names(options.views) if options.views else None,
            leads=parse_leads(options.leads) if options.leads else None, pins=parse_pins(options.set), ecg=options.ecg,
            at_s=options.at, rate_hz=options.rate, allow_flat=options.allow_flat, displacement=options.displacement,
            device=options.device, force=options.force,
            workers=usable_cores() if options.workers is None else options.workers, on_step=on_step,
        )  # fmt: skip
    rounded = f" ({clips} asked for; every shard holds {SHARD})" if form == "shards" and clips % SHARD else ""
    made = "1 heart" if hearts.made == 1 else f"{hearts.made} hearts"
    print(f"{folder}: {made} made now, {hearts.there} there in all{rounded}, with ECG and truth. "
          "Simulated; not for diagnosis.")  # fmt: skip
    return 0


def _list_parameters() -> int:
    from echopulse.phantom.parameters import list_parameters

    stage = None
    for one in list_parameters():
        if one.stage != stage:
            stage = one.stage
            print(f"{stage}:")
        print(f"  {one.name:<22} {f'{one.values} {one.unit}':<18} {one.meaning}")
    print("Levels in dB are relative to white, unless the line says to what.")
    return 0


def _refuse_what_would_be_ignored(options: argparse.Namespace) -> None:
    if options.check:
        asked = {
            "--set": options.set, "--ecg": options.ecg, "--at": options.at, "--rate": options.rate,
            "--allow-flat": options.allow_flat, "--views": options.views, "--leads": options.leads,
            "--seconds": options.seconds, "--fps": options.fps, "--size": options.size,
            "--displacement": options.displacement,
        }  # fmt: skip
        if ignored := [name for name, value in asked.items() if value not in (None, False, [])]:
            raise InputError(f"{', '.join(ignored)} with --check: the check draws hearts and clips of its own.")
    elif options.json:
        raise InputError("--json without --check: it holds the check's figures; clips bring their facts themselves.")
    if options.bank and options.format not in ("pairs", "shards"):
        raise InputError(f"--bank with --format {options.format}: a bank holds shards; say --out for other formats.")


def _check_phantom(options: argparse.Namespace) -> int:
    from echopulse.echo import check_output
    from echopulse.evaluate.phantom import as_json, as_table, check_phantom, missed
    from echopulse.files import write_json

    if options.json:
        check_output(options.json, force=options.force, endings=(".json",))
    clips = 500 if options.clips is None else options.clips
    with Progress("checking the phantom") as on_step:
        rows = check_phantom(clips, seed=options.seed, workers=options.workers, on_step=on_step)
    print(as_table(rows))
    if options.json:
        write_json(as_json(rows, clips=clips, seed=options.seed), options.json)
    return 1 if missed(rows) else 0
