"""Clips with their ECG and truth, as training reads them."""

from echopulse.data.bank import Bank, fill_bank

__all__ = ["Bank", "fill_bank"]
