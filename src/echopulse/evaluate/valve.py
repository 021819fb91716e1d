"""Does the mitral valve open in a picture? Told from where the valve hangs, whichever way the annulus moves.

Labels say where ventricle and left atrium meet in every frame. The picture around that line is laid out straight and
still, so that only what the leaflets do is left; how it changes from closed to open in the original is what another
picture of the same heart is held against.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from echopulse.phantom.types import LABELS

ACROSS, ALONG = 20, 24  # samples of a patch
TO_ATRIUM, TO_VENTRICLE = -0.4, 1.6  # how far a patch reaches, halves of the annulus' width
FEWEST = 5  # pixels of the line where the chambers meet; fewer do not say which way it runs
SHUT, OPEN = 0.05, 0.5  # of the valve's opening, 0..1
VISIBLE = 0.02  # grey values, root mean square: a valve that changes its surroundings by less is not seen
CLOSED_FRAMES = 6  # nearest in time that an open valve is compared with
LV, LA = LABELS.index("lv"), LABELS.index("la")


@dataclass(frozen=True, eq=False)
class Annulus:
    """Where ventricle and atrium meet in t frames: `middle` [t, 2] and unit vectors `across`, `inwards` [t, 2] (row,
    column), `inwards` into the ventricle; NaN in frames that do not show it. `half_width` in pixels is the clip's.
    """

    middle: np.ndarray
    across: np.ndarray
    inwards: np.ndarray
    half_width: float


def find_annulus(labels: np.ndarray) -> Annulus | None:
    """The line between the chambers in labels uint8 [t, h, w]; None where no frame shows it."""
    found = [_line(frame) for frame in labels]
    widths = [line[3] for line in found if line is not None]
    if not widths:
        return None
    nothing = np.full(2, np.nan)
    middle, across, inwards = (
        np.stack([nothing if line is None else line[part] for line in found]) for part in range(3)
    )
    return Annulus(middle, across, inwards, float(np.median(widths)))


def _line(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float] | None:
    ventricle, atrium = labels == LV, labels == LA
    down = np.argwhere(ventricle[:-1] & atrium[1:] | atrium[:-1] & ventricle[1:]) + (0.5, 0.0)
    right = np.argwhere(ventricle[:, :-1] & atrium[:, 1:] | atrium[:, :-1] & ventricle[:, 1:]) + (0.0, 0.5)
    points = np.concatenate([down, right])
    if len(points) < FEWEST:
        return None
    middle = points.mean(0)
    across = np.linalg.svd(points - middle, full_matrices=False)[2][0]
    across = across * np.sign(across[1] or 1.0)
    along = (points - middle) @ across
    inwards = np.array([-across[1], across[0]])
    inwards = inwards * np.sign((np.argwhere(ventricle).mean(0) - middle) @ inwards or 1.0)
    return middle, across, inwards, float(np.ptp(along)) / 2


def valve_patches(frames: np.ndarray, annulus: Annulus) -> np.ndarray:
    """The picture around the valve, float64 [t, 24, 20]; NaN where there is no line. Frames [t, h, w] in 0..1."""
    from scipy.ndimage import map_coordinates

    u = np.linspace(-1, 1, ACROSS) * annulus.half_width
    v = np.linspace(TO_ATRIUM, TO_VENTRICLE, ALONG) * annulus.half_width
    patches = np.full((len(frames), ALONG, ACROSS), np.nan)
    for k, frame in enumerate(frames):
        if np.isfinite(annulus.middle[k]).all():
            places = annulus.middle[k] + v[:, None, None] * annulus.inwards[k] + u[:, None] * annulus.across[k]
            patches[k] = map_coordinates(frame, places.transpose(2, 0, 1), order=1, mode="nearest")
    return patches


def openings(original: np.ndarray, other: np.ndarray, labels: np.ndarray, opening: np.ndarray) -> list[float]:
    """How far the valve of `other` opens, each time that of `original` does: 1 as far, 0 not at all.

    Frames [t, h, w] in 0..1 of one heart, its labels [t, h, w] and the valve's true opening [t]. Each time is a stretch
    of frames in which the valve is at least half open. The change of the picture around the valve from shut to open is
    projected onto that of the original; times at which even the original hardly changes are left out.
    """
    annulus = find_annulus(labels)
    if annulus is None:
        return []
    true, seen = valve_patches(original, annulus), valve_patches(other, annulus)
    shut = np.flatnonzero((opening < SHUT) & np.isfinite(annulus.middle[:, 0]))
    scores = []
    for stretch in stretches((opening > OPEN) & np.isfinite(annulus.middle[:, 0])):
        if not len(shut):
            break
        nearest = shut[np.argsort(np.abs(shut - stretch.mean()), kind="stable")[:CLOSED_FRAMES]]
        change, found = (patches[nearest].mean(0) - patches[stretch].mean(0) for patches in (true, seen))
        if np.sqrt((change * change).mean()) >= VISIBLE:
            scores.append(float((change * found).sum() / (change * change).sum()))
    return scores


def stretches(where: np.ndarray) -> Iterator[np.ndarray]:
    """Runs of neighbouring indices at which `where` [t] holds."""
    index = np.flatnonzero(where)
    if len(index):
        yield from np.split(index, np.flatnonzero(np.diff(index) > 1) + 1)
