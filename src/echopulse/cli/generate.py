"""`echopulse generate`: ECG files become echo videos."""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median, stdev
from typing import Any

from echopulse.cli.shared import NOTICE, Progress, add_adapter_option, add_ecg_options, add_verb, fail
from echopulse.errors import InputError

MUCH_STRANGER = 1.5  # pure sines, which are no ECGs, begin here (docs/log.md)


def add_generate(verbs) -> None:
    """The options of `generate`."""
    verb = add_verb(
        verbs, "generate", run_generate, "turn ECG files into echo videos",
        "echopulse generate watch.csv --view a4c --ef 0.55 --seconds 4 --out clip.mp4",
    )  # fmt: skip
    verb.add_argument("ecg", nargs="+", type=Path, help="ECG files (WFDB, Apple Watch, CSV, NPY) or folders of them")
    verb.add_argument("--image", action="append", default=[], metavar="FILE[@SECONDS]", help="first picture: any echo "
                      "file (PNG, JPEG, video, DICOM, NPZ), of a loop its first frame; again with a time for a later "
                      "one of the same heart")  # fmt: skip
    verb.add_argument("--any-image", action="store_true", help="take pictures that seem to show another view")
    verb.add_argument("--view", help="a4c (default) or a2c")
    verb.add_argument("--ef", type=float, help="ejection fraction to aim at, 0.05 to 0.85; by default what --image and "
                      "the ECG let expect")  # fmt: skip
    verb.add_argument("--age", type=float, help="of the patient, 18 to 92 years")
    verb.add_argument("--sex", help="of the patient, f or m")
    verb.add_argument("--prompt", help='the same in words, as "LVEF: 42, ViewType: 4CH, Age: 63, Sex: F"')
    verb.add_argument("--seconds", type=float, default=3.0, help="length of the clip")
    verb.add_argument("--fps", type=float, default=25.0, help="frames per second; blended from others where "
                      "the weights have not learned this rate")  # fmt: skip
    verb.add_argument("--seed", type=int, default=0, help="same seed, same clip")
    verb.add_argument("--samples", type=int, default=1, help="so many clips of every ECG, NAME_1, NAME_2, ..., of "
                      "seeds from --seed on, their EFs aimed over what is likely of a given picture; says how far they "
                      "lie apart")  # fmt: skip
    verb.add_argument("--start", default="phantom", help="first picture if no --image: phantom (default) or generated")
    verb.add_argument("--steps", type=int, help="passes per window of 1.3 s, 8 by default; the last 3, half of "
                      "fewer than 6, correct")  # fmt: skip
    verb.add_argument("--fast", action="store_true", help="half the passes")
    verb.add_argument("--guidance", type=float, help="how strongly ECG and EF steer beyond what the weights have "
                      "learned; 1 is not at all, and as quick as it gets")  # fmt: skip
    verb.add_argument("--order", default="halton", help="in which places are filled: halton (default) or confidence")
    verb.add_argument("--lead", help="which lead to use where there are several")
    verb.add_argument("--member", help="which ECG of a file that holds several: its name in an archive, or its "
                      "number or time; the newest by default")  # fmt: skip
    verb.add_argument("--unit", help="unit of the numbers in the ECG file, where it says none or a wrong one")
    add_ecg_options(verb)
    verb.add_argument("--no-grain", action="store_true", help="leave out the speckle that tokens cannot hold")
    verb.add_argument("--plain", action="store_true", help="the picture alone, without ECG strip and marks")
    verb.add_argument("--model", type=Path, help="a model folder instead of the bundled weights")
    add_adapter_option(verb)
    verb.add_argument("--out", type=Path, help="NAME.mp4, .gif, .webm, .npz or .png; a folder for several ECGs")
    verb.add_argument("--force", action="store_true", help="replace files that exist")


def run_generate(options: argparse.Namespace) -> int:
    """Makes a clip of every ECG; 1 where one of them failed."""
    from echopulse.ecg import list_ecg_files

    files, refused, failed = [], 0, 0
    for path in options.ecg:
        try:
            files += list_ecg_files(path)
        except InputError as error:
            if len(options.ecg) == 1:
                raise
            refused += fail(error, options.verbose)
    several = len(files) > 1 or len(options.ecg) > 1 or options.ecg[0].is_dir()
    from echopulse.options import check_samples

    check_samples(options.samples, options.seed)
    given = named_images(options.image) | {"sampling": _sampling(options)}
    jobs = [(path, _numbered(out, options.samples)) for path, out in _name_outputs(files, options.out, several)]
    from echopulse.model.adapter_files import parse_spec
    from echopulse.pipeline import EchoPulse

    pulse = EchoPulse.from_pretrained(options.model, adapters=[parse_spec(text) for text in options.adapter])
    _check_outputs([out for _, outs in jobs for out in outs], options.force, several)
    for path, outs in jobs:
        try:
            _generate_one(pulse, path, outs, options, given)
        except Exception as error:  # whatever is wrong with one recording, the others have their turn
            if not several:
                raise
            failed += fail(error, options.verbose)
    if several:
        print(f"{len(jobs) - failed} of {len(jobs) + refused} ECGs became clips.")
    return 1 if failed + refused else 0


def _sampling(options: argparse.Namespace):
    from echopulse.model.sampling import FAST, Sampling

    if options.fast and options.steps is not None:
        raise InputError(f"--fast with --steps {options.steps}: both say how many passes; leave one of them out.")
    usual = FAST if options.fast else Sampling()
    steps = usual.steps if options.steps is None else options.steps
    return replace(usual, steps=steps, guidance=options.guidance, grain=not options.no_grain, order=options.order)


