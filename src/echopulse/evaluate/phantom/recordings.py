"""Drawn ECGs and pictures at end-diastole: what detectors find in them and what they tell of the ejection fraction."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from echopulse.evaluate.phantom import information
from echopulse.evaluate.phantom.electrocardiogram import detection, peak_spread
from echopulse.evaluate.phantom.hearts import Arrays
from echopulse.phantom.mechanics import contract
from echopulse.phantom.patient import draw_patients
from echopulse.phantom.rhythm.artefacts import add_noise
from echopulse.phantom.rhythm.electrocardiogram import draw_electrocardiogram, synthesize_ecg
from echopulse.phantom.rhythm.timing import beat_times, draw_rhythm
from echopulse.phantom.scan import scan
from echopulse.phantom.simulate import draw_phantom, stream
from echopulse.phantom.types import CONDUCTIONS, ORIGINS, RHYTHMS

RATE_HZ = 500.0
START_S, STOP_S = -1.0, 9.0
COMPARED = ("I", "II", "V5")
SNR_DB = 12.0
HISTORY_S = 8.0  # of ECG before the picture that an ejection fraction is read from
PICTURE = 64  # px


def _record(n: int, seed: int, leads: tuple[str, ...], **pinned: Any) -> tuple[Any, Any, Tensor]:
    """Patients, rhythm and clean leads [n, l, samples] from `START_S` to `STOP_S`."""
    patients = draw_patients(n, stream(seed, 8), **pinned)
    rhythm = beat_times(draw_rhythm(patients, stream(seed, 0)), START_S, STOP_S, stream(seed, 5))
    drawn = draw_electrocardiogram(patients, stream(seed, 1), leads=leads)
    times = torch.arange(round((STOP_S - START_S) * RATE_HZ)) / RATE_HZ + START_S
    return patients, rhythm, synthesize_ecg(rhythm, drawn, times, stream(seed, 6), clean=True)


def sample_leads(n: int, seed: int) -> Arrays:
    """Per beat, how far apart (s) I, II and V5 have their R waves' tops: of `narrow` and of other (`wide`) beats; and
    their largest deflections, of narrow beats (`largest`).
    """
    patients, rhythm, leads = _record(n, seed, COMPARED)
    columns: dict[str, list[np.ndarray]] = {"narrow": [], "wide": [], "largest": []}
    conducted = (rhythm.origin == ORIGINS.index("sinus")) | (rhythm.origin == ORIGINS.index("atrial"))
    for i in range(n):
        r, signals = rhythm.r_peak[i].double().numpy(), leads[i].double().numpy()
        usual = conducted[i].numpy() & (int(patients.conduction[i]) == CONDUCTIONS.index("normal"))
        spread = peak_spread(signals, RATE_HZ, START_S, r)
        columns["narrow"].append(spread[usual])
        columns["wide"].append(spread[~usual])
        columns["largest"].append(peak_spread(signals, RATE_HZ, START_S, r, upward=False)[usual])
    return {name: np.concatenate(column) for name, column in columns.items()}


def sample_detection(n: int, seed: int) -> Arrays:
    """Per heart in sinus rhythm what `detection` counts in its lead II, [n, 4]: `clean`, and `noisy` at 12 dB; and
    whether its QRS is conducted as usual (`narrow`).
    """
    patients, rhythm, leads = _record(n, seed, ("II",), rhythm="sinus")
    clear = leads[:, 0].double()
    among = add_noise(clear, RATE_HZ, SNR_DB, torch.Generator().manual_seed(seed))
    clean, noisy = [], []
    for i in range(n):
        r = rhythm.r_peak[i].double().numpy()
        r = r[np.isfinite(r)]
        clean.append(detection(clear[i].numpy(), RATE_HZ, START_S, r))
        noisy.append(detection(among[i].numpy(), RATE_HZ, START_S, r))
    narrow = patients.conduction == CONDUCTIONS.index("normal")
    return {"clean": np.array(clean), "noisy": np.array(noisy), "narrow": narrow.numpy()}


def sample_rhythms(n: int, seed: int) -> Arrays:
    """Of n hearts of usual conduction, every rhythm with beats in turn: `rhythm` [n], index into RHYTHMS, and what
    `detection` counts in their clean lead II, `clean` [n, 4].
    """
    rhythms = torch.tensor([i for i, name in enumerate(RHYTHMS) if name != "asystole"])
    chosen = rhythms[torch.arange(n) % len(rhythms)]
    _, rhythm, leads = _record(n, seed, ("II",), rhythm=chosen, conduction="normal")
    clean = []
    for peaks, lead in zip(rhythm.r_peak.double().numpy(), leads[:, 0].double().numpy(), strict=True):
        clean.append(detection(lead, RATE_HZ, START_S, peaks[np.isfinite(peaks)]))
    return {"rhythm": chosen.numpy(), "clean": np.array(clean)}


def sample_examinations(n: int, seed: int) -> Arrays:
    """n examinations of one picture each, A4C at the onset of an ejection: `ef` [n], `ecg` features [n, k],
    `picture` uint8 [n, 64, 64]. Hearts that stand still are left out.
    """
    parameters = draw_phantom(n, seed, view="a4c", leads=information.LEADS)
    rhythm = beat_times(parameters.rhythm, -HISTORY_S, 2.0, stream(seed, 5))
    times = torch.arange(round((HISTORY_S + 1.0) * 200)) / 200 - HISTORY_S
    ecg = synthesize_ecg(rhythm, parameters.electrocardiogram, times, stream(seed, 6)).numpy()
    onsets = contract(rhythm, parameters.mechanics, torch.zeros(1)).ejection_onset_s
    first = torch.where(onsets > 0, onsets, torch.inf).amin(1)  # [n]
    motion = contract(rhythm, parameters.mechanics, first.nan_to_num(posinf=0.0)[:, None])
    seen = scan(parameters, motion, torch.zeros(1), size=PICTURE, displacement=False, generator=stream(seed, 7))
    peaks = rhythm.r_peak.double().numpy()
    features = np.stack([
        information.beat_features(lead, 200.0, -HISTORY_S, row[np.isfinite(row)])
        for lead, row in zip(ecg, peaks, strict=True)
    ])  # fmt: skip
    beating = torch.isfinite(first).numpy()
    return {"ef": parameters.patients.ef.numpy()[beating], "ecg": features[beating],
            "picture": seen.frames[:, 0].numpy()[beating]}  # fmt: skip


def told(examinations: Arrays, ecg: bool, picture: bool, fold: int, seed: int) -> Arrays:
    """EF that a network tells of one fold of the examinations (`told`) and their true one (`ef`)."""
    ef = torch.from_numpy(examinations["ef"]).float()
    features = torch.from_numpy(examinations["ecg"]).float() if ecg else None
    pictures = torch.from_numpy(examinations["picture"]).float() / 255 if picture else None
    found = information.predict_held_out(ef, features, pictures, fold, seed)
    return {"told": found.numpy(), "ef": examinations["ef"][np.arange(len(ef)) % information.FOLDS == fold]}
