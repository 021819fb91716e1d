"""The house keeps its shape: arrows between rooms, what is imported when, docstrings on everything public."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "echopulse"

# Arrows go down or stay on a floor; nothing knows what stands above it. A new room gets its floor here.
FLOORS = {
    "errors": 0,
    "files": 0,
    "jobs": 0,
    "memory": 0,
    "published": 0,
    "ecg": 1,
    "echo": 1,
    "phantom": 1,
    "data": 1,
    "model": 2,
    "measure": 2,
    "aiming": 3,
    "filling": 3,
    "generation": 3,
    "hearing": 3,
    "live": 3,
    "options": 3,
    "pictures": 3,
    "pipeline": 3,
    "prompt": 3,
    "tokenized": 3,
    "train": 3,
    "evaluate": 3,
    "__init__": 4,
    "cli": 5,
    "serve": 5,
    "__main__": 6,
}
# Slow to import or absent where only training runs, so imported inside the functions that need them.
INSIDE_FUNCTIONS_ONLY = set(
    "wfdb neurokit2 scipy av PIL matplotlib contourpy nibabel pydicom hypothesis tqdm pandas sklearn".split()
)
# Others' published weights are PyTorch's own files; they are read as plain tensors only.
OPENS_PUBLISHED_WEIGHTS = ("model/released.py", "published.py")
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


def source_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room_of(path: Path) -> str:
    """The room or single module at the top of the package to which a file belongs."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported_modules(tree: ast.AST, path: Path) -> Iterator[tuple[int, str]]:
    """(line, absolute dotted name) of every import below `tree`; `from a import b` gives `a.b`."""
    folder = ("echopulse", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = folder[: len(folder) - node.level + 1] if node.level else ()
            origin = ".".join((*base, node.module)) if node.module else ".".join(base)
            yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)


