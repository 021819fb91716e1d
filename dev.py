"""Set up EchoPulse in a bare clone and run it: `python3 dev.py demo`, `python3 dev.py test`, `python3 dev.py lint`.

Needs Python 3.11 or newer with either `venv` and `ensurepip`, or `venv` and pip; nothing else. The first call makes
`.venv` and installs the versions of `constraints.txt`; later calls see from a stamp that nothing has changed and
start at once. The syntax stays old enough for an old Python to read this file and say that it is too old.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - the whole point is to be run by the wrong Python
    sys.exit(
        "dev.py: this is Python {}.{}; EchoPulse needs 3.11 or newer, so call it as, say, "
        "`python3.11 dev.py demo` or `make demo PYTHON=python3.11`.".format(*sys.version_info[:2])
    )

import argparse
import hashlib
import os
import re
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
EXAMPLE = Path("examples") / "sinus_72.csv"
CLIP = Path("demo") / "heartbeat.mp4"
USED_LIBRARIES = (
    "torch, numpy, scipy.signal, safetensors.torch, neurokit2, wfdb, edfio, sierraecg, pypdf, av, PIL.Image, pydicom, "
    "matplotlib.pyplot, tqdm"
)
NETWORK_WORDS = (
    "NewConnectionError",
    "NameResolutionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ProxyError",
    "Max retries exceeded",
    "Connection broken",
    "Network is unreachable",
)


class SetupError(Exception):
    """The set-up cannot go on; the message is one sentence for the user."""


def say(text: str) -> None:
    print("dev.py: " + text, flush=True)


def venv_python() -> Path:
    """The interpreter of the virtual environment, whether it is there yet or not."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def clean_environment() -> dict[str, str]:
    """The environment without what would mix in another Python's packages or keep bytecode from being stored."""
    unwanted = ("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE")
    environment = {name: value for name, value in os.environ.items() if name not in unwanted}
    environment.update(PIP_USER="0", PIP_DISABLE_PIP_VERSION_CHECK="1", VIRTUAL_ENV=str(VENV))
    return environment


def run_quietly(command: list[str]) -> subprocess.CompletedProcess:
    return subprocess.run(command, env=clean_environment(), cwd=ROOT, capture_output=True, text=True, errors="replace")


def wanted_stamp() -> str:
    """What the stamp says when `.venv` is up to date; the place counts, for a moved environment does not work."""
    digest = hashlib.sha256(str(ROOT).encode())
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def stamp_file() -> Path:
    return VENV / "echopulse-stamp"


def is_up_to_date() -> bool:
    stamp = stamp_file()
    return venv_python().exists() and stamp.is_file() and stamp.read_text().strip() == wanted_stamp()


def pinned(package: str) -> str:
    """The requirement `package==version` as `constraints.txt` has it."""
    found = re.search(rf"^{re.escape(package)}==\S+", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    if not found:
        raise SetupError(f"constraints.txt pins no {package}; restore it with `git checkout constraints.txt`.")
    return found.group()


def has_pip() -> bool:
    return run_quietly([str(venv_python()), "-m", "pip", "--version"]).returncode == 0


def has_right_python() -> bool:
    """Whether `.venv` holds an interpreter that starts and is new enough (the system's may have gone since)."""
    if not venv_python().exists():
        return False
    question = "import sys; sys.exit(sys.version_info < (3, 11) or sys.prefix == sys.base_prefix)"
    return run_quietly([str(venv_python()), "-c", question]).returncode == 0


def make_environment() -> None:
    """Make `.venv` with pip in it, also where Debian has left `ensurepip` out of its Python.

    Without python3-venv, `python3 -m venv` fails on Debian and Ubuntu; an environment without pip still works there.
    The system's own pip (22.3 or newer) may then install pip into it with `--python`: the ban on installing into the
    system's Python (PEP 668) does not hold for a virtual environment.
    """
    if has_right_python() and has_pip():
        return
    say("making .venv with Python {}.{}.{}".format(*sys.version_info[:3]))
    if run_quietly([sys.executable, "-m", "venv", "--clear", str(VENV)]).returncode == 0 and has_pip():
        return
    bare = run_quietly([sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV)])
    if bare.returncode != 0:
        reason = last_line(bare.stderr) or last_line(bare.stdout)
        raise SetupError(f"Python cannot make a virtual environment in {VENV} ({reason}); `apt install python3-venv` "
                         "adds what Debian and Ubuntu leave out.")
    if run_quietly([sys.executable, "-m", "pip", "--version"]).returncode != 0:
        raise SetupError(f"{sys.executable} has neither ensurepip nor pip, so nothing can be installed; "
                         "`apt install python3-venv` (or python3-pip) adds it on Debian and Ubuntu.")
    say("this Python has no ensurepip, so its own pip installs pip into .venv")
    pip = [sys.executable, "-m", "pip", "--python", str(venv_python())]
    install(pip, ["--ignore-installed", "pip"], "pip")


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def install(pip: list[str], arguments: list[str], what: str) -> None:
    """Run `pip install`, with its progress bars on a terminal, and turn a failure into one sentence."""
    quiet = [] if sys.stdout.isatty() else ["--quiet"]
    # Compiling every file of every package takes as long as the installation; `warm_up` compiles what is used.
    command = [*pip, "install", *quiet, "--no-compile", "--no-warn-script-location", *arguments]
    result = subprocess.run(
        command, env=clean_environment(), cwd=ROOT, stderr=subprocess.PIPE, text=True, errors="replace"
    )
    if result.returncode == 0:
        return
    log = VENV / "install.log"
    log.write_text(" ".join(command) + "\n" + result.stderr)
    if any(word in result.stderr for word in NETWORK_WORDS):
        raise SetupError(f"the package index cannot be reached, so {what} cannot be installed; connect this machine to "
                         "the network, or set PIP_INDEX_URL to a mirror, and call again.")
    errors = [line.strip() for line in result.stderr.splitlines() if line.startswith("ERROR:")]
    reason = (errors or [last_line(result.stderr)])[0]
    raise SetupError(f"pip could not install {what} ({reason}); its whole message is in {log}.")


