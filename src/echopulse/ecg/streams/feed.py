"""Samples on their way from a device to whoever shows them: bounded, so that a slow consumer loses the oldest.

A source runs in a thread of its own and puts chunks; `pieces` gives them on as `ECG`s that follow each other on one
clock. What was lost, by a slow consumer or a broken connection, is a gap: the next piece begins later.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from echopulse.ecg.limits import check_size
from echopulse.ecg.readers.units import in_millivolts
from echopulse.ecg.types import ECG
from echopulse.errors import InputError

KEPT_S = 30.0  # that wait for a slow consumer
DECIDED_S = 2.0  # of ECG, from which the unit is decided where nobody says it


@dataclass(frozen=True)
class Device:
    """What is known of a stream: the names of its leads, samples per second, and the unit ("uv", ...) or None."""

    leads: tuple[str, ...]
    rate_hz: float
    unit: str | None = None


@dataclass(frozen=True, eq=False)
class Chunk:
    """Samples float64 [leads, n] in the device's unit; the first at `start_s` on the stream's clock."""

    device: Device
    samples: np.ndarray
    start_s: float

    @property
    def end_s(self) -> float:
        return self.start_s + self.samples.shape[1] / self.device.rate_hz


Put = Callable[[Chunk], None]
Source = Callable[[Put, threading.Event], None]  # puts chunks until it ends or the event is set


class Feed:
    """A queue of chunks that forgets the oldest beyond `kept_s`; its source closes it, with an error or without.

    With `waits` nothing is forgotten: the source waits until there is room, as a file can.
    """

    def __init__(self, kept_s: float = KEPT_S, waits: bool = False):
        self.kept_s, self.waits, self.chunks, self.lost_s = kept_s, waits, deque[Chunk](), 0.0
        self.changed, self.over, self.error = threading.Condition(), False, None

    def put(self, chunk: Chunk) -> None:
        with self.changed:
            if self.waits:
                self.changed.wait_for(lambda: self.over or not self._full(chunk))
            self.chunks.append(chunk)
            while not self.waits and len(self.chunks) > 1 and self._full(chunk):
                gone = self.chunks.popleft()
                self.lost_s += gone.end_s - gone.start_s
            self.changed.notify_all()

    def _full(self, chunk: Chunk) -> bool:
        return bool(self.chunks) and chunk.end_s - self.chunks[0].start_s > self.kept_s

    def close(self, error: BaseException | None = None) -> None:
        with self.changed:
            self.over, self.error = True, error
            self.changed.notify_all()

    def take(self) -> Chunk | None:
        """The oldest chunk, as soon as there is one; None at the end. Raises what the source ended with."""
        with self.changed:
            self.changed.wait_for(lambda: self.chunks or self.over)
            if self.chunks:
                self.changed.notify_all()
                return self.chunks.popleft()
            if self.error is not None:
                raise self.error
            return None


def pieces(
    source: Source, name: str, *, unit: str | None = None, kept_s: float = KEPT_S, waits: bool = False
) -> Iterator[ECG]:
    """`ECG`s in millivolts as they arrive; `unit` wins over what the device says.

    Where neither says a unit it is decided once, from the first two seconds, which then come together. Leaving the
    iterator stops the source. With `waits` the source waits for a slow consumer. InputError for what the source cannot
    do, and for a device that changes its mind.
    """
    feed, stop = Feed(kept_s, waits), threading.Event()

    def run() -> None:
        try:
            source(feed.put, stop)
        except BaseException as error:  # whatever it is, the consumer has to see it, not this thread's log
            feed.close(error)
        else:
            feed.close()

    thread = threading.Thread(target=run, name=f"ECG from {name}", daemon=True)
    thread.start()
    try:
        yield from _scaled(feed, name, unit)
    finally:
        stop.set()
        feed.close()


def _scaled(feed: Feed, name: str, unit: str | None) -> Iterator[ECG]:
    device, waiting, waited_s, factor, how = None, [], 0.0, None, ""
    while (chunk := feed.take()) is not None:
        if device is None:
            device = chunk.device
            check_size(name, len(device.leads), chunk.samples.shape[1], device.rate_hz)
        elif chunk.device != device:
            raise InputError(f"{name}: other leads or another rate than at the start; begin a new stream.")
        waiting.append(chunk)
        waited_s += chunk.samples.shape[1] / device.rate_hz
        if factor is None:
            known = unit or device.unit
            if known is None and waited_s < DECIDED_S:
                continue
            factor, how = _factor(waiting, known if unit is None else None, unit)
        for one in waiting:
            yield _piece(one, factor, how, name, feed.lost_s)
        waiting = []
    if waiting:
        factor, how = _factor(waiting, None, unit)
        for one in waiting:
            yield _piece(one, factor, how, name, feed.lost_s)


def _factor(chunks: list[Chunk], stated: str | None, given: str | None) -> tuple[float, str]:
    together = np.concatenate([chunk.samples for chunk in chunks], axis=1)
    scaled, how = in_millivolts(together, stated, given)
    some = np.flatnonzero(np.isfinite(together) & (together != 0))
    return (float(scaled.flat[some[0]] / together.flat[some[0]]) if len(some) else 1.0), how


def _piece(chunk: Chunk, factor: float, unit_how: str, name: str, lost_s: float) -> ECG:
    device = chunk.device
    provenance = {"path": name, "format": "stream", "rate": f"{device.rate_hz:g} Hz", "unit": unit_how}
    if lost_s:
        provenance["lost"] = f"{lost_s:.1f} s that nobody took in time"
    return ECG(chunk.samples * factor, device.rate_hz, device.leads, chunk.start_s, provenance)
