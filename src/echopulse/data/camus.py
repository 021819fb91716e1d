"""The shape of CAMUS (Leclerc et al. 2019, "Deep learning for segmentation using an open large-scale dataset in 2D
echocardiography"): NIfTI half cycles from end-diastole to end-systole, of the same beats through two planes.

The ECG, which that data set lacks, stands beside them as a WFDB record; every parameter in patientNNNN.json.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from echopulse.data.cycles import traced_frames
from echopulse.data.form import Form
from echopulse.data.pairs import facts
from echopulse.data.records import write_record
from echopulse.files import write_json, write_text
from echopulse.phantom import PhantomClips
from echopulse.phantom.types import LABELS

CHAMBERS = {"a4c": "4CH", "a2c": "2CH"}
VALUES = {"lv": 1, "myocardium": 2, "la": 3}  # of the masks; everything else is background
SPLITS = ("training",) * 8 + ("validation", "testing")  # of every ten patients, as in the data set
CONTRASTS = ((0.10, "Good"), (0.05, "Medium"), (0.0, "Poor"))  # of wall against cavity, of full white: chosen by eye


def name_of(number: int) -> str:
    """The patient's name; they are counted from 1."""
    return f"patient{number + 1:04d}"


def write_view(made: PhantomClips, i: int, folder: Path, patient: str) -> None:
    """One view of a patient: the half sequence, its first and last picture, the masks of each, and Info_XCH.cfg."""
    truth, chamber = made.truth, CHAMBERS[made.truth.view[i]]
    ed, es = traced_frames(truth, i)
    first, last = min(ed, es), max(ed, es)
    pictures = made.frames[i, first : last + 1].cpu().numpy()
    masks = to_camus(truth.labels[i, first : last + 1].cpu().numpy())
    spacing_mm = 10 * float(truth.pixel_spacing_cm[i])
    stem = folder / f"{patient}_{chamber}"
    for name, part in (("half_sequence", slice(None)), ("ED", ed - first), ("ES", es - first)):
        write_nifti(pictures[part], spacing_mm, stem.with_name(f"{stem.name}_{name}.nii.gz"))
        write_nifti(masks[part], spacing_mm, stem.with_name(f"{stem.name}_{name}_gt.nii.gz"))
    volume = truth.volume_ml[i]
    age, female = _of_patient(made, i, "age_years"), _of_patient(made, i, "female")
    info = {
        "ED": ed - first + 1,
        "ES": es - first + 1,
        "NbFrame": len(pictures),
        "Sex": "F" if female > 0.5 else "M",
        "Age": round(age),
        "ImageQuality": image_quality(pictures[ed - first], masks[ed - first]),
        "EF": round(100 * float(1 - volume[es] / volume[ed])),
        "FrameRate": f"{made.fps:.1f}",
    }
    write_text("".join(f"{key}: {value}\n" for key, value in info.items()), folder / f"Info_{chamber}.cfg")


def to_camus(labels: np.ndarray) -> np.ndarray:
    """The phantom's labels as the data set numbers them, uint8 of the same shape."""
    table = np.zeros(len(LABELS), np.uint8)
    for name, value in VALUES.items():
        table[LABELS.index(name)] = value
    return table[labels]


def image_quality(picture: np.ndarray, mask: np.ndarray) -> str:
    """Good, Medium or Poor, by how much brighter the wall is than the cavity: uint8 [h, w] and the data set's mask."""
    wall, cavity = (float(picture[mask == VALUES[name]].mean()) for name in ("myocardium", "lv"))
    return next((word for least, word in CONTRASTS if (wall - cavity) / 255 >= least), "Poor")


def write_nifti(pictures: np.ndarray, spacing_mm: float, path: Path) -> None:
    """uint8 [t, h, w] or [h, w] as .nii.gz of [w, h, t] or [w, h], as the data set orders its axes."""
    import nibabel

    image = nibabel.Nifti1Image(np.ascontiguousarray(pictures.T), np.diag([-spacing_mm, -spacing_mm, 1.0, 1.0]))
    image.header.set_xyzt_units("mm")
    path.write_bytes(gzip.compress(image.to_bytes(), mtime=0))


def _of_patient(made: PhantomClips, i: int, name: str) -> float:
    return float(getattr(made.parameters.patients, name)[i])


def _files(number: int, views: tuple[str, ...] | None) -> tuple[str, ...]:
    patient = name_of(number)
    names = [f"{patient}_ecg{ending}" for ending in (".hea", ".dat", ".atr")]
    for view in views or ():
        names.append(f"Info_{CHAMBERS[view]}.cfg")
        parts = (f"{patient}_{CHAMBERS[view]}_{part}" for part in ("half_sequence", "ED", "ES"))
        names += [f"{part}{ending}" for part in parts for ending in (".nii.gz", "_gt.nii.gz")]
    return tuple(f"database_nifti/{patient}/{name}" for name in (*names, f"{patient}.json"))


def _write(clips: Sequence[PhantomClips], folder: Path, number: int) -> None:
    patient = name_of(number)
    place = folder / "database_nifti" / patient
    place.mkdir(parents=True)
    for made in clips:
        write_view(made, 0, place, patient)
    write_record(clips[0], 0, place, f"{patient}_ecg")
    write_json([_with_times(made) for made in clips], place / f"{patient}.json")


def _with_times(made: PhantomClips) -> dict[str, Any]:
    """The facts of a clip, and when its half sequence begins and ends on the ECG's clock."""
    frames = traced_frames(made.truth, 0)
    return facts(made, 0) | {"sequence_s": [min(frames) / made.fps, max(frames) / made.fps]}


def _finish(folder: Path, numbers: Sequence[int]) -> None:
    place = folder / "database_split"
    place.mkdir(exist_ok=True)
    for split in dict.fromkeys(SPLITS):
        chosen = [name_of(number) for number in numbers if SPLITS[number % len(SPLITS)] == split]
        write_text("".join(f"{name}\n" for name in chosen), place / f"subgroup_{split}.txt")


CAMUS = Form(
    name="camus", fps=50.0, seconds=2.6, size=256, views=("a4c", "a2c"), possible=tuple(CHAMBERS), study=True,
    beating=True, files=_files, write=_write, finish=_finish,
    tables=tuple(f"database_split/subgroup_{split}.txt" for split in dict.fromkeys(SPLITS)),
)  # fmt: skip
