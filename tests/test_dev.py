"""`dev.py` sets up only when something changed, and says in one sentence why it cannot."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def dev(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A fresh `dev.py` that believes a temporary folder to be its repository."""
    specification = importlib.util.spec_from_file_location("dev", repository / "dev.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((repository / name).read_bytes())
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    return module


def pretend_up_to_date(dev: ModuleType) -> None:
    dev.venv_python().parent.mkdir(parents=True)
    dev.venv_python().symlink_to(sys.executable)
    dev.stamp_file().write_text(dev.wanted_stamp())


def pip_that_says(message: str) -> list[str]:
    """A stand-in for pip that fails with `message`."""
    return [sys.executable, "-c", f"import sys; sys.exit({message!r})"]


def test_nothing_is_installed_twice(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_up_to_date(dev)
    monkeypatch.setattr(dev.subprocess, "run", lambda *_, **__: pytest.fail("nothing should be started"))
    dev.set_up()


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_changed_requirements_ask_for_a_new_set_up(dev: ModuleType, name: str) -> None:
    pretend_up_to_date(dev)
    with (dev.ROOT / name).open("a") as file:
        file.write("\n")
    assert not dev.is_up_to_date()


def test_a_vanished_interpreter_asks_for_a_new_set_up(dev: ModuleType) -> None:
    pretend_up_to_date(dev)
    dev.venv_python().unlink()
    dev.venv_python().symlink_to(dev.ROOT / "gone")
    assert not dev.is_up_to_date()


def test_torch_is_pinned_without_a_build_suffix(dev: ModuleType) -> None:
    assert dev.pinned("torch") == "torch==2.13.0"
    assert "+" not in "".join(line for line in (dev.ROOT / "constraints.txt").open() if not line.startswith("#"))


def test_a_missing_pin_is_named(dev: ModuleType) -> None:
    with pytest.raises(dev.SetupError, match="pins no unheard-of"):
        dev.pinned("unheard-of")


def test_no_network_is_said_in_one_sentence(dev: ModuleType) -> None:
    dev.VENV.mkdir()
    pip = pip_that_says("WARNING: Retrying after connection broken by 'NewConnectionError'\nERROR: no version found")
    with pytest.raises(dev.SetupError, match="package index cannot be reached, so torch==2.13.0") as refusal:
        dev.install(pip, [], "torch==2.13.0")
    assert "\n" not in str(refusal.value)


def test_any_other_failure_of_pip_gives_its_first_error_and_the_log(dev: ModuleType) -> None:
    dev.VENV.mkdir()
    pip = pip_that_says("WARNING: hm\nERROR: No space left on device\nERROR: later")
    with pytest.raises(dev.SetupError, match=r"\(ERROR: No space left on device\).*install\.log"):
        dev.install(pip, [], "the other packages")
    assert "ERROR: later" in (dev.VENV / "install.log").read_text()


def test_neither_ensurepip_nor_pip_is_said_in_one_sentence(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_quietly(command: list[str]) -> subprocess.CompletedProcess:
        works = "--without-pip" in command
        return subprocess.CompletedProcess(command, 0 if works else 1, stdout="", stderr="No module named pip")

    monkeypatch.setattr(dev, "run_quietly", run_quietly)
    with pytest.raises(dev.SetupError, match="neither ensurepip nor pip"):
        dev.make_environment()


def test_an_old_python_is_refused_before_anything_else(repository: Path) -> None:
    pretend_old = "import runpy, sys; sys.version_info = (3, 9, 2); runpy.run_path(sys.argv[1])"
    result = subprocess.run(
        [sys.executable, "-c", pretend_old, str(repository / "dev.py")], capture_output=True, text=True
    )
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1 and "this is Python 3.9; EchoPulse needs 3.11 or newer" in result.stderr


def test_a_missing_example_is_named_before_the_set_up(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "set_up", lambda: pytest.fail("should not be reached"))
    with pytest.raises(dev.SetupError, match="sinus_72.csv is missing"):
        dev.demo()


@pytest.mark.parametrize(
    ("given", "run"),
    [
        ([], ["tests", "--ignore=tests/real"]),
        (["-k", "ecg"], ["tests", "--ignore=tests/real", "-k", "ecg"]),
        (["tests/test_dev.py::test_x"], ["tests/test_dev.py::test_x"]),
    ],
)
def test_arguments_go_to_pytest(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, given: list[str], run: list[str]
) -> None:
    (dev.ROOT / "tests").mkdir()
    (dev.ROOT / "tests" / "test_dev.py").touch()
    started = []
    monkeypatch.setattr(dev, "set_up", lambda: None)
    monkeypatch.setattr(dev, "run_in_environment", lambda arguments: started.append(arguments) or 0)
    assert dev.test(given) == 0
    assert started == [["-m", "pytest", *run]]
