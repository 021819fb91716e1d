"""`echopulse measure`: the heart of a clip in numbers and pictures."""

import argparse
from dataclasses import replace
from pathlib import Path

from echopulse.cli.shared import add_verb


def add_measure(verbs) -> None:
    """The options of `measure`."""
    verb = add_verb(
        verbs, "measure", run_measure, "outline the heart in a clip: volumes, EF, ED/ES, rate, diameters",
        "echopulse measure clip.mp4 --png clip.measured.png --overlay clip.outlined.mp4 --json clip.measured.json",
    )  # fmt: skip
    verb.add_argument("clip", type=Path, help="MP4, AVI, GIF, WebM, NPZ or DICOM")
    verb.add_argument("--view", help="a4c, a2c, a3c, plax, psax_mitral, psax_papillary or psax_apical; else guessed")
    verb.add_argument("--biplane", type=Path, metavar="OTHER", help="the A2C clip of the same heart, CLIP is its A4C")
    verb.add_argument("--model", type=Path, help="a model folder instead of the bundled weights")
    verb.add_argument("--png", type=Path, help="one page: ED and ES with outline and discs, the volume curve")
    verb.add_argument("--overlay", type=Path, metavar="FILE.mp4", help="the clip with the outline on every frame")
    verb.add_argument("--json", type=Path, help="write the numbers here too")
    verb.add_argument("--force", action="store_true", help="replace files that exist")


def run_measure(options: argparse.Namespace) -> int:
    """Prints what is found in a clip, and writes and draws it where asked."""
    from echopulse.echo import check_output, read_clip

    for path, endings in ((options.json, (".json",)), (options.png, (".png",)), (options.overlay, (".mp4", ".webm"))):
        if path:
            check_output(path, force=options.force, endings=endings)
    view = "a4c" if options.biplane and not options.view else options.view
    clip = _as_view(read_clip(options.clip), view)
    other = _as_view(read_clip(options.biplane), "a2c") if options.biplane else None
    from echopulse.files import write_json
    from echopulse.measure import measure_biplane
    from echopulse.measure.report import as_dictionary, biplane_as_dictionary, describe, describe_biplane
    from echopulse.pipeline import EchoPulse

    pulse = EchoPulse.from_pretrained(options.model)
    measurement = pulse.measure(clip)
    print(describe(measurement, clip))
    values = as_dictionary(measurement, clip)
    if other is not None:
        biplane = measure_biplane(measurement, pulse.measure(other))
        print(describe_biplane(biplane))
        values |= {"biplane": biplane_as_dictionary(biplane)}
    if options.json:
        write_json(values, options.json)
    if options.png:
        from echopulse.echo.write import save_sheet
        from echopulse.measure.picture import plot_page

        save_sheet(plot_page(measurement, clip), options.png, force=options.force)
    if options.overlay:
        from echopulse.echo.write import write_film
        from echopulse.measure.picture import overlay_frames

        write_film(clip, overlay_frames(measurement, clip), options.overlay, force=options.force)
    return 0


def _as_view(clip, view: str | None):
    return clip if view is None else replace(clip, view=view)
