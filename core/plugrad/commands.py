"""A reference to a command-line command that is imported only when the command runs."""

import functools
import importlib
import re
from dataclasses import dataclass

from plugrad.errors import PluginError

_TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True)
class LazyCommand:
    """A click command by its place: `target` is "package.module:attribute", `help` its line in `--help`."""

    target: str
    help: str

    def load(self):
        """Import the module and return the click command. Raises PluginError, in one line, if that fails."""
        module, attribute = self.target.split(":")
        try:
            found = functools.reduce(getattr, attribute.split("."), importlib.import_module(module))
        except (Exception, SystemExit) as error:
            text = f"{type(error).__name__}: {' '.join(str(error).split())}"
            hint = f'python -c "import {module}" shows where'
            raise PluginError(f"command {self.target!r} cannot be loaded: {text} ({hint})") from error
        if not is_command(found):
            kind = type(found).__name__
            raise PluginError(f"command {self.target!r} is of type {kind}; a click command was expected")
        return found


def command(target, *, help):
    """Return what `register_commands` gives for one command: LazyCommand.

    target: "package.module:attribute", the place of a click command or group
    help: one line, shown in `plugrad --help`

    Raises PluginError where either has another form.
    """
    if not isinstance(target, str) or not _TARGET.fullmatch(target):
        raise PluginError(f'a command\'s target is {target!r}; "package.module:attribute" was expected')
    if not isinstance(help, str) or not help.strip() or not help.isprintable():
        raise PluginError(f"the help of command {target!r} is {help!r}; one line of text was expected")
    return LazyCommand(target, help)


def is_command(value):
    """Tell whether a value is a click command, without importing click for the question."""
    return hasattr(value, "make_context") and hasattr(value, "invoke")
