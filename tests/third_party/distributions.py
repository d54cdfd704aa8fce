"""The distributions of this folder, as others would write and install them."""

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PARTS = [str(ROOT / part) for part in ("core", "plugins", "apps")]
FOLDERS = sorted(path.parent for path in HERE.glob("*/pyproject.toml"))


def about(folder):
    """(name, version, package) of a distribution."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    [package] = project["entry-points"]["plugrad"].values()
    return project["name"], project["version"], package


def metadata(folder, place):
    """Write into a folder `place` what an installer leaves of a distribution, beside the code where it is."""
    name, version, package = about(folder)
    info = Path(place) / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[plugrad]\n{package} = {package}\n")


def run(command, *paths, **options):
    """(status, output, errors) of a Python command with these paths and plugrad's own."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, paths), *PARTS]), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *map(str, command)], env=environ, capture_output=True, text=True, check=False, **options
    )
    return done.returncode, done.stdout, done.stderr


def imports(folder):
    """(module, name) of all that a distribution's code imports, and takes from `pg`; name None for a module."""
    for path in folder.rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        aliases = [alias for node in nodes if isinstance(node, ast.Import) for alias in node.names]
        ours = {alias.asname or alias.name for alias in aliases if alias.name == "plugrad"}
        for node in nodes:
            if isinstance(node, ast.ImportFrom):
                yield from ((node.module, alias.name) for alias in node.names)
            elif isinstance(node, ast.Import):
                yield from ((alias.name, None) for alias in node.names)
            elif isinstance(node, ast.Attribute) and (ast.unparse(node.value) in ours or _is_of_others(node)):
                yield "plugrad", node.attr


def _is_of_others(node):
    private = node.attr.startswith("_") and not node.attr.endswith("__")
    return private and ast.unparse(node.value) not in ("self", "cls")
