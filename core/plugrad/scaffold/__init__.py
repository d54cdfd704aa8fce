"""A package to begin a plugin with, out of the templates in this folder."""

import importlib.util
import keyword
import os
import re
import shutil
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from plugrad import __version__
from plugrad.contract import CONTRACT, shown
from plugrad.errors import InputError

KINDS = {
    "layer": "A layer for plugrad: Swish with a learned slope for each feature.",
    "loss": "A loss for plugrad: Charbonnier's, near |d| for large differences and smooth at 0.",
    "optimizer": "An optimizer for plugrad: Signum, steps in the direction of the momentum's sign.",
    "op": "An op for plugrad: Squareplus, a smooth relu without exp.",
    "reader": "A log reader for plugrad: logs that are CSV.",
    "command": "A command for plugrad: it counts lines.",
}
"""What there is a template for, and what the package says of itself."""

_USES = {
    "layer": """\
In a model's configuration, `plugrad anomaly train new.csv --model m --config config.json` for instance:

    {"layer": "Sequential", "layers": [
        {"layer": "Dense", "units": 16}, {"layer": "@PACKAGE@.@CLASS@"}, {"layer": "Dense", "units": "columns"}]}

A model that was saved with it names it and this package; whoever loads the model needs both.""",
    "loss": '`plugrad.Trainer(model, loss={"name": "@PACKAGE@.@CLASS@"}, ...)` takes it by name.',
    "optimizer": '`plugrad.Trainer(model, loss, {"name": "@PACKAGE@.@CLASS@"}, ...)` takes it by name.',
    "op": "`from @PACKAGE@ import @FUNCTION@`: it takes Tensors and NumPy arrays.",
    "reader": "`plugrad anomaly train LOGS --model m --reader @PACKAGE@.@FUNCTION@`; the model remembers the reader.",
    "command": "`plugrad @PACKAGE@.@FUNCTION@ FILES`.",
}
_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")


def write_package(name, kind, directory=".", force=False):
    """Write the package `name` with an example of a kind (a key of KINDS) into a new folder; the folder's path.

    Raises InputError for a name that cannot be one, and where the folder, or an installed package of the name, exists,
    unless `force`: then its files are written over, and others in it stay.
    """
    package = _checked(name)
    folder = Path(directory) / name
    if folder.exists() and not (force and folder.is_dir()):
        raise InputError("exists already; --force writes over the files of an earlier one", str(folder))
    if not force and (spec := importlib.util.find_spec(package)) is not None and spec.origin:
        raise InputError(f"{name!r} would hide the package at {spec.origin}; another name was expected")
    texts = _texts(name, package, kind)
    try:
        Path(directory).mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=directory))
    except OSError as error:
        raise InputError((error.strerror or str(error)).lower(), str(directory)) from None
    try:
        for place, text in texts.items():
            (made / place).parent.mkdir(parents=True, exist_ok=True)
            (made / place).write_text(text, encoding="utf-8")
        _move(made, folder, texts)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder


def _move(made, folder, texts):
    if not folder.exists():
        made.chmod(0o777 & ~_umask())
        made.rename(folder)
        return
    for place in texts:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (made / place).replace(folder / place)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _checked(name):
    """The import name of a distribution's name. Raises InputError."""
    if not _NAME.fullmatch(name) or len(name) > 60:
        raise InputError(
            f"{name[:80]!r} is no name for a package: small letters, digits and single - or _ were expected"
        )
    package = name.replace("-", "_")
    if keyword.iskeyword(package) or package in sys.stdlib_module_names:
        raise InputError(f"{name!r} is a name of Python's own; another one was expected")
    if package.startswith("plugrad_") or package in (
        "plugrad",
        "numpy",
        "numba",
        "pluggy",
        "pandas",
        "sklearn",
        "tests",
    ):
        raise InputError(f"{name!r} would hide a package that plugrad needs, or looks like one of its own")
    return package


def _texts(name, package, kind):
    """place in the package -> text."""
    words = re.split(r"[-_]", name)
    values = {
        "ABOUT": KINDS[kind], "USE": _USES[kind], "DIST": name, "PACKAGE": package,
        "CLASS": "".join(word.capitalize() for word in words), "FUNCTION": _function(package, kind),
        "PLUGRAD": __version__, "CONTRACT": shown(CONTRACT), "NEXT": str(CONTRACT[0] + 1),
    }  # fmt: skip
    places = {
        "common/pyproject.toml": "pyproject.toml", "common/README.md": "README.md", "common/gitignore": ".gitignore",
        "common/workflow.yml": ".github/workflows/test.yml", f"{kind}/__init__.py": f"{package}/__init__.py",
        f"{kind}/{kind}.py": f"{package}/{kind}.py", f"{kind}/test.py": f"tests/test_{package}.py",
    }  # fmt: skip
    return {place: _filled(_template(source), values) for source, place in places.items()}


def _function(package, kind):
    """The name of the function in the example: no module of the package is called so."""
    return f"{package}_{kind}" if package in ("layer", "loss", "op", "reader", "command", "optimizer") else package


def _template(source):
    return (files(__name__) / "templates" / f"{source}.txt").read_text(encoding="utf-8")


def _filled(text, values):
    for key in values:  # ABOUT and USE come first: they hold others
        text = text.replace(f"@{key}@", values[key])
    return text
