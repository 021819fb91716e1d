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


def start_of(stamps: list[float], last: float | None, end_s: float, rate_hz: float) -> float:
    """Where a chunk begins: at `end_s`, where the one before ended, later by what its clock says is missing between.

    `last` is the stamp of the sample before. Only this one step is looked at: a rate a little off its name adds up to
    no gap.
    """
    missing = 0.0 if last is None else stamps[0] - last - 1 / rate_hz
    return end_s + missing if missing > max(0.05, 2 / rate_hz) else end_s


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
        last, end_s, heard_at = None, 0.0, time.monotonic()
        while not stop.is_set() and time.monotonic() - heard_at < patience_s:
            rows, stamps = inlet.pull_chunk(timeout=0.2)
            if not rows:
                continue
            heard_at, samples = time.monotonic(), np.array(rows, dtype=np.float64).T
            chunk = Chunk(device, samples, start_of(stamps, last, end_s, device.rate_hz))
            last, end_s = stamps[-1], chunk.end_s
            put(chunk)
        inlet.close_stream()

    return run
