"""What it costs to read a part of a whole day, and what is lost between writing an ECG and reading it again.

    python benchmarks/ecg_files.py

A day of three leads at 250 Hz is written as a WFDB record; ten seconds of it are read in a process of their own, whose
memory is counted from after the imports. Round trips are of a simulated ECG with a gap, at a rate that is no whole
number and a start that is not 0: the largest error in steps of the format (its file says how large one is), and whether
leads and times are the same. The last line is JSON. Bars: 1 s and 200 MB; one step.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from echopulse.ecg import ECG, read_ecg, write_ecg

DAY_S, RATE_HZ = 86400, 250.0
STEP_MV = {".hea": 1e-3, ".csv": 1e-5, ".dcm": 1e-3, ".npz": 1e-7}  # of ECGs within 32 mV; float32 in the last


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part-of", type=Path, help=argparse.SUPPRESS)  # the process of its own
    options = parser.parse_args()
    if options.part_of:
        print(json.dumps(part_of(options.part_of)))
        return
    with tempfile.TemporaryDirectory() as folder:
        write_day(Path(folder))
        made = subprocess.run(
            [sys.executable, __file__, "--part-of", str(Path(folder, "day.hea"))], capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        part = json.loads(made.stdout)
        print("10 s of a day", "  ".join(f"{name} {value:g}" for name, value in part.items()))
        trips = {ending: round_trip(Path(folder), ending) for ending in STEP_MV}
    for ending, row in trips.items():
        print(ending, "  ".join(f"{name} {value}" for name, value in row.items()))
    print(json.dumps({"part_of_a_day": part, "round_trips": trips}))


def write_day(folder: Path) -> None:
    """A day of three leads as `day.hea`, written straight: 16 bits, 1000 to the millivolt."""
    beat = np.round(1000 * np.exp(-(((np.arange(200) - 60) / 4.0) ** 2))).astype("<i2")
    one = np.resize(beat, DAY_S * int(RATE_HZ))
    np.stack([one, one // 2, -one], 1).tofile(folder / "day.dat")
    lines = [f"day 3 {RATE_HZ:g} {len(one)}", *(f"day.dat 16 1000/mV 16 0 0 0 0 {lead}" for lead in ("I", "II", "V1"))]
    (folder / "day.hea").write_text("\n".join(lines) + "\n")


def part_of(record: Path) -> dict[str, float]:
    """Seconds and megabytes of reading ten seconds in the middle of a record, the imports not counted."""
    import scipy.signal  # noqa: F401 - what reading and its checks import
    import wfdb  # noqa: F401

    before, began = memory_mb(), time.perf_counter()
    ecg = read_ecg(record, at_s=DAY_S / 2, seconds=10)
    spent = time.perf_counter() - began
    if ecg.samples.shape != (3, 2500) or ecg.start_s != DAY_S / 2:
        raise RuntimeError(f"another part than asked for: {ecg.samples.shape} from {ecg.start_s} s")
    return {"seconds": round(spent, 3), "mb": round(memory_mb() - before, 1), "process_mb": round(memory_mb(), 1)}


def memory_mb() -> float:
    """The most memory that this process has held."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024


def round_trip(folder: Path, ending: str) -> dict[str, float | bool]:
    """How far samples are off in steps, and whether leads, gaps and times are the same."""
    draw = np.random.default_rng(0)
    samples = np.cumsum(draw.normal(size=(3, 3000)), axis=1) * 0.02
    samples[:, 1000:1100] = np.nan
    ecg = ECG(samples, 511.423, ("I", "II", "V5"), start_s=12.5)
    path = folder / f"trip{ending}"
    write_ecg(ecg, path)
    again = read_ecg(path)
    same = again.samples.shape == ecg.samples.shape
    off = np.abs(again.samples - ecg.samples) if same else np.full(1, np.inf)
    times = np.abs(again.times_s - ecg.times_s).max() if same else np.inf
    return {
        "steps": round(float(np.nanmax(off)) / STEP_MV[ending], 3), "leads": again.leads == ecg.leads,
        "gaps": bool(same and (np.isnan(again.samples) == np.isnan(ecg.samples)).all()), "times_off_s": float(times),
    }  # fmt: skip


if __name__ == "__main__":
    main()
