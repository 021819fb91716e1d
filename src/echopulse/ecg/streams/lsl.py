"""A stream of the Lab Streaming Layer: rate, leads and unit from its description, times from its own clock."""

from __future__ import annotations

import threading
import time

import numpy as np

from echopulse.ecg.readers.units import lead_name, unit_in
from echopulse.ecg.streams.feed import Chunk, Device, Put, Source
from echopulse.errors import InputError


def device_of(labels: list[str], units: list[str], rate_hz: float, name: str) -> Device:
    """What a stream's description says; InputError for one without a steady rate, as markers have."""
    if not 20 <= rate_hz <= 20000:
        raise InputError(f"{name}: {rate_hz:g} samples a second; an ECG has between 20 and 20000, at a steady rate.")
    leads = tuple(lead_name(label) if label else f"ECG{i + 1}" for i, label in enumerate(labels))
    if len(set(leads)) < len(leads):
        leads = tuple(f"ECG{i + 1}" for i in range(len(leads)))
    said = {unit_in(unit) or (unit.lower().rstrip("s") == "microvolt" and "uv") or None for unit in units if unit}
    return Device(leads, rate_hz, said.pop() if len(said) == 1 else None)


def start_of(stamps: list[float], expected_s: float | None, rate_hz: float) -> float:
    """Where a chunk begins: right after the last one, unless its clock says that samples are missing between."""
    if expected_s is None or stamps[0] - expected_s > max(0.05, 2 / rate_hz):
        return stamps[0]
    return expected_s


def lsl(wanted: str, *, patience_s: float) -> Source:
    """The first stream whose name or type is `wanted`."""
    name = f"lsl:{wanted}"

    def run(put: Put, stop: threading.Event) -> None:
        import pylsl

        found = pylsl.resolve_bypred(f"name='{wanted}' or type='{wanted}'", 1, patience_s)
        if not found:
            raise InputError(f"{name}: no such stream within {patience_s:g} s; start it, in the same network.")
        inlet = pylsl.StreamInlet(found[0], processing_flags=pylsl.proc_clocksync | pylsl.proc_dejitter)
        about = inlet.info()
        channel, labels, units = about.desc().child("channels").child("channel"), [], []
        for _ in range(about.channel_count()):
            labels.append(channel.child_value("label"))
            units.append(channel.child_value("unit"))
            channel = channel.next_sibling()
        device = device_of(labels, units, about.nominal_srate(), name)
        origin, end_s, heard_at = None, None, time.monotonic()
        while not stop.is_set() and time.monotonic() - heard_at < patience_s:
            rows, stamps = inlet.pull_chunk(timeout=0.2)
            if not rows:
                continue
            heard_at, samples = time.monotonic(), np.array(rows, dtype=np.float64).T
            origin = stamps[0] if origin is None else origin
            begin = start_of([stamp - origin for stamp in stamps], end_s, device.rate_hz)
            chunk = Chunk(device, samples, begin)
            end_s = chunk.end_s
            put(chunk)
        inlet.close_stream()

    return run
