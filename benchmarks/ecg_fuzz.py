"""Damaged ECG files: whatever is wrong with them, one sentence says so, soon and in little memory.

    python benchmarks/ecg_fuzz.py FOLDER --mutations 20000

Every file below FOLDER is damaged again and again: bytes flipped, parts cut out, doubled, zeroed or taken from
another file, numbers and tags in text made huge, the end cut off. A WFDB header or signal file is damaged among its
others. What escapes as anything else than `InputError` is named with the seed that makes it again; so is what takes
more than five seconds of the processor or 500 MB. The last line is JSON; exit code 1 where something escaped or went
beyond.
"""

import argparse
import json
import re
import sys
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

SLOWEST_S, MOST_MB = 5.0, 500.0
LARGEST = 2_000_000  # bytes of a sample; of longer ones the first ones only
AT_ONCE = 50
MORE = (b"0", b"-1", b"99999999999", b"2147483648", b"1e308", b"nan", b"", b"\xff\xff\xff\xff")


def mutated(data: bytes, other: bytes, draw: np.random.Generator) -> bytes:
    """`data` damaged in one to four ways."""
    found = bytearray(data)
    for _ in range(draw.integers(1, 5)):
        size = max(len(found), 1)
        head = draw.random() < 0.5  # headers are where it hurts
        at = int(draw.integers(0, min(size, 600) if head else size))
        length = int(min(size, 2 ** draw.integers(0, 12)))
        kind = draw.integers(0, 8)
        if kind == 0:
            for place in draw.integers(at, min(at + 200, size), 8) if size > at else ():
                if place < len(found):
                    found[place] ^= 1 << int(draw.integers(0, 8))
        elif kind == 1:
            del found[at : at + length]
        elif kind == 2:
            found[at:at] = found[at : at + length]
        elif kind == 3:
            found[at : at + length] = bytes(min(length, len(found) - at))
        elif kind == 4:
            begin = int(draw.integers(0, max(len(other), 1)))
            found[at : at + length] = other[begin : begin + length]
        elif kind == 5:
            found = found[:at]
        elif kind == 6:
            numbers = list(re.finditer(rb"\d+", bytes(found[at : at + 4000])))
            if numbers:
                chosen = numbers[int(draw.integers(0, len(numbers)))]
                found[at + chosen.start() : at + chosen.end()] = MORE[int(draw.integers(0, len(MORE)))]
        else:
            found[at:at] = draw.integers(0, 256, length, dtype=np.uint8).tobytes()
    return bytes(found)


def peak_mb() -> float:
    """The most memory that this process has held since `forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def try_some(files: list[Path], seeds: range) -> list[dict]:
    """What went wrong among the mutations of these seeds."""
    from echopulse.ecg import read_ecg
    from echopulse.errors import InputError

    warnings.simplefilter("ignore")
    found = []
    for seed in seeds:
        draw = np.random.default_rng(seed)
        path, another = (files[int(draw.integers(0, len(files)))] for _ in range(2))
        data = mutated(path.read_bytes()[:LARGEST], another.read_bytes()[:LARGEST], draw)
        about = {"seed": seed, "file": path.name}
        forget_peak()
        before, began = peak_mb(), time.process_time()
        try:
            if path.parent.name == "wfdb":
                with tempfile.TemporaryDirectory() as folder:
                    for one in path.parent.glob(f"{path.stem}.*"):
                        Path(folder, one.name).write_bytes(data if one == path else one.read_bytes()[:LARGEST])
                    read_ecg(Path(folder, path.name))
            else:
                read_ecg(data, name=path.name, rate_hz=None if draw.random() < 0.5 else 250.0)
            about["read"] = True
        except InputError as error:
            if "\n" in str(error) or len(str(error)) > 1500:
                found.append(about | {"what": f"not one sentence: {str(error)[:200]!r}"})
        except Exception as error:
            found.append(about | {"what": f"{type(error).__name__}: {str(error)[:200]}"})
        taken, memory = time.process_time() - began, peak_mb() - before
        if taken > SLOWEST_S or memory > MOST_MB:
            found.append(about | {"what": f"{taken:.1f} s, {memory:.0f} MB"})
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mutations", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first mutation")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    files = sorted(path for path in options.folder.rglob("*") if path.is_file() and path.suffix != ".md")
    if not files:
        sys.exit(f"{options.folder}: no files here to damage.")
    last = options.seed + options.mutations
    lots = [range(first, min(first + AT_ONCE, last)) for first in range(options.seed, last, AT_ONCE)]
    wrong: list[dict] = []
    with ProcessPoolExecutor(options.workers) as pool:
        for some in pool.map(try_some, [files] * len(lots), lots):
            for one in some:
                print(one, flush=True)
            wrong += some
    print(json.dumps({"mutations": options.mutations, "files": len(files), "wrong": len(wrong)}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