def _generate_one(pulse, path: Path, outs: list[Path], options: argparse.Namespace, given: dict[str, Any]) -> None:
    """The clips of one ECG, of one seed after the other."""
    import time

    from echopulse.ecg import read_ecg

    started = time.perf_counter()
    ecg = read_ecg(path, rate_hz=options.rate, unit=options.unit, lead=options.lead, member=options.member)
    read_s = time.perf_counter() - started
    fractions = []
    for number, out in enumerate(outs):
        with Progress(out.name if len(outs) > 1 else path.name) as on_step:
            made = pulse(
                ecg, **given, view=options.view, ef=options.ef, age=options.age, sex=options.sex, prompt=options.prompt,
                seconds=options.seconds, fps=options.fps, seed=options.seed + number, start=options.start,
                ef_quantile=(number + 0.5) / len(outs), at_s=options.at, allow_flat=options.allow_flat,
                any_image=options.any_image, on_step=on_step,
            )  # fmt: skip
        made.seconds["read"] = round(read_s, 3)
        report = made.save(out, plain=options.plain, force=options.force)
        video, heart = report["video"], report["ecg"]
        known = [value for value in video["ef"] if value is not None]
        ef = ", ".join(f"{100 * value:.0f} %" for value in known) or "not measurable"
        fractions += [median(known)] if known else []
        rate = "none" if heart["heart_rate_bpm"] is None else f"{heart['heart_rate_bpm']:.0f}/min"
        if number == 0 and (warning := strangeness_in_words(heart["strangeness"])):  # all samples hear the same ECG
            print(f"{path.name}: {warning}", file=sys.stderr)
        if number == 0 and video["ef_expected"] is not None:
            mean, sd = (100 * value for value in video["ef_expected"])
            print(f"{path.name}: the picture lets expect an EF of {mean:.0f} ± {sd:.0f} %, as of a simulated heart.")
        aimed = "" if video["ef_aimed"] is None else f", aimed at {100 * video['ef_aimed']:.0f} %"
        seen = f"ECG rate {rate} ({heart['rhythm']}), EF per beat {ef}{aimed}"
        print(f"{out}: {video['frames']} frames, {seen}. {NOTICE}")
    if len(fractions) > 1:
        print(f"{path.name}: {spread_of(fractions)}")


def strangeness_in_words(strangeness: float | None) -> str | None:
    """What a user should know of an ECG's strangeness; None where it is usual or not known."""
    if strangeness is None or strangeness <= 1:
        return None
    found = f"strangeness {strangeness:.2f}; 99 in 100 simulated ECGs stay below 1"
    if strangeness < MUCH_STRANGER:
        return f"an ECG slightly unlike those that the model has heard ({found}); see whether the heart follows it."
    return (
        f"an ECG much unlike those that the model has heard ({found}); check that it is one and its sampling rate is "
        "right, and do not count on the heart to follow it."
    )


def spread_of(fractions: Sequence[float]) -> str:
    """Where the EFs of several clips, each the median over a clip's beats, lie, and what that means."""
    low, middle, high = (100 * value for value in (min(fractions), median(fractions), max(fractions)))
    return (
        f"EF of {len(fractions)} clips (of each the median over its beats) from {low:.0f} to {high:.0f} %, median "
        f"{middle:.0f} %, standard deviation {100 * stdev(fractions):.1f} %: what the ECG and all else that was given "
        "leave open, and the measurer's own error."
    )


def _numbered(out: Path, count: int) -> list[Path]:
    """The names of `count` clips of one ECG."""
    return [out] if count == 1 else [out.with_stem(f"{out.stem}_{number}") for number in range(1, count + 1)]


def named_images(texts: list[str]) -> dict[str, Any]:
    """`image` and `images` of `["ed.png", "es.png@0.35"]`; InputError for two first pictures or no time."""
    first, later = [], []
    for text in texts:
        name, _, number = text.rpartition("@")
        if not name or os.path.exists(text):
            first.append(text)
            continue
        try:
            later.append((Path(name), float(number)))
        except ValueError:
            if os.path.exists(name):
                raise InputError(f"--image {text}: {number!r} is no time in seconds, as in {name}@0.35.") from None
            first.append(text)
    if len(first) > 1:
        raise InputError(f"--image {first[1]}: only one picture comes first; say FILE@SECONDS for later ones.")
    return {"image": Path(first[0]) if first else None, "images": later}


def _name_outputs(files: list[Path], out: Path | None, several: bool) -> list[tuple[Path, Path]]:
    if not several:
        return [(files[0], out or Path(files[0].stem + ".mp4"))]
    folder = out or Path("clips")
    if folder.suffix and not folder.is_dir():
        raise InputError(f"{folder}: several ECGs need a folder for --out, not the name of one file.")
    names = [path.stem for path in files]
    names = ["_".join(path.parts[-2:]) if names.count(path.stem) > 1 else path.stem for path in files]
    names = [name if names.count(name) == 1 else f"{name}_{number}" for number, name in enumerate(names, 1)]
    return [(path, folder / f"{name}.mp4") for path, name in zip(files, names, strict=True)]


def _check_outputs(outs: list[Path], force: bool, several: bool) -> None:
    """Refuses before any work what could not be written after it."""
    from echopulse.echo import check_output

    for out in outs:
        if several:
            try:
                out.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                why = f"cannot make this folder ({error.strerror})"
                raise InputError(f"{out.parent}: {why}; choose another --out.") from error
        check_output(out, force=force)
        beside = out.with_suffix(".json")
        if beside.exists() and not force and not out.exists():
            raise InputError(
                f"{beside}: the file exists already, and the report of {out.name} goes there; choose another name or "
                "add --force to replace it."
            )
        check_output(beside, force=force, endings=(".json",))
