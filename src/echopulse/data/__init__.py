"""Clips with their ECG and truth, as training reads them."""

from echopulse.data.bank import Bank, fill_bank
from echopulse.data.endless import SimulatedClips

__all__ = ["Bank", "SimulatedClips", "fill_bank"]
