"""The model file: tensors and a JSON description in one safetensors file, with nothing in it that could run.

This is the container only; what the description means is for the readers of `metadata`. A file is data from
a stranger: its whole header is checked before memory is taken for a tensor, and every failure is a
ModelFileError.
"""

import difflib
import json
import math
import os
import stat
from dataclasses import dataclass, field

import numpy as np
from safetensors.numpy import save

from plugrad.errors import ModelFileError
from plugrad.files import atomic_write, parse_json, plain_reason, shown
from plugrad.model_header import DTYPE_NAMES, FORMAT, MAX_HEADER_BYTES, MAX_TENSORS, bad_name, described, read_header

DEFAULT_BUDGET = 4 << 30


@dataclass(frozen=True)
class Header:
    """The checked header of a model file: `metadata`, and `tensors` (name -> TensorEntry) in file order."""

    path: str
    metadata: dict
    tensors: dict
    header_bytes: int
    file_bytes: int
    stamp: tuple = field(repr=False)

    def load(self, names=None):
        """Read tensors: dict of name -> fresh writable C-contiguous array; all of them, or those in `names`.

        Raises ModelFileError where a name is unknown, a boolean is neither 0 nor 1, memory runs out, or the
        file is no longer the one whose header was checked.
        """
        wanted = set(self.tensors if names is None else names)
        if unknown := wanted - self.tensors.keys():
            raise ModelFileError(f"holds no tensor {_listed(sorted(unknown))}", self.path)
        with _opened(self.path) as file:
            if _stamp(file) != self.stamp:
                raise ModelFileError("was changed while it was being read", self.path)
            try:
                return {name: _read_tensor(file, name, self) for name in self.tensors if name in wanted}
            except OSError as error:
                raise ModelFileError(plain_reason(error), self.path) from None


@dataclass(frozen=True)
class ModelFile:
    """A model file read whole: `metadata` as it was given to `write` plus "format", and name -> array."""

    path: str
    metadata: dict
    tensors: dict


