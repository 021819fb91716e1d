"""The command line: one short function per verb. What it does lives in the rooms."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from echopulse import __version__
from echopulse.errors import InputError

NOTICE = "Synthetic video from a model that learned from simulated hearts. Not for diagnosis."


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns 0 (done), 1 (failed) or 2 (used wrongly)."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        return options.command(options)
    except InputError as error:
        return _fail(error, options.verbose)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 1
    except (OSError, RuntimeError) as error:
        return _fail(error, options.verbose)


def build_parser() -> argparse.ArgumentParser:
    """The parser of every verb."""
    parser = argparse.ArgumentParser(prog="echopulse", description=f"An ECG becomes an echo video. {NOTICE}")
    parser.add_argument("--version", action="version", version=f"echopulse {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    _add_generate(verbs)
    _add_simulate(verbs)
    _add_measure(verbs)
    _add_train(verbs)
    _add_evaluate(verbs)
    return parser


class _Help(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Examples as they are written, and every default that there is."""

    def _get_help_string(self, action: argparse.Action) -> str:
        if action.default in (None, False, [], "==SUPPRESS==") or "default" in (action.help or ""):
            return action.help or ""
        return f"{action.help or action.dest} (default: %(default)s)"


def _verb(verbs, name: str, run: Callable, help: str, example: str) -> argparse.ArgumentParser:
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


# --- generate -----------------------------------------------------------------------------------------------------


def _add_generate(verbs) -> None:
    verb = _verb(verbs, "generate", run_generate, "turn ECG files into echo videos",
                 "echopulse generate watch.csv --view a4c --ef 0.55 --seconds 4 --out clip.mp4")  # fmt: skip
    verb.add_argument("ecg", nargs="+", type=Path, help="ECG files (WFDB, Apple Watch, CSV, NPY) or folders of them")
    verb.add_argument("--image", type=Path, help="first picture: PNG, JPEG, video or DICOM")
    verb.add_argument("--view", default="a4c", help="a4c (default) or a2c")
    verb.add_argument("--ef", type=float, help="ejection fraction to aim at, 0.05 to 0.85")
    verb.add_argument("--seconds", type=float, default=3.0, help="length of the clip")
    verb.add_argument("--at", type=float, help="where in the ECG the clip begins, in seconds")
    verb.add_argument("--fps", type=float, default=25.0, help="frames per second")
    verb.add_argument("--seed", type=int, default=0, help="same seed, same clip")
    verb.add_argument("--start", default="phantom", help="first picture if no --image: phantom (default) or generated")
    verb.add_argument("--steps", type=int, default=8, help="passes per window of 1.3 s")
    verb.add_argument("--guidance", type=float, default=3.0, help="how strongly ECG and EF steer; 1 is off")
    verb.add_argument("--rate", type=float, help="sampling rate in Hz where the file does not say")
    verb.add_argument("--lead", help="which lead to use where there are several")
    verb.add_argument("--allow-flat", action="store_true", help="accept a flat line (the heart then stands still)")
    verb.add_argument("--plain", action="store_true", help="the picture alone, without ECG strip and marks")
    verb.add_argument("--model", type=Path, help="a model folder instead of the bundled weights")
    verb.add_argument("--out", type=Path, help="NAME.mp4, .gif, .webm, .npz or .png; a folder for several ECGs")
    verb.add_argument("--force", action="store_true", help="replace files that exist")


def run_generate(options: argparse.Namespace) -> int:
    from echopulse.ecg import list_ecg_files

    files, refused, failed = [], 0, 0
    for path in options.ecg:
        try:
            files += list_ecg_files(path)
        except InputError as error:
            if len(options.ecg) == 1:
                raise
            refused += _fail(error, options.verbose)
    several = len(files) > 1 or len(options.ecg) > 1 or options.ecg[0].is_dir()
    jobs = _name_outputs(files, options.out, several)
    from echopulse.pipeline import EchoPulse

    pulse = EchoPulse.from_pretrained(options.model)
    _check_outputs([out for _, out in jobs], options.force, several)
    for path, out in jobs:
        try:
            _generate_one(pulse, path, out, options)
        except Exception as error:  # whatever is wrong with one recording, the others have their turn
            if not several:
                raise
            failed += _fail(error, options.verbose)
    if several:
        print(f"{len(jobs) - failed} of {len(jobs) + refused} clips written.")
    return 1 if failed + refused else 0


