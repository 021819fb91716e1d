"""One reader per family of files; the first of `READERS` that knows a file reads it.

What is told by its first bytes comes first; tables of numbers take what is left, so they come last.
"""

from echopulse.ecg.readers.apple import APPLE_CSV
from echopulse.ecg.readers.edf import EDF
from echopulse.ecg.readers.ishne import ISHNE
from echopulse.ecg.readers.kardia import KARDIA
from echopulse.ecg.readers.matlab import MATLAB
from echopulse.ecg.readers.npz import NPZ
from echopulse.ecg.readers.plain import NUMPY, TABLE
from echopulse.ecg.readers.source import Reader, Source, Wanted

READERS: tuple[Reader, ...] = (EDF, ISHNE, KARDIA, NPZ, MATLAB, NUMPY, APPLE_CSV, TABLE)

__all__ = ["READERS", "Reader", "Source", "Wanted"]