def warm_up() -> None:
    """Import what EchoPulse uses: the bytecode is stored for later starts, and a broken installation shows now."""
    result = run_quietly([str(venv_python()), "-c", f"import {USED_LIBRARIES}"])
    if result.returncode != 0:
        raise SetupError(f"the installed packages do not start ({last_line(result.stderr)}); remove {VENV} and call "
                         "again, or install the system library that is named.")


def set_up() -> None:
    """Make `.venv` what `pyproject.toml` and `constraints.txt` ask for; an instant when it already is."""
    if is_up_to_date():
        return
    started = time.monotonic()
    make_environment()
    stamp_file().unlink(missing_ok=True)
    pip = [str(venv_python()), "-m", "pip"]
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    torch = pinned("torch")
    say(f"installing {torch}")
    install(pip, [*constraints, torch, pinned("setuptools")], torch)
    say("installing the other packages")
    # setuptools is there already, so the build needs no environment (and no download) of its own.
    install(pip, [*constraints, "--no-build-isolation", "--editable", f"{ROOT}[dev]"], "the other packages")
    say("trying what was installed")
    warm_up()
    stamp_file().write_text(wanted_stamp() + "\n")
    say(f"set up in {time.monotonic() - started:.0f} s")


def run_in_environment(arguments: list[str]) -> int:
    return subprocess.run([str(venv_python()), *arguments], env=clean_environment(), cwd=ROOT).returncode


def demo() -> int:
    """Turn the bundled ECG into a clip and say where it is."""
    if not (ROOT / EXAMPLE).is_file():
        raise SetupError(f"{EXAMPLE} is missing from this copy; restore it with `git checkout examples`.")
    set_up()
    (ROOT / CLIP).parent.mkdir(exist_ok=True)
    call_main = "import sys; from echopulse.cli import main; sys.exit(main())"
    code = run_in_environment(
        ["-c", call_main, "generate", str(EXAMPLE), "--seconds", "4", "--out", str(CLIP), "--force"]
    )
    if code == 0:
        say(f"your clip is {ROOT / CLIP} (the report beside it is {CLIP.with_suffix('.json').name})")
    return code


def test(arguments: list[str]) -> int:
    """Run every test but those on real recordings; `arguments` go to pytest, and paths among them replace `tests`."""
    set_up()
    names_paths = any((ROOT / argument.split("::")[0]).exists() for argument in arguments)
    chosen = [] if names_paths else ["tests", "--ignore=tests/real"]
    return run_in_environment(["-m", "pytest", *chosen, *arguments])


def lint() -> int:
    set_up()
    return run_in_environment(["-m", "ruff", "check", "."])


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="dev.py",
        description="Set up EchoPulse in .venv, then run it.",
        epilog="example: python3 dev.py test -k ecg",
    )
    parser.add_argument(
        "command",
        choices=("demo", "test", "lint"),
        help="demo: one clip from the bundled ECG; test: the tests (further arguments go to pytest); lint: ruff",
    )
    known, further = parser.parse_known_args()
    if further and known.command != "test":
        parser.error(f"{known.command} takes no further arguments, but got {' '.join(further)}")
    try:
        return {"demo": demo, "test": lambda: test(further), "lint": lint}[known.command]()
    except SetupError as error:
        print(f"dev.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