def _generate_one(pulse, path: Path, out: Path, options: argparse.Namespace) -> None:
    import time

    from echopulse.ecg import read_ecg
    from echopulse.pipeline import Sampling

    started = time.perf_counter()
    ecg = read_ecg(path, rate_hz=options.rate, lead=options.lead)
    read_s = time.perf_counter() - started
    with _progress(f"{path.name}") as on_step:
        made = pulse(
            ecg, image=options.image, view=options.view, ef=options.ef, seconds=options.seconds, fps=options.fps,
            seed=options.seed, start=options.start, at_s=options.at, allow_flat=options.allow_flat,
            sampling=Sampling(options.steps, options.guidance), on_step=on_step,
        )  # fmt: skip
    made.seconds["read"] = round(read_s, 3)
    report = made.save(out, plain=options.plain, force=options.force)
    video, heart = report["video"], report["ecg"]
    ef = ", ".join(f"{100 * value:.0f} %" for value in video["ef"] if value is not None) or "not measurable"
    rate = "none" if heart["heart_rate_bpm"] is None else f"{heart['heart_rate_bpm']:.0f}/min"
    print(f"{out}: {video['frames']} frames, ECG rate {rate} ({heart['rhythm']}), EF per beat {ef}. {NOTICE}")


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
        check_output(out.with_suffix(".json"), force=force, endings=(".json",))


# --- simulate -----------------------------------------------------------------------------------------------------


def _add_simulate(verbs) -> None:
    verb = _verb(verbs, "simulate", run_simulate, "make paired ECG, echo and exact truth with the simulated heart",
                 "echopulse simulate --out pairs --clips 20 --set ef=0.3 --set rhythm=af")  # fmt: skip
    where = verb.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", type=Path, help="folder to fill; a second run goes on where the first one stopped")
    where.add_argument("--bank", type=Path, help="folder for training shards: short for --format shards --out")
    where.add_argument("--check", action="store_true", help="measure the phantom itself: every figure with its bar")
    verb.add_argument("--clips", type=int, help="how many hearts; 10 by default, 500 for --check")
    verb.add_argument("--format", default="pairs", help="pairs (default), echonet, camus, dicom or shards")
    verb.add_argument("--workers", type=int, help="processes; as many as there are cores by default")
    verb.add_argument("--seconds", type=float, help="length of each clip; 2.6 by default")
    verb.add_argument("--fps", type=float, help="frames per second; 25 by default, or what is usual in the format")
    verb.add_argument("--size", type=int, help="pixels on a side; 128 by default, or what is usual in the format")
    verb.add_argument("--seed", type=int, default=0, help="same seed, same hearts")
    verb.add_argument("--views", "--view", help="a4c,a2c,a3c,plax,psax_mitral,psax_papillary,psax_apical: some of them")
    verb.add_argument("--leads", help="of the ECG: how many, or which, as II,V5; 2 by default")
    verb.add_argument("--prior", default="clinical", help="easy, clinical (default) or uniform (even EF, for training)")
    verb.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="pin a parameter of the phantom")
    verb.add_argument("--ecg", type=Path, metavar="FILE", help="a recording whose beats every heart follows")
    verb.add_argument("--at", type=float, help="where in that recording the clips begin, in seconds")
    verb.add_argument("--displacement", action="store_true", help="pairs: add how far every pixel's tissue has moved")
    verb.add_argument("--device", default="cpu")
    verb.add_argument("--json", type=Path, help="with --check: write the figures here too")
    verb.add_argument("--force", action="store_true", help="replace files that exist")


def run_simulate(options: argparse.Namespace) -> int:
    if options.check:
        return _check_phantom(options)
    from echopulse.data.export import export
    from echopulse.data.plan import parse_leads, parse_names, parse_pins
    from echopulse.jobs import usable_cores

    folder = options.bank or options.out
    with _progress("simulating") as on_step:
        made = export(
            folder, 10 if options.clips is None else options.clips,
            form="shards" if options.bank else options.format, seed=options.seed, prior=options.prior,
            seconds=options.seconds, fps=options.fps, size=options.size,
            views=parse_names(options.views) if options.views else None,
            leads=parse_leads(options.leads) if options.leads else None, pins=parse_pins(options.set), ecg=options.ecg,
            at_s=options.at, displacement=options.displacement, device=options.device, force=options.force,
            workers=usable_cores() if options.workers is None else options.workers, on_step=on_step,
        )  # fmt: skip
    hearts = "1 heart" if made == 1 else f"{made} hearts"
    print(f"{folder}: {hearts} made now, with ECG and truth. Simulated; not for diagnosis.")
    return 0


def _check_phantom(options: argparse.Namespace) -> int:
    from echopulse.echo import check_output
    from echopulse.evaluate.phantom import as_json, as_table, check_phantom, missed
    from echopulse.files import write_json

    if options.json:
        check_output(options.json, force=options.force, endings=(".json",))
    clips = 500 if options.clips is None else options.clips
    with _progress("checking the phantom") as on_step:
        rows = check_phantom(clips, seed=options.seed, workers=options.workers, on_step=on_step)
    print(as_table(rows))
    if options.json:
        write_json(as_json(rows, clips=clips, seed=options.seed), options.json)
    return 1 if missed(rows) else 0


# --- measure ------------------------------------------------------------------------------------------------------


