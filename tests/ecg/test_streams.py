"""An ECG as it arrives: pieces on one clock, gaps told, nothing invented, and one sentence where nothing comes."""

import socket
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from echopulse.ecg import read_stream
from echopulse.ecg.streams.feed import Chunk, Device, Feed, pieces
from echopulse.ecg.streams.lines import LONGEST_LINE, MOST_GARBAGE, LineParser
from echopulse.ecg.streams.lsl import device_of, start_of
from echopulse.ecg.streams.polar import Clock, polar, samples_of
from echopulse.errors import InputError

RATE = 250.0


def a_beating_line(seconds: float = 4.0, rate: float = RATE) -> np.ndarray:
    time_s = np.arange(round(seconds * rate)) / rate
    return np.exp(-((((time_s + 0.3) % 0.8) - 0.4) / 0.02) ** 2)


def together(parts) -> tuple[np.ndarray, np.ndarray]:
    """Samples [leads, n] and their times, of pieces one after the other."""
    parts = list(parts)
    return np.concatenate([part.samples for part in parts], 1), np.concatenate([part.times_s for part in parts])


class Server:
    """Sends lots of bytes on a port of this machine, one connection for each, then refuses."""

    def __init__(self, *lots: bytes, pause_s: float = 0.0):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.name = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"
        self.lots, self.pause_s = lots, pause_s
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        for number, lot in enumerate(self.lots):
            connection, _ = self.listener.accept()
            with connection:
                if number:
                    time.sleep(self.pause_s)
                connection.sendall(lot)
        self.listener.close()


def lines(values: np.ndarray, scale: float = 1000.0) -> bytes:
    return b"".join(b"%.1f\n" % (scale * value) for value in values)


# A file at its own pace


def a_file(tmp_path, seconds: float = 4.0):
    path = tmp_path / "heart.csv"
    rows = (f"{number / RATE:.4f},{value:.5f}\n" for number, value in enumerate(a_beating_line(seconds)))
    path.write_text("time,I [mV]\n" + "".join(rows))
    return path


def test_a_replayed_file_comes_whole_in_pieces_that_follow_each_other(tmp_path):
    samples, times = together(read_stream(f"replay:{a_file(tmp_path)}?speed=1000"))
    assert np.allclose(samples[0], a_beating_line(), atol=1e-4)
    assert np.allclose(np.diff(times), 1 / RATE) and times[0] == 0


def test_a_replay_takes_its_time(tmp_path):
    began = time.monotonic()
    first = next(read_stream(f"replay:{a_file(tmp_path)}?speed=2"))
    assert time.monotonic() - began > 0.1 and first.duration_s == pytest.approx(0.25, abs=0.01)


# Lines of numbers over a network


def test_lines_over_tcp_become_millivolts():
    server = Server(lines(a_beating_line()))
    samples, times = together(read_stream(server.name, rate_hz=RATE, patience_s=1))
    assert np.allclose(samples[0], a_beating_line(), atol=1e-3)  # they came in microvolts, and nobody said so
    assert np.allclose(np.diff(times), 1 / RATE)


def test_a_header_says_rate_leads_and_unit():
    rows = b"".join(b"%.4f; %.4f\n" % (v, -v) for v in a_beating_line())
    (first, *_) = read_stream(Server(b"# rate_hz=500 leads=ii,v5 unit=mV\n" + rows).name, patience_s=1)
    assert first.leads == ("II", "V5") and first.rate_hz == 500 and "mV, as the file says" in first.provenance["unit"]


def test_a_connection_that_breaks_is_made_again_and_the_gap_is_told():
    rate = 5000.0
    wave = a_beating_line(0.4, rate)
    server = Server(lines(wave[:600]), lines(wave[600:]), pause_s=0.4)
    samples, times = together(read_stream(server.name, rate_hz=rate, unit="uV", patience_s=1.5))
    assert samples.shape[1] == len(wave)
    steps = np.diff(times)
    assert steps.min() > 0.99 / rate and steps.max() > 0.2 and int((steps > 1.5 / rate).sum()) == 1


