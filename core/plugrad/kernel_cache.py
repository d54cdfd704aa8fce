"""Where compiled kernels lie on disk.

Numba's own check looks at a function's file alone and would miss an edit in a file whose kernels it calls. So the
kernels of each module have a folder of their own, whose name carries a digest of the module's file and of all that it
imports from the same package or from plugrad: an edit makes anew what depends on it, and nothing else.
"""

import functools
import hashlib
import importlib.util
import os
import re
import sys
import warnings
from pathlib import Path

_IMPORTS = re.compile(r"^\s*(?:from\s+([\w.]+)\s+import|import\s+([\w.]+))", re.MULTILINE)

_MAKERS = "plugrad.kernel", "plugrad.far_call", "plugrad.pieces"


def folder_for(module):
    """The folder for the kernels of a module (its dotted name), or None where nothing can be written."""
    root = cache_folder()
    return None if root is None else root / f"{module}-{_digest_of(module)}"


@functools.cache
def cache_folder():
    """The folder of all compiled kernels, by Numba's version, Python's and the CPU; None where it cannot be written."""
    import llvmlite.binding
    import numba

    told_apart = sys.version_info[:2], llvmlite.binding.get_host_cpu_name(), numba.config.BOUNDSCHECK
    digest = hashlib.sha256(repr(told_apart).encode()).hexdigest()
    folder = _root() / f"numba-{numba.__version__}-{digest[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        warnings.warn(
            f"{folder} cannot be written ({error.strerror}); kernels are compiled anew in every process",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    return folder


def _root():
    if os.environ.get("PLUGRAD_CACHE"):
        return Path(os.environ["PLUGRAD_CACHE"])
    base = os.environ.get("XDG_CACHE_HOME") or (Path.home() / ".cache")
    return Path(base) / "plugrad"


@functools.cache
def _digest_of(module):
    digest = hashlib.sha256()
    for name in sorted(_needed(module)):
        digest.update(name.encode())
        digest.update(_source(name))
    return digest.hexdigest()[:16]


def _needed(module):
    """The module and all that it imports, directly or not, from its own package and from plugrad's kernels.

    Of the core only what kernels are made of and made by counts. What else it holds runs in Python.
    """
    found, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for pair in _IMPORTS.findall(_source(name).decode(errors="replace")):
            other = pair[0] or pair[1]
            own = other.split(".")[0] == module.split(".")[0] != "plugrad"
            if own or other in _MAKERS or other.startswith("plugrad.kernels."):
                waiting.append(other)
    return found


@functools.cache
def _source(module):
    """The bytes of a module's file; none for a module without one."""
    known = sys.modules.get(module)
    path = getattr(known, "__file__", None)
    if path is None and known is None:
        spec = importlib.util.find_spec(module)
        path = spec.origin if spec is not None else None
    try:
        return Path(path).read_bytes()
    except (TypeError, OSError):
        return b""
