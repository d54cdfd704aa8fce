"""The parts keep to their rooms, and what is heavy is imported late. Read off the source and a fresh process."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = {"core": 0, "plugins": 1, "apps": 2}
HOME = {path.parent.name: room for room in ROOMS for path in (ROOT / room).glob("*/__init__.py")}
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
HEAVY = {"numba", "llvmlite", "pandas", "sklearn", "scipy", "matplotlib", "rich", "torch", "jax", "dask", "distributed"}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.lineno


def wrong_imports(path, room, package):
    """What a file may not import: a room above its own, another application, another package of plugins."""
    for name, line in imports(path):
        home = HOME.get(name.split(".")[0])
        if home is None or name.split(".")[0] == package:
            continue
        if ROOMS[home] > ROOMS[room] or (home == room and room != "core"):
            yield f"{path.name}:{line} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_one_way(path):
    room, package = path.relative_to(ROOT).parts[:2]
    assert not list(wrong_imports(path, room, package))


def test_the_check_of_imports_sees_a_wrong_one(tmp_path):
    file = tmp_path / "wrong.py"
    file.write_text("def f():\n    from plugrad_layers import Dense\n")
    assert list(wrong_imports(file, "core", "plugrad"))
    file.write_text("import plugrad_losses\n")
    assert list(wrong_imports(file, "plugins", "plugrad_layers"))


def test_scikit_learn_splits_and_measures_and_does_nothing_else():
    used = {name for path in FILES for name, _ in imports(path) if name.split(".")[0] == "sklearn"}
    assert used <= {"sklearn.model_selection", "sklearn.metrics"}


def test_peers_stay_in_the_benchmarks():
    used = {name.split(".")[0] for path in FILES for name, _ in imports(path)}
    assert not used & {"torch", "jax", "tensorflow", "keras", "pyod", "drain3"}


@pytest.mark.parametrize(
    "code",
    [
        "import plugrad",
        "import plugrad; plugrad.registry().names('layers')",
        "from plugrad.cli import main; main(['--help'])",
        "from plugrad.cli import main; main(['anomaly', '--help'])",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code):
    show = "; import sys, json; print('\\n' + json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code + show], capture_output=True, text=True, check=True)
    assert not HEAVY & set(json.loads(done.stdout.splitlines()[-1]))


def test_every_public_module_says_what_it_is():
    silent = [str(path.relative_to(ROOT)) for path in FILES if not ast.get_docstring(ast.parse(path.read_text()))]
    assert not silent
