"""The state of a stream in a file: numbers and text alone, so that reading it can run nothing."""

import contextlib
import json
import os
import zipfile

import numpy as np

from plugrad.errors import InputError


def save_state(path, about, arrays):
    """Write a JSON-able mapping and arrays to a file that takes the place of `path` at once."""
    content = {f"array.{name}": array for name, array in arrays.items()}
    with replaced(path) as file:
        np.savez(file, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **content)


def load_state(path, advice):
    """(mapping, arrays) that `save_state` wrote, or None where there is no such file.

    Raises InputError, with advice what to do, where the file is damaged or holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            about = json.loads(content["about"].tobytes())
            arrays = {name.removeprefix("array."): content[name] for name in content.files if name != "about"}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, AttributeError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"is damaged, or no saved state ({type(error).__name__}); {advice}", path) from None
    return about, arrays


@contextlib.contextmanager
def replaced(path):
    """A binary file that takes the place of `path` at once when the block ends, also where the power fails."""
    temporary = f"{path}.new"
    with open(temporary, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