def _add_measure(verbs) -> None:
    verb = _verb(verbs, "measure", run_measure, "outline the left ventricle in a clip: volumes, EF, ED/ES, rate",
                 "echopulse measure clip.mp4 --json clip.measured.json")  # fmt: skip
    verb.add_argument("clip", type=Path, help="MP4, AVI, GIF, WebM, NPZ or DICOM")
    verb.add_argument("--model", type=Path, help="a model folder instead of the bundled weights")
    verb.add_argument("--json", type=Path, help="write the numbers here too")
    verb.add_argument("--force", action="store_true", help="replace files that exist")


def run_measure(options: argparse.Namespace) -> int:
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


# --- train --------------------------------------------------------------------------------------------------------


def _add_train(verbs) -> None:
    verb = _verb(verbs, "train", run_train, "train the tokenizer, the generator or the measurer",
                 "echopulse train tokenizer --data bank --run runs/out/tokenizer --minutes 30")  # fmt: skip
    verb.add_argument("what", choices=("tokenizer", "generator", "measurer"))
    verb.add_argument("--data", default="phantom", help="a bank from `simulate --bank`, or phantom: one is made first")
    verb.add_argument("--clips", type=int, default=1024, help="clips to simulate with --data phantom")
    verb.add_argument("--preset", default="small", help="tiny, small (default) or base")
    verb.add_argument("--run", type=Path, help="folder of the run; runs/out/WHAT by default")
    verb.add_argument("--resume", type=Path, metavar="RUN", help="go on with the run in this folder")
    verb.add_argument("--tokenizer", type=Path, help="generator: model folder with the tokenizer's weights")
    verb.add_argument("--out", type=Path, help="model folder for the averaged weights; RUN/model by default")
    verb.add_argument("--steps", type=int, help="steps in all")
    verb.add_argument("--minutes", type=float, help="let the schedule follow the clock and stop after this")
    verb.add_argument("--batch", type=int)
    verb.add_argument("--learning-rate", type=float)
    verb.add_argument("--device", default="cpu")
    verb.add_argument("--seed", type=int, default=0, help="of weights and batches")
    verb.add_argument("--tensorboard", action="store_true", help="also log for TensorBoard (the extra of that name)")


def run_train(options: argparse.Namespace) -> int:
    from echopulse.train.recipes import train

    with _progress(f"training the {options.what}") as on_step:
        scores, model = train(
            options.what, data=options.data, clips=options.clips, preset=options.preset,
            run=options.resume or options.run or Path("runs/out") / options.what, resume=options.resume is not None,
            tokenizer_folder=options.tokenizer, out=options.out, steps=options.steps, minutes=options.minutes,
            batch=options.batch, learning_rate=options.learning_rate, device=options.device, seed=options.seed,
            tensorboard=options.tensorboard, on_progress=on_step,
        )  # fmt: skip
    print(f"{model}: " + ", ".join(f"{name} {value:.4g}" for name, value in scores.items()))
    return 0


# --- evaluate -----------------------------------------------------------------------------------------------------


def _add_evaluate(verbs) -> None:
    verb = _verb(verbs, "evaluate", run_evaluate, "measure a model on held-out simulated hearts and on given ECG files",
                 "echopulse evaluate --clips 64 --markdown table.md --json table.json")  # fmt: skip
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
    from echopulse.echo import check_output

    for path, ending in ((options.markdown, ".md"), (options.json, ".json")):
        if path:
            check_output(path, force=options.force, endings=(ending,))
    from echopulse.evaluate.report import evaluate, to_markdown, write_scores
    from echopulse.pipeline import EchoPulse

    parts = tuple(options.only.split(",")) if options.only else EVALUATION_PARTS
    if unknown := sorted(set(parts) - set(EVALUATION_PARTS)):
        raise InputError(f"--only {','.join(unknown)}: expected some of {', '.join(EVALUATION_PARTS)}.")
    pulse = EchoPulse.from_pretrained(options.model)
    with _progress("evaluating") as on_step:
        scores = evaluate(pulse, clips=options.clips, seed=options.seed, ecg_files=options.ecg, parts=parts,
                          start=options.start, on_step=on_step)  # fmt: skip
    print(to_markdown(scores))
    write_scores(scores, options.markdown, options.json)
    return 0


# --- what they share ----------------------------------------------------------------------------------------------


class _progress:
    """A bar that appears after two seconds; entered, it gives a function that takes the share done, 0..1."""

    def __init__(self, label: str):
        self.label = label

    def __enter__(self) -> Callable[[float], None]:
        self.bar = None
        try:
            from tqdm import tqdm
        except ImportError:  # on a training machine there may be torch, numpy and safetensors only
            return self._to
        # Nothing is drawn where no terminal looks (disable=None).
        form = "{desc} {percentage:3.0f}%|{bar}| {remaining}"
        self.bar = tqdm(total=100, desc=self.label, delay=2, leave=False, bar_format=form, disable=None)
        return self._to

    def _to(self, share: float) -> None:
        if self.bar is not None:
            self.bar.update(max(0, round(100 * share) - self.bar.n))

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()


def _fail(error: Exception, verbose: bool) -> int:
    if verbose:
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    else:
        text = " ".join(str(error).split()) or type(error).__name__
        print(f"echopulse: {text}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
