"""Plain pairs: a video, its ECG, and all that is true of them, in files that carry one number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from echopulse.data.form import Form
from echopulse.data.records import picture_notice, write_record, write_table
from echopulse.files import write_json
from echopulse.phantom import PhantomClips
from echopulse.phantom.types import LABELS, ORIGINS, Truth

ENDINGS = (".mp4", ".npz", ".hea", ".dat", ".atr", ".csv", ".json")
PER_CLIP = (
    "labels", "volume_ml", "mitral_opening", "aortic_opening", "tricuspid_opening", "lv_length_cm", "ef_per_beat",
    "gls_per_beat", "mapse_cm_per_beat", "ed_times_s", "es_times_s", "r_peaks_s", "p_onsets_s", "q_onsets_s",
    "t_ends_s", "atria_s", "origin", "ef", "edv_ml",
)  # fmt: skip
PER_BEAT = {
    "r_peak_s": "r_peaks_s", "p_onset_s": "p_onsets_s", "q_onset_s": "q_onsets_s", "t_end_s": "t_ends_s",
    "end_diastole_s": "ed_times_s", "end_systole_s": "es_times_s", "ejection_fraction": "ef_per_beat",
    "longitudinal_strain": "gls_per_beat", "mapse_cm": "mapse_cm_per_beat",
}  # fmt: skip


def write_pair(made: PhantomClips, i: int, stem: Path) -> None:
    """Clip i as `stem`.mp4, .npz, .hea with .dat and .atr (WFDB), .csv (the ECG again) and .json.

    The NPZ holds frames uint8 [t, h, w], times [t] s, labels uint8 [t, h, w] (index into `label_names`), sector bool
    [h, w], lv_outline float32 [t, 64, 2] (column, row; NaN where there is none), volume_ml [t] in three dimensions,
    simpson_ml [t] as one apical plane shows it (NaN in other views), valve openings [t], the events and figures of
    every beat [beats] (seconds from the first frame, NaN where absent), ecg [leads, n] mV, ecg_times [n] s, and `clip`:
    view and pixel spacing as JSON. The JSON file holds every parameter of the simulation by name.
    """
    from echopulse.echo import write_clip

    truth = made.truth
    clip, ecg = made.clip(i), made.ecg_of(i)
    write_clip(clip, stem.with_suffix(".mp4"), plain=True, force=True)
    arrays = {name: getattr(truth, name)[i].cpu().numpy() for name in PER_CLIP}
    arrays |= {
        "label_names": np.array(LABELS),
        "lv_outline": truth.contours(slice(i, i + 1))[0].numpy(),
        "simpson_ml": truth.simpson_ml(slice(i, i + 1))[0].numpy(),
        "ecg": ecg.samples,
        "ecg_times": ecg.times_s,
        "leads": np.array(ecg.leads),
    }
    if truth.displacement_cm is not None:
        arrays["displacement_cm"] = truth.displacement_cm[i].to("cpu", torch.float16).numpy()
    write_clip(clip, stem.with_suffix(".npz"), force=True, arrays=arrays)
    write_record(made, i, stem.parent, stem.name)
    write_table(ecg, stem.with_suffix(".csv"))
    write_json(facts(made, i), stem.with_suffix(".json"))


def facts(made: PhantomClips, i: int) -> dict[str, Any]:
    """What is known of clip i but for pictures and curves, as JSON keeps it.

    Where the heart followed a recording, `ecg_source` names it, and the parameters of a simulated ECG are left out,
    since there is none.
    """
    truth, source = made.truth, made.ecg_source
    parameters = made.parameters.of(i)
    if source is not None:
        parameters = {name: value for name, value in parameters.items() if not name.startswith("electrocardiogram.")}
    return {
        "notice": picture_notice(made),
        "seed": made.seed,
        "view": truth.view[i],
        "rhythm": truth.rhythm[i],
        "conduction": truth.conduction[i],
        "pathology": truth.pathology[i],
        "nominal_ejection_fraction": float(truth.ef[i]),  # of a beat at rest; those seen stand with the beats
        "nominal_end_diastolic_volume_ml": float(truth.edv_ml[i]),
        "frames_per_s": made.fps,
        "pixel_spacing_cm": float(truth.pixel_spacing_cm[i]),
        "ecg_source": "simulated" if source is None else {"recording": source.file, "first_frame_at_s": source.at_s},
        "leads": made.lead_names[i],
        "ecg_rate_hz": made.ecg_rate_hz,
        "ecg_start_s": float(made.ecg_times_s[0]),
        "labels": LABELS,
        "beats": list_beats(truth, i),
        "parameters": parameters,
    }


def list_beats(truth: Truth, i: int) -> list[dict[str, Any]]:
    """The beats of clip i in order; seconds from the first frame, NaN where something is absent."""
    there = torch.nonzero(truth.r_peaks_s[i].isfinite()).flatten().tolist()
    return [
        {name: float(getattr(truth, field)[i, beat]) for name, field in PER_BEAT.items()}
        | {"origin": ORIGINS[int(truth.origin[i, beat])]}
        for beat in there
    ]


def _files(number: int, views: tuple[str, ...] | None) -> tuple[str, ...]:
    return tuple(f"{number:05d}{ending}" for ending in ENDINGS)


def _write(clips: Sequence[PhantomClips], folder: Path, number: int) -> None:
    write_pair(clips[0], 0, folder / f"{number:05d}")


PAIRS = Form(name="pairs", fps=25.0, seconds=2.6, size=128, files=_files, write=_write)
