"""The most memory that this process has held."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_memory_gb() -> float:
    """The most that this process has held so far, GiB; its child processes are not in it. NaN where no system tells.

    On Linux from the process's own status: `getrusage` starts from what the process held that started this one, and
    for finished children gives the largest of such values.
    """
    try:
        found = re.search(r"^VmHWM:\s+(\d+) kB$", STATUS.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        found = None
    if found:
        return int(found[1]) / 2**20
    if sys.platform == "win32":
        return math.nan
    import resource

    unit = 2**30 if sys.platform == "darwin" else 2**20  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
