"""All checks of what a plugin provides, to the end: what `plugrad plugins check` shows."""

import inspect
import time

from plugrad.plugin_check import KINDS, Plugin
from plugrad.plugins import registry
from plugrad.testing.behaviour import speed_beside_naive
from plugrad.testing.fresh import check_fresh_process
from plugrad.testing.plugin import CHECKS, found_plugins, sample_of

SLOW_IMPORT = 0.1


def check_named(name, progress=lambda name: None):
    """The report on a distribution, an entry point, or one registered name; None where there is none of this name.

    Returns {"checked": [{"name", "kind", "passed", "message", "seconds"}], "remarks": [text]}. progress: called with
    each name before it is checked.
    """
    names = registry()
    kinds = [kind for kind in KINDS if name in names.names(kind)]
    owners = {names.owner(kind, name)[:2] for kind in kinds}
    chosen = [plugin for plugin in names.plugins if name in (plugin.name, plugin.distribution)]
    failed = [failure for failure in names.failures if name in (failure.name, failure.distribution)]
    if not (kinds or chosen or failed):
        return None
    if not kinds:
        owners = {(plugin.name, plugin.distribution) for plugin in chosen}
    wanted = [
        (kind, each)
        for kind in (kinds or KINDS)
        for each in ([name] if kinds else names.names(kind))
        if names.owner(kind, each)[:2] in owners
    ]
    checked = [_entry(f.name, "plugin", f"{Plugin(f.name, f.distribution, f.version)} {f.reason}", 0) for f in failed]
    layers = {}
    for kind, each in wanted:
        check = CHECKS.get(f"register_{kind}")
        if check is None:
            continue
        progress(each)
        value, begin = names.get(kind, each), time.perf_counter()
        problem = _problem(check, value, names)
        checked.append(_entry(each, KINDS[kind], problem, time.perf_counter() - begin))
        if kind == "layers" and not problem:
            layers[each] = sample_of(value)
    problem = _problem(lambda found, _: check_fresh_process(found), layers, names) if layers else ""
    if problem:
        checked.append(_entry(problem.partition(":")[0], "layer", problem, 0))
    return {"checked": checked, "remarks": [*_speeds(layers), *_remarks(names, owners, wanted)]}


def _entry(name, kind, message, seconds):
    return {"name": name, "kind": kind, "passed": not message, "message": message, "seconds": round(seconds, 3)}


def _problem(check, value, names):
    try:
        check(value, names)
    except AssertionError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return ""


def _speeds(layers):
    for name, (layer, sample) in layers.items():
        ratio = speed_beside_naive(layer, sample)
        if ratio is not None:
            yield f"layer {name} is {ratio:.2g} times as quick as its naive(), forth and back on 4,096 samples"


def _remarks(names, owners, wanted):
    """What is no mistake, and worth knowing."""
    for plugin in names.plugins:
        if (plugin.name, plugin.distribution) not in owners:
            continue
        if plugin.seconds > SLOW_IMPORT and not plugin.is_own:
            yield f"{plugin} takes {plugin.seconds * 1000:.0f} ms to import; every command waits for that"
        for module, who in found_plugins(plugin.name) if not plugin.is_own else ():
            if who.distribution == plugin.distribution and getattr(module, "plugrad_contract", None) is None:
                yield f'{plugin} does not say which contract it works with: plugrad_contract = ">=1.0,<2"'
    for kind, name in wanted:
        value = names.get(kind, name)
        if kind != "commands" and not inspect.getdoc(value):
            yield f"{KINDS[kind]} {name} has no docstring; plugrad plugins show has nothing to say of it"
