"""One reader per family of files; the first of `READERS` that knows a file reads it.

What is told by its first bytes comes first; tables of numbers take what is left, so they come last.
"""

from echopulse.ecg.readers.aecg import AECG
from echopulse.ecg.readers.apple import APPLE_CSV

READERS: tuple[Reader, ...] = (
    NUMPY, DICOM, SCP, PDF, PICTURE, ZIP, GZIP, AECG, MUSE, PHILIPS, JSON, SAMSUNG_CSV, POLAR, FITBIT_CSV, APPLE_CSV, TABLE,
)  # fmt: skip

__all__ = ["READERS", "Reader", "Source", "Wanted"]
