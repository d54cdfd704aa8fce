"""What a user names on the command line → the files to read, in an order that does not depend on the machine."""

import glob
import os
import re

from plugrad.errors import InputError

STANDARD_INPUT = "-"


def expand(arguments):
    """The files that arguments name: list of paths, in the order of the arguments.

    An argument is a file, "-" for standard input, a folder (all files in it and its folders, but hidden ones), or a
    pattern with * ? [ ] (** crosses folders), for shells that do not expand it. What a folder or pattern stands for is
    sorted as people count: app.log.2 before app.log.10. A file that is not there is left to whoever opens it.

    Raises InputError for a folder or pattern without a file, and for standard input given twice.
    """
    found = []
    for argument in map(str, arguments):
        if argument == STANDARD_INPUT:
            if STANDARD_INPUT in found:
                raise InputError("is given twice; expected standard input once", "-")
            found.append(argument)
        elif os.path.isdir(argument):
            found += _files_of(argument)
        elif glob.has_magic(argument) and not os.path.lexists(argument):
            found += _matches(argument)
        else:
            found.append(argument)
    return found


def _files_of(folder):
    files = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [os.path.join(place, name) for name in names if not name.startswith(".")]
    if not files:
        raise InputError("is a folder without files; expected files in it", folder)
    return sorted(files, key=_as_counted)


def _matches(pattern):
    files = [path for path in glob.glob(pattern, recursive=True) if not os.path.isdir(path)]
    if not files:
        raise InputError("matches no file; expected the name of a file, a folder, or a pattern that matches", pattern)
    return sorted(files, key=_as_counted)


def _as_counted(path):
    return [(1, int(part), part) if part.isdecimal() else (0, 0, part) for part in re.split(r"([0-9]+)", path) if part]
