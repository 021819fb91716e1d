"""The text files of Polar Sensor Logger (semicolons, one stream a file), and the Samsung Health CSV without a trace."""

from __future__ import annotations

import numpy as np

from echopulse.ecg.readers.clock import steady
from echopulse.ecg.readers.moments import moment_in, seconds_in
from echopulse.ecg.readers.plain import no_rate
from echopulse.ecg.readers.source import Reader, Source, Wanted
from echopulse.ecg.readers.text import number
from echopulse.ecg.readers.units import in_millivolts, unit_in
from echopulse.ecg.types import ECG
from echopulse.errors import InputError

USUAL_HZ = 130.0
CLOCKS = (("sensor timestamp", 1e-9, "the sensor's clock"), ("timestamp [ms]", 1e-3, "the time column"))
SAMSUNG = ("com.samsung.health.", "com.samsung.shealth.")


def looks_like_polar(source: Source) -> bool:
    """A first line of names between semicolons, of which the first is the phone's time."""
    first = source.head_text.partition("\n")[0].lower()
    return source.is_plain_text and first.startswith("phone ") and ";" in first and "timestamp" in first


def read_polar(source: Source, wanted: Wanted) -> ECG:
    """The ECG of a chest strap, on the clock of the strap; other streams are refused by their names."""
    names = [name.strip() for name in source.lines[0].split(";")]
    place = next((i for i, name in enumerate(names) if name.lower().startswith("ecg")), None)
    if place is None:
        streams = ", ".join(name for name in names if name and "timestamp" not in name.lower()) or "no stream"
        raise InputError(
            f"{source.name}: a Polar Sensor Logger file of {streams}, without an ECG; give the file whose name ends in "
            "_ECG."
        )
    rows = [line.split(";") for line in source.lines[1:] if line.strip()]
    rows = [row for row in rows if len(row) == len(names)]
    if not rows:
        raise InputError(f"{source.name}: a Polar Sensor Logger file without any sample; record it again.")
    values = np.array([_value(row[place]) for row in rows])[None]
    rate, how, provenance = wanted.rate_hz, "as given", {}
    if rate is None:
        times, how = _clock(names, rows)
        found = None if times is None else steady(times, values)
        if found is None:
            raise no_rate(source.name, USUAL_HZ, "the strap")
        values, rate = found.samples, found.rate_hz
        if found.told:
            provenance["clock"] = found.told
    samples, unit_how = in_millivolts(values, unit_in(names[place]), wanted.unit)
    recorded = moment_in(rows[0][0])
    if recorded is not None:  # the phone's own time, of no known zone
        provenance["recorded"] = recorded.replace(tzinfo=None).isoformat(timespec="seconds")
    told = {"format": "Polar Sensor Logger", "rate": f"{rate:.6g} Hz, {how}", "unit": unit_how, "leads": "unnamed"}
    return ECG(samples, rate, ("ECG",), provenance=told | provenance)


def _value(cell: str) -> float:
    value = number(cell)
    return np.nan if value is None else value


def _clock(names: list[str], rows: list[list[str]]) -> tuple[np.ndarray | None, str]:
    """Times in seconds from the first, by the best clock of the file that moves, and which it was."""
    for start, scale, what in CLOCKS:
        column = next((i for i, name in enumerate(names) if name.lower().startswith(start)), None)
        if column is None:
            continue
        cells = [row[column].strip() for row in rows]
        first = next((int(cell) for cell in cells if cell.isdecimal() and len(cell) < 25), 0)
        # whole nanoseconds since 2000 have more digits than a float holds: taken from the first before they are one
        times = [
            float(int(cell) - first) if cell.isdecimal() and len(cell) < 25 else _value(cell) - first for cell in cells
        ]
        times = scale * np.array(times)
        if np.isfinite(times).any() and np.nanmax(times) > np.nanmin(times):
            return times, f"from {what}"
    stamps = np.array([np.nan if (at := seconds_in(row[0])) is None else at for row in rows])
    return (stamps, "from the phone's clock") if np.isfinite(stamps).any() else (None, "")


def looks_like_samsung(source: Source) -> bool:
    """A first line that names a table of Samsung Health."""
    return source.is_plain_text and source.head_text.startswith(SAMSUNG)


def read_samsung(source: Source, wanted: Wanted) -> ECG:
    """Refuses it, and says where the trace is."""
    table = source.head_text.partition(",")[0].strip()
    if ".ecg" not in table[:60]:
        raise InputError(
            f"{source.name}: the Samsung Health table {table[:60]}, without an ECG; the traces are in "
            "files/com.samsung.health.ecg/ of the export."
        )
    raise InputError(
        f"{source.name}: the Samsung Health list of ECGs, without their traces; give the trace itself, "
        "files/com.samsung.health.ecg/<uuid>.data.pdf of the same export."
    )


POLAR = Reader("a Polar Sensor Logger file", looks_like_polar, read_polar)
SAMSUNG_CSV = Reader("a Samsung Health CSV file", looks_like_samsung, read_samsung)
