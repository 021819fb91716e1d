"""What an untrusted file may cost, in one place: whatever asks for more is refused before it is read."""

from __future__ import annotations

from echopulse.errors import InputError

MOST_BYTES = 1 << 30  # of a file on disk
MOST_UNPACKED_BYTES = 256 << 20  # of what an archive or a compressed stream holds
MOST_UNPACKED_RATIO = 200  # of what is unpacked to what was packed: more is a bomb
MOST_VALUES = 100_000_000  # samples of all leads together that are held at once
MOST_LEADS = 256
MOST_SECONDS = 15 * 86400.0  # of a recording
MOST_DEPTH = 64  # of XML elements and JSON values within each other
MOST_MEMBERS = 20_000  # of an archive
MOST_TEXT_BYTES = 48 << 20  # of a table or an export in text, which takes thirty times as much while it is read
MOST_JSON_BYTES = 20 << 20  # a JSON file is held whole, as objects that take many times its size
MOST_JSON_CONTAINERS = 500_000  # lists and objects in it
MOST_XML_BYTES = 64 << 20  # of an XML document, whose tree takes several times as much
MOST_TAG_BYTES = 1 << 16  # of one XML tag with its attributes
MOST_ELEMENTS = 300_000  # XML elements and their attributes together


def check_bytes(name: str, count: int) -> None:
    """InputError for a file that is larger than any that is read whole."""
    if count > MOST_BYTES:
        raise InputError(
            f"{name}: {count / 1e9:.1f} GB; a file of this kind is read up to {MOST_BYTES / 1e9:.1f} GB. Cut out what "
            "you need."
        )


def check_text(name: str, count: int) -> None:
    """InputError for text that is longer than any that is read whole."""
    if count > MOST_TEXT_BYTES:
        raise InputError(
            f"{name}: {count / 1e6:.0f} MB of text; a table is read up to {MOST_TEXT_BYTES / 1e6:.0f} MB. Cut out what "
            "you need, or convert it to .npy or WFDB."
        )


def check_size(name: str, leads: int, samples: int, rate_hz: float) -> None:
    """InputError for a recording that claims more than is read: ask before memory is taken for it."""
    if not 1 <= leads <= MOST_LEADS:
        raise InputError(f"{name}: {leads} leads; from 1 to {MOST_LEADS} are expected.")
    if samples < 0 or leads * samples > MOST_VALUES:
        raise InputError(
            f"{name}: {leads} leads of {samples} samples; at most {MOST_VALUES} values are read at once. Read a part "
            "of it (--at, --seconds)."
        )
    if rate_hz > 0 and samples / rate_hz > MOST_SECONDS:
        raise InputError(f"{name}: {samples / rate_hz / 86400:.0f} days; at most {MOST_SECONDS / 86400:.0f} are read.")
