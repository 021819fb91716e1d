"""A simulated heart and scanner: rhythm, electrocardiogram, mechanics, anatomy and B-mode, with exact truth."""

from echopulse.phantom.opening import Opening, opening_frame
from echopulse.phantom.simulate import PhantomClips, PhantomParameters, draw_phantom, simulate
from echopulse.phantom.types import Motion, Rhythm, Truth

__all__ = [
    "Motion", "Opening", "PhantomClips", "PhantomParameters", "Rhythm", "Truth", "draw_phantom", "opening_frame",
    "simulate",
]  # fmt: skip