def statements_run_on_import(tree: ast.Module) -> ast.Module:
    """The tree without function bodies, which run later, and without imports for type checkers, which never run."""

    class WithoutBodies(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            return None

        def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
            return None

        def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
            if ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
                return node.orelse
            return self.generic_visit(node)

    return WithoutBodies().visit(tree)


def run_python(code: str) -> str:
    """What a fresh interpreter prints that runs `code` with this checkout's package."""
    find_package = f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r})\n"
    command = [sys.executable, "-c", find_package + textwrap.dedent(code)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.parametrize("path", source_files(), ids=name_of)
def test_arrows_between_rooms_never_point_up(path: Path) -> None:
    room = room_of(path)
    assert room in FLOORS, f"{room} has no floor yet; give it one in FLOORS"
    wrong = []
    for line, name in imported_modules(parsed(path), path):
        parts = name.split(".")
        if parts[0] != "echopulse" or name == "echopulse.__version__":
            continue
        # What is no room is a name of the package's face.
        target = parts[1] if len(parts) > 1 and parts[1] in FLOORS else "__init__"
        if FLOORS[target] > FLOORS[room]:
            wrong.append(f"line {line}: {room} imports {name}, which stands above it")
    assert not wrong, f"{name_of(path)}: " + "; ".join(wrong)


def test_rooms_do_not_import_in_a_circle() -> None:
    arrows: dict[str, set[str]] = {}
    for path in source_files():
        for _, name in imported_modules(parsed(path), path):
            parts = name.split(".")
            if parts[0] == "echopulse" and len(parts) > 1 and parts[1] in FLOORS and parts[1] != room_of(path):
                arrows.setdefault(room_of(path), set()).add(parts[1])

    def reachable(room: str) -> set[str]:
        found: set[str] = set()
        waiting = list(arrows.get(room, ()))
        while waiting:
            following = waiting.pop()
            if following not in found:
                found.add(following)
                waiting.extend(arrows.get(following, ()))
        return found

    circular = sorted(room for room in arrows if room in reachable(room))
    assert not circular, f"rooms that reach themselves: {circular}; arrows {({r: sorted(arrows[r]) for r in circular})}"


@pytest.mark.parametrize("path", source_files(), ids=name_of)
def test_slow_libraries_are_imported_inside_functions(path: Path) -> None:
    found = [
        f"line {line}: {name}"
        for line, name in imported_modules(statements_run_on_import(parsed(path)), path)
        if name.split(".")[0] in INSIDE_FUNCTIONS_ONLY
    ]
    assert not found, f"{name_of(path)} imports at the top: {', '.join(found)}"


def test_importing_every_module_pulls_in_torch_numpy_and_safetensors_only() -> None:
    # torch itself loads tqdm where it finds it, so what torch brings along does not count.
    modules = [info.name for info in pkgutil.walk_packages([str(PACKAGE)], "echopulse.") if "__main__" not in info.name]
    loaded = run_python(
        f"""
        import importlib, sys
        import numpy, torch, safetensors.torch
        before = set(sys.modules)
        for name in {["echopulse", *modules]!r}:
            importlib.import_module(name)
        print(*sorted({{name.split(".")[0] for name in set(sys.modules) - before}}))
        """
    ).split()
    assert not INSIDE_FUNCTIONS_ONLY & set(loaded), sorted(INSIDE_FUNCTIONS_ONLY & set(loaded))


def test_training_rooms_import_where_only_torch_numpy_and_safetensors_are_installed() -> None:
    rooms = [room for room in ("phantom", "model", "measure", "train") if room in ROOMS]
    run_python(
        f"""
        import importlib, sys
        import numpy, torch, safetensors.torch
        for missing in {sorted(INSIDE_FUNCTIONS_ONLY)!r}:
            sys.modules[missing] = None  # makes importing it fail
        for room in {rooms!r}:
            importlib.import_module(f"echopulse.{{room}}")
        """
    )


def test_importing_echopulse_takes_under_two_seconds_beyond_torch() -> None:
    seconds = run_python(
        """
        import time
        import numpy, torch, safetensors.torch
        started = time.process_time()  # not wall time: other programs may be busy
        import echopulse
        print(time.process_time() - started)
        """
    )
    assert float(seconds) < 2.0


@pytest.mark.parametrize("room", ROOMS)
def test_everything_public_is_described(room: str) -> None:
    module = importlib.import_module(f"echopulse.{room}")
    assert module.__doc__, f"echopulse.{room} does not say what the room is for"
    bare = []
    for name in getattr(module, "__all__", ()):
        thing = getattr(module, name)
        documented = inspect.getdoc(thing) or ""
        # A dataclass without a docstring is given its own signature for one.
        if (inspect.isclass(thing) or inspect.isroutine(thing)) and (
            not documented or documented.startswith(f"{name}(")
        ):
            bare.append(name)
    assert not bare, f"echopulse.{room}: no docstring on {', '.join(bare)}"


def loads(tree: ast.AST) -> list[str]:
    """Every call of `torch.load`, as it is written."""
    found = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [ast.unparse(node) for node in found if ast.unparse(node.func) == "torch.load"]


def calls(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every call whose function has a plain name, such as `torch.load`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield node.lineno, ast.unparse(node.func)


@pytest.mark.parametrize("path", source_files(), ids=name_of)
def test_library_neither_prints_nor_seeds_the_world_nor_swallows_errors(path: Path) -> None:
    tree = parsed(path)
    found = []
    for line, name in calls(tree):
        if name == "print" and room_of(path) not in ("cli", "__main__"):
            found.append(f"line {line}: print")
        # Fresh weights are drawn from torch's own generator alone, so training has to seed it.
        if name == "torch.manual_seed" and room_of(path) != "train" or name.endswith("random.seed"):
            found.append(f"line {line}: {name}; pass a generator instead")
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and all(isinstance(statement, ast.Pass) for statement in node.body):
            found.append(f"line {node.lineno}: an error is swallowed")
    assert not found, f"{name_of(path)}: " + "; ".join(found)


@pytest.mark.parametrize("path", source_files(), ids=name_of)
def test_weights_are_never_pickled(path: Path) -> None:
    pickles = [f"line {line}: {name}" for line, name in calls(parsed(path)) if name in ("torch.load", "torch.save")]
    pickles += [
        f"line {line}: {name}" for line, name in imported_modules(parsed(path), path) if name.split(".")[0] == "pickle"
    ]
    if name_of(path) in OPENS_PUBLISHED_WEIGHTS:
        loose = [found for found in loads(parsed(path)) if "weights_only=True" not in found]
        assert not loose, f"{name_of(path)}: {', '.join(loose)}; needs weights_only=True"
        pickles = [found for found in pickles if not found.endswith("torch.load")]
    assert not pickles, f"{name_of(path)}: {', '.join(pickles)}; use safetensors"
