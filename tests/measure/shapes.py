"""Ventricles and volume curves whose measures are known by formula."""

import numpy as np


def truncated_ellipse(a: float, c: float, tau: float = 0.45, tilt: float = 0.0, centre=(64.0, 60.0), size: int = 128):
    """Mask [size, size] of half width a and half length c (pixels), apex up, cut at tau * c below its centre.

    Returns the mask, the volume of the solid of revolution and the length of its axis.
    """
    y, x = np.mgrid[:size, :size].astype(float)
    dx, dy = x - centre[0], y - centre[1]
    along = dx * np.sin(tilt) + dy * np.cos(tilt)
    across = dx * np.cos(tilt) - dy * np.sin(tilt)
    mask = (along <= c * tau) & ((along / c) ** 2 + (across / a) ** 2 <= 1)
    return mask, np.pi * a * a * c * ((1 + tau) - (tau**3 + 1) / 3), c * (1 + tau)


def beating(times: np.ndarray, onsets: np.ndarray, edv: float = 120.0, fractions=0.6, atrial: float = 0.25):
    """Volume at `times`; the heart begins to eject at each onset (seconds) and the next one ends its filling.

    Ejection over a third of a second or less, 80 ms of isovolumic relaxation, early filling, rest, atrial kick.
    Returns the volume and the times at which ejection ends, one per onset.
    """
    onsets = np.asarray(onsets, float)
    fractions = np.broadcast_to(fractions, onsets.shape)
    volume, ends = np.full(len(times), edv), onsets.copy()
    for k, onset in enumerate(onsets):
        following = onsets[k + 1] if k + 1 < len(onsets) else onset + 1.0
        cycle, stroke = following - onset, edv * fractions[k]
        ejection = min(0.3, 0.45 * cycle)
        ends[k] = onset + ejection
        filling = onset + ejection + min(0.08, 0.1 * cycle)
        early = min(0.25, 0.75 * (following - filling))
        kick = min(0.13, following - filling - early)
        inside = (times >= onset) & (times < following)
        now = times[inside]
        volume[inside] -= stroke * _rise((now - onset) / ejection)
        volume[inside] += stroke * (1 - atrial) * _rise((now - filling) / early)
        volume[inside] += stroke * atrial * _rise((now - following + kick) / kick)
    return volume, ends


def _rise(u: np.ndarray) -> np.ndarray:
    u = np.clip(u, 0, 1)
    return u * u * (3 - 2 * u)
