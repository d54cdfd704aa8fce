"""What a plugin may provide. Built-in layers, losses, optimizers and applications use exactly these hooks.

A plugin is a module (or any object) with functions of these names, each marked with `plugrad.hookimpl`, and one entry
point of the group "plugrad" that names the module. It says which versions of this contract it works with:

    plugrad_contract = ">=1.0,<2"

A hook takes no argument and returns a mapping of names to classes or functions. A name has the form "package.Name";
bare names ("Dense") are kept for the plugins that come with plugrad. Classes are dataclasses: a model file saves their
fields, so these must be what JSON can hold, and none of them may be called "name". A function in the place of a class
takes the fields and returns the instance. Keep the module quick to import: every command that looks at plugins
imports it, and one that takes longer than PLUGRAD_PLUGIN_TIMEOUT seconds (4) is left out.

A plugin that cannot be imported, states another contract, has a hook that plugrad does not know, fails in a hook,
returns something else, or a name that is taken, is left out as a whole: the rest works, `plugrad plugins list` says
why, and `plugrad --strict-plugins` makes it fatal.
"""

import pluggy

hookspec = pluggy.HookspecMarker("plugrad")
hookimpl = pluggy.HookimplMarker("plugrad")


@hookspec
def register_layers():
    """Return name -> subclass of `plugrad.Layer`, a dataclass whose fields are its saved configuration.

        @plugrad.hookimpl
        def register_layers():
            return {"mine.Shift": Shift}

    `build(self, input_shape, rng)` makes the parameters, `forward(self, x)` the output. A configuration names it as
    {"layer": "mine.Shift", field: value}; a model file then needs this plugin. A class whose fields change says
    `version = 2` and has a classmethod `upgrade(config, version)`. Since contract 1.0.
    """


@hookspec
def register_losses():
    """Return name -> subclass of `plugrad.Loss`: `loss(prediction, target)` gives a Tensor of one element.

        return {"mine.Tukey": Tukey}

    `plugrad.Trainer(model, loss={"name": "mine.Tukey", field: value})` and an application's `--config` take it by its
    name. Since contract 1.0.
    """


@hookspec
def register_optimizers():
    """Return name -> subclass of `plugrad.Optimizer`: one update of one vector, given its gradient.

        return {"mine.Yogi": Yogi}

    `memory` names the vectors that are kept between steps; with `by_parameter = True` each parameter comes by itself,
    in its shape. `plugrad.Trainer(model, loss, {"name": "mine.Yogi", "learning_rate": 0.01})` and an application's
    `--config` take it by its name. Since contract 1.0.
    """


@hookspec
def register_initializers():
    """Return name -> subclass of `plugrad.Initializer`: `initializer(shape, rng)` gives an array.

        return {"mine.Sparse": Sparse}

    Layers that have a field for an initializer take it by its name. Since contract 1.0.
    """


@hookspec
def register_schedules():
    """Return name -> subclass of `plugrad.Schedule`: `schedule(step, steps)` gives a factor on the rate.

        return {"mine.Triangle": Triangle}

    `plugrad.Trainer(..., schedule="mine.Triangle")` takes it by its name. Since contract 1.0.
    """


@hookspec
def register_ops():
    """Return name -> op, a function made by `plugrad.op`, for others to find, check and list.

        return {"mine.squareplus": squareplus}

    An op needs no registration to be used: whoever imports it calls it. Since contract 1.0.
    """


@hookspec
def register_commands():
    """Return name -> sub-command of `plugrad`, as `plugrad.command("package.module:attribute", help="...")`.

        return {"mine.count": plugrad.command("mine.count:main", help="Count lines.")}

    The module named there is imported only when the command runs; its attribute is a click command, which may raise
    errors of `plugrad.errors` and return an exit status. A click command itself is accepted too, but makes every
    `plugrad --help` wait for the import of click and of all that the command imports. Since contract 1.0.
    """


@hookspec
def register_log_readers():
    """Return name -> function that, called with a path, yields a log's lines for the anomaly application.

        return {"mine.Journal": journal}

    Lines are str or bytes, with or without their line ends; a line end inside becomes a space. `plugrad anomaly train
    FILES --model M --reader mine.Journal` uses it, and the model remembers it. What it raises is told with the reader's
    name and the file's. Since contract 1.0.
    """