def test_lines_that_are_no_samples_are_skipped():
    rows = lines(a_beating_line()).split(b"\n")
    rows[10:10] = [b"hello", b"1 2 3", b"\xff\xfe", b"x" * 2 * LONGEST_LINE, b"", b"1e300"]
    samples, _ = together(read_stream(Server(b"\n".join(rows)).name, rate_hz=RATE, patience_s=1))
    assert np.allclose(samples[0], a_beating_line(), atol=1e-3)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"", "no sample within"),
        (b"1\n2\n3\n", "does not say its sampling rate"),
        (b"# rate_hz=3\n1\n2\n", "an ECG has between 20 and 20000 Hz"),
        (b"no\n" * (MOST_GARBAGE + 2), "lines of numbers are expected"),
    ],
)
def test_what_sends_no_ecg_ends_in_one_sentence(sent, words):
    server = Server(sent)
    with pytest.raises(InputError, match=words) as caught:
        list(read_stream(server.name, patience_s=0.6))
    assert str(caught.value).startswith(server.name)


def test_nobody_at_the_other_end_is_said():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(InputError, match="no sample within 0.3 s"):
        list(read_stream(f"tcp://127.0.0.1:{port}", rate_hz=RATE, patience_s=0.3))


@pytest.mark.parametrize(
    "source", ["", "heart.csv", "tcp://", "tcp://host", "tcp://host:x", "replay:", "ftp://a:1", "tcp://[::1"]
)
def test_what_is_no_stream_is_refused_at_once(source):
    with pytest.raises(InputError, match="is expected"):
        read_stream(source)


@pytest.mark.parametrize("baud", ["inf", "nan", "-1", "fast"])
def test_a_baud_rate_that_is_none_is_refused_at_once(baud, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: True)
    with pytest.raises(InputError, match="baud"):
        read_stream(f"serial:/dev/null?baud={baud}")


