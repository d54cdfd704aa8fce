"""What a plugin may provide. Built-in layers, losses, optimizers and applications use exactly these hooks.

A plugin is a module (or any object) with functions of these names, each marked with `plugrad.hookimpl`, and
one entry point of the group "plugrad" that names the module. A hook takes no argument and returns a mapping
of names to classes or functions. A name has the form "package.Name"; bare names ("Dense") are kept for the
plugins that come with plugrad. Classes are dataclasses: a model file saves their fields, so these must be
what JSON can hold, and none of them may be called "name". A function in the place of a class takes the fields
and returns the instance. Keep the module quick to import: `plugrad --help` imports it.
"""

import pluggy

hookspec = pluggy.HookspecMarker("plugrad")
hookimpl = pluggy.HookimplMarker("plugrad")


@hookspec
def register_layers():
    """Return name -> subclass of `plugrad.Layer`, a dataclass whose fields are its saved configuration."""


@hookspec
def register_losses():
    """Return name -> subclass of `plugrad.Loss`: `loss(prediction, target)` gives a Tensor of one element."""


@hookspec
def register_optimizers():
    """Return name -> subclass of `plugrad.Optimizer`: one update of one vector, given its gradient."""


@hookspec
def register_initializers():
    """Return name -> subclass of `plugrad.Initializer`: `initializer(shape, rng)` gives an array."""


@hookspec
def register_schedules():
    """Return name -> subclass of `plugrad.Schedule`: `schedule(step, steps)` gives a factor on the rate."""


@hookspec
def register_ops():
    """Return name -> op, a function made by `plugrad.op`, for others to find, check and list.

    An op needs no registration to be used: whoever imports it calls it.
    """


@hookspec
def register_commands():
    """Return name -> sub-command of `plugrad`, as `plugrad.command("package.module:attribute", help="...")`.

    The module named there is imported only when the command runs. A click command itself is accepted too,
    but makes every `plugrad --help` wait for the import of click and of all that the command imports.
    """


@hookspec
def register_log_readers():
    """Return name -> function that, called with a path, yields a log's lines for the anomaly application."""
