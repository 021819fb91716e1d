"""From the name of a stream to its pieces."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from echopulse.ecg.read import check_rate, checked_unit
from echopulse.ecg.streams.feed import KEPT_S, Source, pieces
from echopulse.ecg.streams.lsl import lsl
from echopulse.ecg.streams.polar import polar
from echopulse.ecg.streams.sources import replay, serial_port, tcp
from echopulse.ecg.types import ECG
from echopulse.errors import InputError

KINDS = "replay:FILE, tcp://HOST:PORT, serial:PORT, lsl:NAME or polar:NAME"
NEEDS = {"serial": ("serial", "pyserial"), "lsl": ("pylsl", "pylsl"), "polar": ("bleak", "bleak")}
BAUD = 115200


def read_stream(
    source: str, *, rate_hz: float | None = None, unit: str | None = None, patience_s: float = 10.0,
    kept_s: float = KEPT_S,
) -> Iterator[ECG]:  # fmt: skip
    """Pieces of an ECG in millivolts as they arrive, on one clock, for `EchoPulse.stream`.

    source      see the module's docstring
    rate_hz     of lines of numbers that do not say theirs; of a file, as in `read_ecg`
    unit        "nV", "uV", "mV" or "V", where the stream says none or says it wrongly
    patience_s  how long to wait for a connection, or for samples, before the stream is over
    kept_s      seconds that wait for whoever takes the pieces; the oldest beyond that are lost, and told as a gap

    Raises InputError at once for a source that cannot be, on the way for one that sends no ECG.

    >>> for block in pulse.stream(read_stream("tcp://127.0.0.1:5000", rate_hz=250)):
    ...     show(block.frames)
    """
    check_rate(rate_hz)
    unit = checked_unit(unit)
    if not patience_s > 0 or not kept_s > 0:
        raise InputError(f"patience of {patience_s:g} s, {kept_s:g} s kept: numbers above 0 are expected.")
    opened, waits = _opened(source, rate_hz, patience_s), source.startswith("replay:")
    return pieces(opened, source, unit=unit, kept_s=kept_s, waits=waits)


def _opened(source: str, rate_hz: float | None, patience_s: float) -> Source:
    kind, _, rest = source.partition(":")
    place, _, query = rest.partition("?")
    options = {name: values[-1] for name, values in parse_qs(query).items()}
    if kind in NEEDS and importlib.util.find_spec(NEEDS[kind][0]) is None:
        raise InputError(f"{source}: the package {NEEDS[kind][1]} is missing; pip install 'echopulse[live]'.")
    if kind == "replay" and place:
        return replay(Path(place), speed=_number(source, options, "speed", 1.0), rate_hz=rate_hz)
    if kind == "tcp":
        try:
            parts = urlsplit(source)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if host and port:
            return tcp(host, port, rate_hz=rate_hz, patience_s=patience_s)
    if kind == "serial" and place:
        baud = _number(source, options, "baud", BAUD)
        if not 1 <= baud <= 1e8:
            raise InputError(f"{source}: {baud:g} baud; a whole number such as {BAUD} is expected.")
        return serial_port(place, int(baud), rate_hz=rate_hz, patience_s=patience_s)
    if kind == "lsl" and place and "'" not in place:
        return lsl(place, patience_s=patience_s)
    if kind == "polar" and place:
        return polar(place, patience_s=patience_s)
    raise InputError(f"{source}: no stream; {KINDS} is expected.")


def _number(source: str, options: dict[str, str], name: str, usual: float) -> float:
    try:
        return float(options.get(name, usual))
    except ValueError:
        raise InputError(f"{source}: {name}={options[name]} is no number.") from None
