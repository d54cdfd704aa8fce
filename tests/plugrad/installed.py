"""Distributions made on the spot: folders as pip leaves them, for processes that find them by PYTHONPATH."""

import os
import subprocess
import sys
from pathlib import Path

CORE = [str(Path(__file__).resolve().parents[2] / part) for part in ("core", "plugins", "apps")]

LAYER = """
from dataclasses import dataclass
import plugrad as pg

{head}

@dataclass
class Twice(pg.Layer):
    \"\"\"2 x.\"\"\"

    def forward(self, x):
        return x * 2

@pg.hookimpl
def register_layers():
    return {{"{name}.Twice": Twice}}
"""


def install(folder, name, source, requires=(), version="1.0", entry=None):
    """A distribution `name` with one module and one entry point; source: the module's text."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(source)
    about = folder / f"{name}-{version}.dist-info"
    about.mkdir()
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    (about / "METADATA").write_text("\n".join(lines) + "\n")
    (about / "entry_points.txt").write_text(f"[plugrad]\n{entry or name} = {name}\n")
    (about / "RECORD").write_text("")


def layer_source(name, head=""):
    """The module of a plugin with one layer; head: lines before it."""
    return LAYER.format(name=name, head=head)


def run(folder, *arguments, seconds=60, **environ):
    """(exit status, standard output, standard error) of `plugrad ARGUMENTS` beside what is installed in a folder."""
    path = os.pathsep.join([str(folder), *CORE])
    done = subprocess.run(
        [sys.executable, "-m", "plugrad", *map(str, arguments)], capture_output=True, text=True, timeout=seconds,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **environ}, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr
