"""Where streams come from: a file at its own pace, a TCP port, a serial port."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

from echopulse.ecg.streams.feed import Chunk, Device, Put, Source
from echopulse.ecg.streams.lines import run_lines
from echopulse.errors import InputError

WAIT_S = 1.0  # for bytes, before a look at whether to stop
AT_ONCE = 65536


def replay(path: Path, *, speed: float = 1.0, piece_s: float = 0.25, **options) -> Source:
    """A file as it would have arrived, `speed` times as fast; `options` are those of `read_ecg`."""
    from echopulse.ecg.read import read_ecg

    if not 0 < speed <= 1e6 or not piece_s > 0:
        raise InputError(f"replay: speed {speed:g} and pieces of {piece_s:g} s; numbers above 0 are expected.")
    ecg = read_ecg(path, **options)

    def run(put: Put, stop: threading.Event) -> None:
        device, began = Device(ecg.leads, ecg.rate_hz, "mv"), time.monotonic()
        step = max(1, round(piece_s * ecg.rate_hz))
        for first in range(0, ecg.samples.shape[1], step):
            chunk = Chunk(device, ecg.samples[:, first : first + step], ecg.start_s + first / ecg.rate_hz)
            if stop.wait(max(0.0, began + (chunk.end_s - ecg.start_s) / speed - time.monotonic())):
                return
            put(chunk)

    return run


class TcpConnection:
    """Bytes from a TCP port."""

    def __init__(self, host: str, port: int):
        self.socket = socket.create_connection((host, port), timeout=WAIT_S)

    def read(self) -> bytes:
        try:
            data = self.socket.recv(AT_ONCE)
        except TimeoutError:
            return b""
        if not data:
            raise ConnectionResetError("the sender closed the connection")
        return data

    def close(self) -> None:
        self.socket.close()


class SerialConnection:
    """Bytes from a serial port, by pyserial."""

    def __init__(self, port: str, baud: int):
        import serial

        self.port = serial.Serial(port, baud, timeout=WAIT_S)

    def read(self) -> bytes:
        return self.port.read(max(1, self.port.in_waiting))

    def close(self) -> None:
        self.port.close()


def tcp(host: str, port: int, *, rate_hz: float | None, patience_s: float) -> Source:
    """Lines of numbers from a TCP port, see `lines`."""
    name = f"tcp://{host}:{port}"
    return lambda put, stop: run_lines(lambda: TcpConnection(host, port), name, rate_hz, patience_s, put, stop)


def serial_port(port: str, baud: int, *, rate_hz: float | None, patience_s: float) -> Source:
    """Lines of numbers from a serial port."""
    name = f"serial:{port}"
    return lambda put, stop: run_lines(lambda: SerialConnection(port, baud), name, rate_hz, patience_s, put, stop)
