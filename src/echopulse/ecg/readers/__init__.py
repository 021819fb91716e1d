"""One reader per family of files; the first of `READERS` that knows a file reads it.

What is told by its first bytes comes first; tables of numbers take what is left, so they come last.
"""

from echopulse.ecg.readers.aecg import AECG
from echopulse.ecg.readers.apple import APPLE_CSV
from echopulse.ecg.readers.archive import GZIP, ZIP
from echopulse.ecg.readers.dicom import DICOM
from echopulse.ecg.readers.edf import EDF
from echopulse.ecg.readers.fitbit import FITBIT_CSV
from echopulse.ecg.readers.ishne import ISHNE
from echopulse.ecg.readers.json_files import JSON
from echopulse.ecg.readers.kardia import KARDIA
from echopulse.ecg.readers.matlab import MATLAB
from echopulse.ecg.readers.muse import MUSE
from echopulse.ecg.readers.npz import NPZ
from echopulse.ecg.readers.pdf import PDF
from echopulse.ecg.readers.philips import PHILIPS
from echopulse.ecg.readers.picture import PICTURE
from echopulse.ecg.readers.plain import NUMPY, TABLE
from echopulse.ecg.readers.polar import POLAR, SAMSUNG_CSV
from echopulse.ecg.readers.scp import SCP
from echopulse.ecg.readers.source import Reader, Source, Wanted
from echopulse.ecg.readers.written import WRITTEN_TABLE

READERS: tuple[Reader, ...] = (
    NUMPY, NPZ, MATLAB, DICOM, EDF, ISHNE, KARDIA, SCP, PDF, PICTURE, WRITTEN_TABLE, ZIP, GZIP, AECG, MUSE,
    PHILIPS, JSON, SAMSUNG_CSV, POLAR, FITBIT_CSV, APPLE_CSV, TABLE,
)  # fmt: skip

__all__ = ["READERS", "Reader", "Source", "Wanted"]
