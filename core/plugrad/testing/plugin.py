"""The checker of everything that a plugin registers."""

import importlib.metadata
import inspect
import traceback
from pathlib import Path

import numpy as np

import plugrad
from plugrad.errors import PlugradError
from plugrad.initializer import Initializer
from plugrad.layer import Layer
from plugrad.loss import Loss
from plugrad.optimizer import Optimizer
from plugrad.plugin_check import GROUP, Fault, Plugin, offers
from plugrad.plugins import Registry, registry
from plugrad.schedule import Schedule
from plugrad.testing.fresh import check_fresh_process
from plugrad.testing.gradient import require
from plugrad.testing.layer import check_layer
from plugrad.testing.loss import check_loss
from plugrad.testing.op import check_op
from plugrad.testing.optimizer import check_optimizer
from plugrad.testing.schedule import check_initializer, check_schedule


def check_plugin(plugin):
    """Check all layers, losses, optimizers, initializers and schedules that a plugin registers; the names checked.

    plugin: a module (or object) with hooks; an entry point; or text, the name of an installed entry point in the
        group "plugrad" or of an installed distribution that has some. Classes are tried with their `example`, see
        the documentation of `plugrad.testing`.

    Raises AssertionError, beginning with the name of what failed.
    """
    checked, layers = [], {}
    for module, who in found_plugins(plugin):
        try:
            offered = offers(module, who)
        except Fault as fault:
            raise AssertionError(f"{who} {fault}") from fault
        names = _names(module, who, offered)
        for hook, entries in offered.items():
            check = CHECKS.get(hook)
            for name, entry in entries.items() if check else ():
                _named(name, check, entry, names)
                checked.append(name)
                if hook == "register_layers":
                    layers[name] = sample_of(entry)
    check_fresh_process(layers)
    return checked


def check_any(thing):
    """`check_plugin` for a plugin or its name; for a class, or an instance of one, the check of its kind."""
    cls = thing if isinstance(thing, type) else type(thing)
    for base, kind in BASES.items():
        if issubclass(cls, base):
            given = thing if cls is thing else _Instance(thing)
            return _named(cls.__name__, CHECKS[f"register_{kind}"], given, registry())
    if hasattr(thing, "raw"):
        return check_op(thing)
    return check_plugin(thing)


class _Instance:
    """Stands for a class whose example an instance is."""

    def __init__(self, instance):
        self.instance = instance

    def example(self):
        given = type(self.instance).example() if hasattr(type(self.instance), "example") else None
        return (self.instance, *given[1:]) if isinstance(given, tuple) else self.instance


def sample_of(cls):
    """(layer, sample batch) of a layer's class, out of its example."""
    layer, given = example_of(cls, ((6,),))
    if isinstance(given, np.ndarray):
        return layer, given
    return layer, np.random.default_rng(5).normal(size=(3, *given))


def found_plugins(plugin):
    """[(module, Plugin)] for what check_plugin was given."""
    if isinstance(plugin, str):
        points = importlib.metadata.entry_points(group=GROUP)
        chosen = [p for p in points if plugin == p.name or (p.dist is not None and plugin == p.dist.name)]
        existing = ", ".join(sorted(p.name for p in points)) or "none"
        require(chosen, f"no installed plugin or distribution {plugin!r}; plugins: {existing}")
        return [pair for p in chosen for pair in found_plugins(p)]
    if hasattr(plugin, "load") and hasattr(plugin, "group"):
        distribution = getattr(plugin.dist, "name", None)
        return [(plugin.load(), Plugin(plugin.name, distribution, getattr(plugin.dist, "version", None)))]
    known = [p for p in registry().plugins if _owns(p, plugin)]
    return [(plugin, known[0] if known else Plugin(getattr(plugin, "__name__", type(plugin).__name__)))]


def _owns(known, plugin):
    """Whether a loaded plugin is this object: every name in its hooks belongs to the two."""
    try:
        offered = offers(plugin, known)
    except Fault:
        return False
    found = [
        _registered(hook.removeprefix("register_"), name, value, known)
        for hook, entries in offered.items()
        for name, value in entries.items()
    ]
    return bool(found) and all(found)


def _registered(kind, name, value, known):
    names = registry()
    return name in names.names(kind) and names.get(kind, name) is value and names.owner(kind, name)[0] == known.name


def _names(module, who, offered):
    """A Registry that knows the plugin: the process's own, or a fresh one if it is not installed."""
    if any(p.name == who.name and p.distribution == who.distribution for p in registry().plugins):
        return registry()
    names = Registry()
    try:
        names.register(module, who.name, who.distribution)
    except PlugradError as error:
        raise AssertionError(str(error)) from error
    return names


def _named(name, check, entry, names):
    try:
        check(entry, names)
    except AssertionError as error:
        raise AssertionError(f"{name}: {error}") from error
    except Exception as error:
        raise AssertionError(f"{name}: {type(error).__name__}: {error}{_place(error)}") from error


def _place(error):
    """Where in the author's own files an error was raised, or nothing."""
    own = str(Path(plugrad.__file__).parent)
    found = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith((own, "<"))]
    return f" ({Path(found[-1].filename).name}, line {found[-1].lineno}: {found[-1].line})" if found else ""


def example_of(cls, rest=()):
    """What `cls.example()` gives, or the class made without arguments and `rest` behind it."""
    if hasattr(cls, "example"):
        return cls.example()
    parameters = inspect.signature(cls).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    require(not needed, f"it needs {', '.join(needed)}: give the class a classmethod example() (see plugrad.testing)")
    return (cls(), *rest) if rest else cls()


def _layer(cls, names):
    found = example_of(cls, ((6,),))
    pair = isinstance(found, tuple) and len(found) == 2
    require(pair, "example() of a layer must give (layer, input_shape) or (layer, batch)")
    layer, given = found
    if isinstance(given, np.ndarray):
        check_layer(layer, sample=given, names=names)
    else:
        check_layer(layer, tuple(given), names=names)


def _loss(cls, names):
    rng = np.random.default_rng(29)
    found = example_of(cls, (rng.normal(size=(4, 3)), rng.normal(size=(4, 3))))
    require(isinstance(found, tuple) and len(found) == 3, "example() of a loss must give (loss, prediction, target)")
    check_loss(*found)


CHECKS = {
    "register_layers": _layer,
    "register_losses": _loss,
    "register_optimizers": lambda cls, names: check_optimizer(example_of(cls)),
    "register_initializers": lambda cls, names: check_initializer(example_of(cls)),
    "register_schedules": lambda cls, names: check_schedule(example_of(cls)),
    "register_ops": lambda op, names: check_op(op),
}
"""How each hook's classes are checked: function of the class and of the Registry that knows its plugin."""

BASES = {
    Layer: "layers",
    Loss: "losses",
    Optimizer: "optimizers",
    Initializer: "initializers",
    Schedule: "schedules",
}
"""The kind of what derives from each of these."""
