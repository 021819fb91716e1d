"""A Polar H10 over Bluetooth: its measurement service sends frames of 24-bit samples in microvolts at 130 Hz.

Layout of the frames and the command that starts them: Polar's BLE SDK, "Polar Measurement Data specification".
"""

from __future__ import annotations

import asyncio
import threading
import time

import numpy as np

from echopulse.ecg.streams.feed import Chunk, Device, Put, Source
from echopulse.errors import InputError

CONTROL, DATA = (f"FB005C8{part}-02E7-F387-1CAD-8ACD2D8DF0C8" for part in (1, 2))
START_ECG = bytes([2, 0, 0, 1, 0x82, 0, 1, 1, 14, 0])  # start, ECG, rate 130 Hz, resolution 14 bit
RATE_HZ = 130.0
HEADER = 10  # bytes: kind, time of the last sample in ns, kind of frame
SLACK_S = 0.05  # of the sensor's clock that is jitter and no gap
H10 = Device(("I",), RATE_HZ, "uv")


def samples_of(frame: bytes) -> tuple[np.ndarray, float] | None:
    """Samples float64 [1, n] in microvolts and the time of the last one in seconds; None for other frames."""
    if len(frame) < HEADER + 3 or frame[0] != 0 or frame[9] != 0 or (len(frame) - HEADER) % 3:
        return None
    three = np.frombuffer(frame[HEADER:], np.uint8).reshape(-1, 3).astype(np.int32)
    value = three[:, 0] | three[:, 1] << 8 | three[:, 2] << 16
    value = np.where(value >= 1 << 23, value - (1 << 24), value)
    return value[None].astype(np.float64), int.from_bytes(frame[1:9], "little") / 1e9


class Clock:
    """Where frames lie on one clock: samples are counted, and the sensor's time tells when some are missing."""

    def __init__(self) -> None:
        self.origin: float | None = None
        self.end_s = 0.0

    def place(self, count: int, last_s: float) -> float:
        """Start of a frame of `count` samples whose last one the sensor gives this time."""
        begin = last_s - (count - 1) / RATE_HZ
        self.origin = begin if self.origin is None else self.origin
        late = begin - self.origin - self.end_s
        start = self.end_s
        if late > SLACK_S + 1 / RATE_HZ:
            start += late
        else:
            self.origin += late  # its clock runs a little off
        self.end_s = start + count / RATE_HZ
        return start


def polar(wanted: str, *, patience_s: float) -> Source:
    """The first Polar H10 whose name or address holds `wanted`."""

    def run(put: Put, stop: threading.Event) -> None:
        asyncio.run(_listen(wanted, patience_s, put, stop))

    return run


async def _listen(wanted: str, patience_s: float, put: Put, stop: threading.Event) -> None:
    from bleak import BleakClient, BleakScanner

    def matches(device, _) -> bool:
        return wanted.lower() in f"{device.name or ''} {device.address}".lower()

    clock, heard, heard_at = Clock(), False, time.monotonic()

    def arrived(_, frame: bytearray) -> None:
        nonlocal heard, heard_at
        if (found := samples_of(bytes(frame))) is not None:
            heard, heard_at = True, time.monotonic()
            put(Chunk(H10, found[0], clock.place(found[0].shape[1], found[1])))

    while not stop.is_set():
        device = await BleakScanner.find_device_by_filter(matches, timeout=patience_s)
        if device is None:
            if heard:
                return
            raise InputError(f"polar:{wanted}: no such sensor within {patience_s:g} s; wear it, wetted, and come near.")
        async with BleakClient(device) as client:
            await client.start_notify(DATA, arrived)
            await client.write_gatt_char(CONTROL, START_ECG, response=True)
            heard_at = time.monotonic()
            while client.is_connected and not stop.is_set() and time.monotonic() - heard_at < patience_s:
                await asyncio.sleep(0.2)
        if time.monotonic() - heard_at >= patience_s:
            if heard:
                return
            raise InputError(f"polar:{wanted}: it sends no ECG within {patience_s:g} s; wear it, wetted.")
