"""One reader per family of files; the first of `READERS` that knows a file reads it.

What is told by its first bytes comes first; tables of numbers take what is left, so they come last.
"""

from echopulse.ecg.readers.apple import APPLE_CSV
from echopulse.ecg.readers.plain import NUMPY, TABLE
from echopulse.ecg.readers.source import Reader, Source, Wanted
from echopulse.ecg.readers.written import WRITTEN_TABLE

READERS: tuple[Reader, ...] = (NUMPY, WRITTEN_TABLE, APPLE_CSV, TABLE)

__all__ = ["READERS", "Reader", "Source", "Wanted"]
