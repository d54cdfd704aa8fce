"""Every error that plugrad raises on purpose, each with the exit status of a command that ends with it.

A command prints `str(error)` as one line and exits with `error.exit_status`; a library user catches the class.
"""


class PlugradError(Exception):
    """Base of all errors raised on purpose. Its text is one line: what, where, what was expected."""

    exit_status = 2


class ShapeError(PlugradError, ValueError):
    """Arrays whose shapes do not fit together, or do not fit a layer."""


class InputError(PlugradError):
    """A file or a value handed in by the user that cannot be used.

    `path`, `line` and `column` are put in front of the message, where known, as `path:line: message`.
    """

    def __init__(self, message, path=None, line=None):
        where = "" if path is None else f"{path}: " if line is None else f"{path}:{line}: "
        super().__init__(where + message)
        self.path, self.line = path, line


class ModelFileError(InputError):
    """A file that is not a plugrad model, is damaged, or was written by a newer version."""


class LookupFailed(PlugradError, KeyError):
    """A name that no loaded plugin registers. The text says what exists and the nearest spelling."""

    __str__ = Exception.__str__  # KeyError would print the repr of the message


class PluginError(PlugradError):
    """A plugin that cannot be used: it fails to import, a hook fails or is misspelt, or a name is taken."""


class DivergedError(PlugradError):
    """Training met a loss that is not finite; the last good checkpoint, if one was asked for, is kept."""

    exit_status = 4
