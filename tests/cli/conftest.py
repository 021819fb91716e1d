"""Every command through `main`, in this process, on a tiny model: exit codes, refusals, nothing left behind."""

from pathlib import Path

import numpy as np
import pytest

from echopulse.cli import main

QUICK = ["--seconds", "1", "--steps", "1", "--guidance", "1"]


def write_recording(path: Path, seconds: float = 4.0, *, flat: bool = False, rate_hz: float = 200.0) -> Path:
    """A table of seconds and millivolts: 75 beats a minute, or a line at 0.1 mV."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    wave = 0.005 * np.random.default_rng(0).standard_normal(len(time))
    for r in np.arange(0.4, seconds, 0.8):
        wave += np.exp(-(((time - r) / 0.012) ** 2)) + 0.25 * np.exp(-(((time - r - 0.28) / 0.05) ** 2))
    table = np.column_stack([time, np.full_like(time, 0.1) if flat else wave])
    np.savetxt(path, table, delimiter=",", header="time_s,I_mV", comments="", fmt="%.5f")
    return path


@pytest.fixture(scope="session")
def write_ecg():
    return write_recording


@pytest.fixture(scope="session")
def watch(tmp_path_factory) -> Path:
    return write_recording(tmp_path_factory.mktemp("ecg") / "watch.csv")


@pytest.fixture
def run(tiny_model, tmp_path, monkeypatch, capsys):
    """Runs `echopulse generate` in an empty folder; gives exit code, what was said and what was complained of."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)

    def generate(*arguments) -> tuple[int, str, str]:
        code = main(["generate", *map(str, arguments), *QUICK, "--model", str(tiny_model)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return generate


def names_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def is_one_sentence(complaint: str) -> None:
    """One line that starts with the program's name, ends a sentence and holds no traceback."""
    assert complaint.startswith("echopulse: ") and complaint.count("\n") == 1 and complaint.rstrip()[-1] in ".)"
    assert "Traceback" not in complaint and "Error" not in complaint


@pytest.fixture(scope="session")
def files_in():
    return names_below


@pytest.fixture(scope="session")
def assert_one_sentence():
    return is_one_sentence