def write(path, tensors, metadata):
    """Write arrays and a description atomically; the same input gives the same bytes.

    tensors: name -> array of float32, float64, int8..int64, uint8..uint64 or bool, of any layout in memory
    metadata: what JSON can hold; tuples come back as lists, keys as text; "format" is added

    Raises ModelFileError where the content could not be read back (another dtype, NaN in the metadata, ...),
    InputError where the file cannot be written.
    """
    if len(tensors) > MAX_TENSORS:
        raise ModelFileError(f"would hold {len(tensors)} tensors; at most {MAX_TENSORS} are possible", path)
    tensors = {name: _storable(name, tensor, path) for name, tensor in tensors.items()}
    try:
        text = json.dumps({**metadata, "format": FORMAT}, allow_nan=False, sort_keys=True)
        parse_json(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(f"its metadata cannot be written as JSON: {_line(error)}", path) from None
    content = save(tensors, metadata={"plugrad": text})
    if int.from_bytes(content[:8], "little") > MAX_HEADER_BYTES:
        raise ModelFileError(f"its header would be larger than {MAX_HEADER_BYTES} bytes", path)
    with atomic_write(path) as file:
        file.write(content)


def read(path, budget_bytes=DEFAULT_BUDGET):
    """Check and read a whole model file: ModelFile. Raises ModelFileError; see `open_model`."""
    header = open_model(path, budget_bytes)
    return ModelFile(header.path, header.metadata, header.load())


def inspect(path):
    """Return what the header says, reading no tensor and loading no plugin.

    dict of "path", "bytes", "metadata" and "tensors": a list of dicts of "name", "dtype", "shape", "bytes".
    Raises ModelFileError.
    """
    header = open_model(path, budget_bytes=math.inf)
    tensors = [
        {"name": name, "dtype": entry.dtype.name, "shape": list(entry.shape), "bytes": entry.nbytes}
        for name, entry in header.tensors.items()
    ]
    return {"path": header.path, "bytes": header.file_bytes, "metadata": header.metadata, "tensors": tensors}


def open_model(path, budget_bytes=DEFAULT_BUDGET):
    """Read and check the header of a model file: Header. No memory is taken for tensors.

    Raises ModelFileError where the file is not a plugrad model, is damaged or truncated, was written by a
    newer version, or holds more than `budget_bytes` of tensors.
    """
    path = os.fspath(path)
    with _opened(path) as file:
        stamp = _stamp(file)
        size = os.fstat(file.fileno()).st_size
        try:
            metadata, tensors, header_bytes = read_header(file, size, budget_bytes)
        except ValueError as error:
            raise ModelFileError(_line(error), path) from None
        except OSError as error:
            raise ModelFileError(plain_reason(error), path) from None
    return Header(path, metadata, tensors, header_bytes, size, stamp)


def match(expected, found, path):
    """Raise ModelFileError, in one line, unless `found` has exactly the expected names, shapes and dtypes.

    expected: name -> (shape, dtype); found: the `tensors` of a Header (name -> anything with shape and dtype)
    """
    missing = [name for name in expected if name not in found]
    unknown = [name for name in found if name not in expected]
    different = []
    for name in expected.keys() & found.keys():
        shape, dtype = expected[name]
        entry = found[name]
        if tuple(shape) != tuple(entry.shape) or np.dtype(dtype) != entry.dtype:
            actual, wanted = described(entry.dtype, entry.shape), described(dtype, shape)
            different.append(f"tensor {shown(name)} is {actual} where {wanted} was expected")
    parts = [f"lacks {_listed(missing, unknown)}"] if missing else []
    parts += [f"holds unknown {_listed(unknown, missing)}"] if unknown else []
    parts += _shortened(sorted(different))
    if parts:
        raise ModelFileError("does not fit its model: " + "; ".join(parts), path)


def _opened(path):
    try:
        if not stat.S_ISREG(mode := os.stat(path).st_mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "a FIFO or device"
            raise ModelFileError(f"is {kind}; a model file was expected", path)
        return open(path, "rb")
    except OSError as error:
        raise ModelFileError(plain_reason(error), path) from None


def _stamp(file):
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _read_tensor(file, name, header):
    entry = header.tensors[name]
    try:
        tensor = np.empty(entry.shape, entry.dtype)
    except MemoryError:
        text = f"tensor {shown(name)} needs {entry.nbytes} bytes of memory, which are not available"
        raise ModelFileError(text, header.path) from None
    file.seek(entry.start)
    octets = tensor.reshape(-1).view(np.uint8)
    if file.readinto(octets) != entry.nbytes:
        raise ModelFileError("was changed while it was being read", header.path)
    if entry.dtype == bool and octets.max(initial=0) > 1:
        raise ModelFileError(f"tensor {shown(name)} holds booleans that are neither 0 nor 1", header.path)
    return tensor


def _storable(name, tensor, path):
    tensor = np.asarray(tensor)
    little = tensor.dtype.newbyteorder("<")
    if bad := bad_name(name):
        raise ModelFileError(bad, path)
    if little not in DTYPE_NAMES:
        names = ", ".join(dtype.name for dtype in DTYPE_NAMES)
        raise ModelFileError(f"tensor {shown(name)} is {tensor.dtype}; one of {names} was expected", path)
    return np.asarray(tensor, dtype=little, order="C")


def _listed(names, candidates=()):
    return ", ".join(_shortened([_with_nearest(name, candidates) for name in names[:4]], len(names)))


def _with_nearest(name, candidates):
    near = difflib.get_close_matches(name, candidates[:1000], n=1, cutoff=0.8)
    return shown(name) + (f" (nearest: {shown(near[0])})" if near else "")


def _shortened(texts, count=None):
    count = len(texts) if count is None else count
    return texts[:3] + ([f"{count - 3} more"] if count > 3 else [])


def _line(error):
    return " ".join(str(error).split())
