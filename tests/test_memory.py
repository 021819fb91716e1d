"""The memory told is what this process held, at its most, and nothing of who started it."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from echopulse.memory import peak_memory_gb


def test_the_peak_grows_with_what_is_held_and_does_not_fall():
    before = peak_memory_gb()
    held = torch.ones(round((before + 0.2) * 2**28))
    after = peak_memory_gb()
    del held
    assert after > before + 0.15 and peak_memory_gb() == pytest.approx(after, abs=0.01)


def test_a_small_child_of_a_large_process_is_small():
    held = torch.ones(1 << 28)
    code = "import echopulse.memory; print(echopulse.memory.peak_memory_gb())"
    source = str(Path(sys.modules["echopulse"].__file__).parents[1])
    told = subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {source!r}); {code}"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert float(told.stdout) < 0.7
    del held
