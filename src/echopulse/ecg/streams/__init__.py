"""An ECG as it arrives: from a device, over a network, or from a file as if it were one.

    replay:FILE?speed=10           any file that `read_ecg` reads, at its own pace or a faster one
    tcp://HOST:PORT                lines of numbers, one column per lead
    serial:/dev/ttyUSB0?baud=115200  the same from a serial port
    lsl:NAME                       a stream of the Lab Streaming Layer
    polar:NAME                     a Polar H10 within reach, by name or address
"""

from echopulse.ecg.streams.open import read_stream

__all__ = ["read_stream"]
