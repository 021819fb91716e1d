"""A simulated heart and scanner: rhythm, electrocardiogram, mechanics, anatomy and B-mode, with exact truth."""

from echopulse.phantom.opening import Opening, opening_frame
from echopulse.phantom.parameters import PhantomParameters
from echopulse.phantom.screen import print_screen
from echopulse.phantom.simulate import PhantomClips, draw_phantom, simulate, simulate_study
from echopulse.phantom.types import Motion, Patients, Rhythm, Truth

__all__ = [
    "Motion", "Opening", "Patients", "PhantomClips", "PhantomParameters", "Rhythm", "Truth", "draw_phantom",
    "opening_frame", "print_screen", "simulate", "simulate_study",
]  # fmt: skip
