"""Where plugins come from: the entry points of installed distributions, and which of them are wanted."""

import functools
import importlib.metadata

from plugrad.contract import requirement_fault
from plugrad.plugin_check import GROUP, OWN_DISTRIBUTION, Fault, Plugin, did_you_mean


def selected(entry_points, environ):
    """([(Plugin, function that imports it)] to load, plugrad's own first; the distributions that are left out).

    entry_points: as `Registry` takes them. environ: PLUGRAD_PLUGINS in it names the plugins that are wanted.
    """
    if entry_points is None:
        entry_points = importlib.metadata.entry_points(group=GROUP)
    found = [(Plugin(e.name, *_origin(e)), functools.partial(_imported, e)) for e in entry_points if e.group == GROUP]
    found.sort(key=lambda pair: (not pair[0].is_own, pair[0].distribution or "", pair[0].name))
    if (listed := environ.get("PLUGRAD_PLUGINS")) is None:
        return found, set()
    wanted = {name.strip() for name in listed.split(",")} - {"", "none"}
    names = {who.name for who, _ in found}
    absent = [(Plugin(name), functools.partial(_absent, name, names)) for name in sorted(wanted - names)]
    chosen = [pair for pair in found if pair[0].is_own or pair[0].name in wanted]
    left_out = {who.distribution for who, _ in found} - {who.distribution for who, _ in chosen}
    return chosen + absent, left_out


def _imported(entry_point):
    """The plugin of an entry point, unless its distribution's metadata say that it is not for this plugrad."""
    from plugrad import __version__

    dist = getattr(entry_point, "dist", None)
    if getattr(dist, "name", None) != OWN_DISTRIBUTION:
        try:
            requirements = list(getattr(dist, "requires", None) or ())
        except Exception:  # damaged metadata
            requirements = []
        if reason := requirement_fault(requirements, __version__):
            raise Fault(reason)
    return entry_point.load()


def _absent(name, names):
    near = did_you_mean(name, names)
    raise Fault(f"PLUGRAD_PLUGINS names it, but no plugin of this name is installed{near}")


def _origin(entry_point):
    try:
        return entry_point.dist.name, entry_point.dist.version
    except Exception:  # a distribution with damaged metadata is no reason to refuse its plugin
        return None, None


def version_of(distribution):
    """The installed version of a distribution, or None."""
    try:
        return importlib.metadata.version(distribution) if distribution else None
    except importlib.metadata.PackageNotFoundError:
        return None
