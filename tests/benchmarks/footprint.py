"""How much of the disk a framework takes: the installed files of what a process that trains has imported."""

import sys
from importlib.metadata import distribution, packages_distributions
from pathlib import Path


def installed_bytes():
    """{distribution, or package that belongs to none: bytes} for all that this process has imported."""
    owners, here = packages_distributions(), Path(__file__).parent
    found = {}
    for name in {module.split(".")[0] for module in sys.modules} - set(sys.stdlib_module_names):
        places = _places(sys.modules.get(name))
        if not places or any(place.is_relative_to(here) for place in places):
            continue
        whole = [d for d in map(distribution, owners.get(name, ())) if _holds(d, places)]
        for owner in whole:
            found[owner.name] = _size(owner.locate_file(file) for file in owner.files or ())
        if not whole and not name.startswith("_"):
            found[name] = _size(file for place in places for file in place.rglob("*"))
    return {name: size for name, size in sorted(found.items()) if size}


def _holds(owner, places):
    """Whether a distribution's own folder holds a module: one installed for editing only points to it."""
    folder = Path(owner.locate_file("")).resolve()
    return all(place.resolve().is_relative_to(folder) for place in places)


def _places(module):
    """The folders of a package, or of a module that is one file the file."""
    if getattr(module, "__path__", None):
        return [Path(place) for place in module.__path__]
    file = getattr(module, "__file__", None)
    return [Path(file)] if file else []


def _size(files):
    paths = (Path(file) for file in files)
    return sum(path.stat().st_size for path in paths if "__pycache__" not in path.parts and path.is_file())
