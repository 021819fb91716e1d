"""Which beat of a clip a cardiologist would trace: the first that the clip shows whole."""

from __future__ import annotations

import numpy as np

from echopulse.phantom.types import Truth


def traced_frames(truth: Truth, i: int) -> tuple[int, int]:
    """Frames of end-diastole and of the end-systole that follows it, of the first whole contraction in clip i.

    Where no contraction lies within the clip, the frames of the largest and the smallest volume (in either order);
    where the heart stands still, the first and the last one.
    """
    times = truth.times_s.cpu().numpy()
    last = len(times) - 1
    ed, es = (getattr(truth, name)[i].cpu().numpy() for name in ("ed_times_s", "es_times_s"))
    whole = np.flatnonzero((ed >= times[0] - 1e-3) & (es <= times[-1] + 1e-3))  # never true of NaN
    for beat in whole[np.argsort(ed[whole], kind="stable")]:
        frames = (int(np.abs(times - ed[beat]).argmin()), int(np.abs(times - es[beat]).argmin()))
        if frames[0] < frames[1]:
            return frames
    volume = truth.volume_ml[i].cpu().numpy()
    if np.ptp(volume) < 1e-3 * volume.max():
        return 0, last
    return int(volume.argmax()), int(volume.argmin())