@pytest.mark.parametrize("source", ["lsl:ECG", "polar:H10", "serial:/dev/null"])
def test_what_needs_the_extra_says_so(source, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'echopulse\[live\]'"):
        read_stream(source)


def test_half_a_line_waits_for_its_end():
    parser = LineParser("x")
    assert parser.feed(b"0 1\n1 2\n3 ").shape == (2, 2) and parser.feed(b"4\n").tolist() == [[3.0], [4.0]]


def test_a_sender_that_was_at_it_already_may_begin_with_half_a_line():
    parser = LineParser("x")
    assert parser.feed(b"5,6\n").size == 0  # the end of 4,5,6
    assert parser.feed(b"7,8,9\n").size == 0
    assert parser.feed(b"10,11,12\n13,14\n").tolist() == [[7.0, 10.0], [8.0, 11.0], [9.0, 12.0]]


# What waits for a slow consumer


def test_a_slow_consumer_loses_the_oldest_and_is_told():
    device, sent = Device(("I",), RATE, "mv"), threading.Event()

    def source(put, stop):
        for number in range(40):
            put(Chunk(device, np.full((1, 250), float(number)), float(number)))
        sent.set()

    parts = pieces(source, "test", kept_s=5.0)
    first = next(parts)
    sent.wait(2)
    rest = list(parts)
    assert first.start_s < rest[-1].start_s == 39.0 and len(rest) <= 5
    assert "nobody took" in rest[-1].provenance["lost"]


def test_a_replayed_file_waits_for_a_slow_consumer(tmp_path):
    parts = []
    for part in read_stream(f"replay:{a_file(tmp_path, 12.0)}?speed=10000", kept_s=1.0):
        time.sleep(0.002)
        parts.append(part)
    samples, times = together(parts)
    assert samples.shape[1] == 3000 and np.allclose(np.diff(times), 1 / RATE) and "lost" not in parts[-1].provenance


def test_leaving_a_stream_stops_its_source():
    stopped = threading.Event()

    def source(put, stop):
        put(Chunk(Device(("I",), RATE, "mv"), np.ones((1, 250)), 0.0))
        stop.wait(5)
        stopped.set()

    for _ in pieces(source, "test"):
        break
    assert stopped.wait(2)


def test_a_unit_is_decided_once_and_kept():
    device = Device(("I",), RATE)

    def source(put, stop):
        for number in range(8):  # later on the signal is a thousandth: a loose electrode, no other unit
            put(Chunk(device, 1000 * a_beating_line(1.0)[None] / (1 if number < 4 else 1000), float(number)))

    sizes = [float(np.ptp(part.samples)) for part in pieces(source, "test")]
    assert sizes[0] == pytest.approx(1, rel=0.02) and sizes[-1] == pytest.approx(1e-3, rel=0.02)


def test_a_device_that_changes_its_leads_is_refused():
    def source(put, stop):
        put(Chunk(Device(("I",), RATE, "mv"), np.ones((1, 10)), 0.0))
        put(Chunk(Device(("II",), RATE, "mv"), np.ones((1, 10)), 0.04))

    with pytest.raises(InputError, match="other leads"):
        list(pieces(source, "test"))


def test_what_ends_a_source_reaches_its_consumer():
    def source(put, stop):
        raise OSError("no such port")

    with pytest.raises(OSError, match="no such port"):
        list(pieces(source, "test"))


def test_a_feed_gives_nothing_after_its_end():
    feed = Feed()
    feed.close()
    assert feed.take() is None


# Frames of devices that are not here


def a_frame(values: list[int], last_ns: int) -> bytes:
    samples = b"".join(value.to_bytes(3, "little", signed=True) for value in values)
    return b"\0" + last_ns.to_bytes(8, "little") + b"\0" + samples


def test_a_polar_frame_holds_signed_microvolts_and_the_time_of_its_last_sample():
    samples, last_s = samples_of(a_frame([-329, 0, 5_000_000, -8_388_608], 2_500_000_000))
    assert samples.tolist() == [[-329.0, 0.0, 5_000_000.0, -8_388_608.0]] and last_s == 2.5
    assert samples_of(b"") is None and samples_of(b"\2" + bytes(12)) is None and samples_of(bytes(14)) is None


def test_polar_frames_follow_each_other_unless_one_is_missing():
    clock, period = Clock(), 73 / 130
    starts = [clock.place(73, 100.0 + 1.001 * (k + 1) * period) for k in (0, 1, 2, 4)]  # its clock runs a little slow
    assert starts[:3] == pytest.approx([0, period, 2 * period]) and starts[3] == pytest.approx(4 * period, abs=0.01)


def test_a_polar_sensor_that_sends_nothing_ends_in_one_sentence(monkeypatch):
    async def found(*_, **__):
        return SimpleNamespace(name="Polar H10", address="0")

    async def done(*_, **__):
        return None

    class Client:
        is_connected = True
        start_notify = write_gatt_char = done

        def __init__(self, device):
            pass

        async def __aenter__(self):
            return self

        async def __aexit__(self, *_):
            return None

    scanner = SimpleNamespace(find_device_by_filter=found)
    monkeypatch.setitem(sys.modules, "bleak", SimpleNamespace(BleakClient=Client, BleakScanner=scanner))
    stop = threading.Event()
    threading.Timer(3.0, stop.set).start()  # where it would wait for ever, it ends without a word
    with pytest.raises(InputError, match="sends no ECG"):
        polar("H10", patience_s=0.3)(lambda chunk: None, stop)


def test_an_lsl_description_gives_leads_and_unit():
    device = device_of(["Lead I", "ecg v1"], ["microvolts", "microvolts"], 500.0, "x")
    assert device == Device(("I", "V1"), 500.0, "uv")
    assert device_of(["", ""], ["", ""], 500.0, "x").leads == ("ECG1", "ECG2")
    with pytest.raises(InputError, match="steady rate"):
        device_of(["markers"], [""], 0.0, "x")


def test_lsl_chunks_follow_each_other_unless_the_clock_says_otherwise():
    assert start_of([10.0], None, 0.0, 500.0) == 0.0 and start_of([10.012], 10.0, 3.0, 500.0) == 3.0
    assert start_of([10.402], 10.0, 3.0, 500.0) == pytest.approx(3.4)


def test_an_lsl_rate_a_little_off_its_name_adds_up_to_no_gap():
    last, end_s = None, 0.0
    for number in range(200):  # 498 Hz under the name of 500
        stamps = [(100 * number + sample) / 498 for sample in range(100)]
        assert start_of(stamps, last, end_s, 500.0) == end_s
        last, end_s = stamps[-1], end_s + 0.2
