"""An ECG file or stream becomes `ECG` and `Beats`; what is in the file decides how it is read."""

from echopulse.ecg.beats import find_beats
from echopulse.ecg.clean import clean_ecg
from echopulse.ecg.quality import best_stretch, check_usable, quality_per_second, signal_quality
from echopulse.ecg.read import list_ecg_files, read_ecg
from echopulse.ecg.rhythm import RhythmWords, rhythm_words
from echopulse.ecg.streams import read_stream
from echopulse.ecg.types import ECG, Beats, Note
from echopulse.ecg.write import write_ecg

__all__ = [
    "ECG", "Beats", "Note", "RhythmWords", "best_stretch", "check_usable", "clean_ecg", "find_beats", "list_ecg_files",
    "quality_per_second", "read_ecg", "read_stream", "rhythm_words", "signal_quality", "write_ecg",
]  # fmt: skip
