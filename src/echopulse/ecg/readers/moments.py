"""When a recording was made, as files write it: ISO times, times of day, the dates of a log, counts since 1970."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T _](\d\d)[:-](\d\d)(?:[:-](\d\d)(?:[.,](\d{1,9}))?)?\s*(Z\b|UTC|[+-]\d\d:?\d\d)?"
)
LOGGED = re.compile(r"([A-Z][a-z]{2}) (\d\d?) (\d\d):(\d\d):(\d\d) (?:UTC|GMT|Z)?\s*(\d{4})")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
TIME_OF_DAY = re.compile(
    r"[\['\"]?(?:\S+[T ]+)?(?:(\d{1,3}):)?(\d{1,3}):(\d\d(?:[.,]\d+)?)(?: ?\d\d/\d\d/\d{4})?[\]'\"Z]?"
)


def moment_in(text: str) -> datetime | None:
    """The first date with a time of day in a piece of text, in UTC where it names no zone; None without one."""
    try:
        if found := ISO.search(text):
            year, month, day, hour, minute, second, part, zone = found.groups()
            fraction = int((part or "0")[:6].ljust(6, "0"))
            return datetime(
                int(year), int(month), int(day), int(hour), int(minute), int(second or 0), fraction, _zone(zone)
            )
        if (found := LOGGED.search(text)) and found.group(1) in MONTHS:
            month, day, hour, minute, second, year = found.groups()
            at = [int(value) for value in (day, hour, minute, second)]
            return datetime(int(year), MONTHS.index(month) + 1, *at, tzinfo=UTC)
        if re.fullmatch(r"\s*\d{10,13}(\.\d+)?\s*", text):
            count = float(text)
            return datetime.fromtimestamp(count / 1000 if count > 1e11 else count, UTC)
    except (ValueError, OverflowError, OSError):  # a 31st of February, a year 60000
        return None
    return None


def _zone(text: str | None) -> timezone:
    if text in (None, "Z", "UTC"):
        return UTC
    minutes = 60 * int(text[1:3]) + int(text[-2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def written(moment: datetime | None) -> str | None:
    """A moment as the provenance has it."""
    return None if moment is None else moment.isoformat(timespec="seconds")


def seconds_in(cell: str) -> float | None:
    """Seconds that a cell of a clock column shows ("12:30:05.004", "0:05.004", a date and a time), None if none."""
    if ":" not in cell:
        return None
    if (moment := moment_in(cell)) is not None and (found := ISO.search(cell)):
        fraction = float(f"0.{found.group(7)}") if found.group(7) else 0.0
        return moment.replace(microsecond=0).timestamp() + fraction
    found = TIME_OF_DAY.fullmatch(cell.strip())
    if not found:
        return None
    hours, minutes, seconds = found.groups()
    return 3600.0 * int(hours or 0) + 60.0 * int(minutes) + float(seconds.replace(",", "."))
