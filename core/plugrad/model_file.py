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

FORMAT = 1
DEFAULT_BUDGET = 4 << 30
MAX_HEADER_BYTES = 16 << 20
MAX_TENSORS = 100_000
MAX_NAME_LENGTH = 512
MAX_DIMENSIONS = 32

_DTYPES = {"F32": "<f4", "F64": "<f8", "BOOL": "?", "I8": "<i1", "I16": "<i2", "I32": "<i4", "I64": "<i8"}
_DTYPES |= {"U8": "<u1", "U16": "<u2", "U32": "<u4", "U64": "<u8"}
_DTYPES = {name: np.dtype(code) for name, code in _DTYPES.items()}
_DTYPE_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


@dataclass(frozen=True)
class TensorEntry:
    """Where a tensor lies: its dtype and shape, and the bytes `start` to `start + nbytes` of the file."""

    dtype: np.dtype
    shape: tuple
    start: int
    nbytes: int


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
            text = _read_header(file, size)
            header = parse_json(text)
            if not isinstance(header, dict):
                raise ValueError("its header is not a JSON object")
            metadata = _parse_metadata(header.pop("__metadata__", None))
            tensors = _parse_table(header, 8 + len(text), size, budget_bytes)
        except ValueError as error:
            raise ModelFileError(_line(error), path) from None
        except OSError as error:
            raise ModelFileError(plain_reason(error), path) from None
    return Header(path, metadata, tensors, len(text), size, stamp)


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
            actual, wanted = _described(entry.dtype, entry.shape), _described(dtype, shape)
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


def _read_header(file, size):
    start = file.read(9)
    if len(start) < 9:
        raise ValueError(f"is empty or truncated: 10 bytes or more were expected, the file has {size} bytes")
    length = int.from_bytes(start[:8], "little")
    if start[8:] != b"{" or not 2 <= length <= MAX_HEADER_BYTES:
        limits = f"8 bytes of header length (2 to {MAX_HEADER_BYTES}) and a JSON object"
        raise ValueError(f"is not a safetensors file: {limits} were expected at its start")
    if length > size - 8:
        raise ValueError(f"is truncated: its header ends at byte {8 + length}, the file has {size} bytes")
    text = b"{" + file.read(length - 1)
    if len(text) != length:
        raise ValueError("was changed while it was being read")
    return text


def _parse_metadata(fields):
    text = fields.get("plugrad") if isinstance(fields, dict) else None
    if not isinstance(text, str):
        raise ValueError("is a safetensors file but not a plugrad model")
    try:
        metadata = parse_json(text.encode())
    except UnicodeEncodeError:
        raise ValueError("its plugrad metadata is not text") from None
    version = metadata.get("format") if isinstance(metadata, dict) else None
    if type(version) is not int or version < 1:
        raise ValueError('its plugrad metadata has no "format" that is an integer from 1')
    if version > FORMAT:
        versions = f"format {version}; this version reads up to {FORMAT}"
        raise ValueError(f"was written by a newer plugrad ({versions}): upgrade plugrad")
    return metadata


def _parse_table(table, data_start, size, budget_bytes):
    if len(table) > MAX_TENSORS:
        raise ValueError(f"holds {len(table)} tensors; at most {MAX_TENSORS} are accepted")
    entries = {name: _parse_entry(name, value, data_start) for name, value in table.items()}
    total = sum(entry.nbytes for entry in entries.values())
    if total > budget_bytes:
        raise ValueError(f"holds {total} bytes of tensors, more than the {budget_bytes} that are allowed")
    ordered = sorted(entries.items(), key=lambda item: (item[1].start, item[1].nbytes, item[0]))
    end = data_start
    for name, entry in ordered:
        if entry.start != end:
            fault = "overlaps the one before" if entry.start < end else "leaves a hole before it"
            raise ValueError(f"tensor {shown(name)} {fault}: it starts at byte {entry.start}, not {end}")
        end += entry.nbytes
    if end != size:
        fault = "is truncated" if size < end else "is damaged"
        raise ValueError(f"{fault}: its tensors end at byte {end}, the file has {size} bytes")
    return dict(ordered)


def _parse_entry(name, value, data_start):
    if bad := _bad_name(name):
        raise ValueError(bad)
    where = f"tensor {shown(name)}"
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{where}: exactly the fields dtype, shape and data_offsets were expected")
    code, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(code, str) or code not in _DTYPES:
        raise ValueError(f"{where} has dtype {shown(code)}; one of {', '.join(_DTYPES)} was expected")
    if not _counts(shape) or len(shape) > MAX_DIMENSIONS:
        raise ValueError(f"{where} has a shape that is not a list of at most {MAX_DIMENSIONS} sizes from 0")
    if not _counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ValueError(f"{where} has data_offsets that are not a start and an end")
    dtype = _DTYPES[code]
    span = offsets[1] - offsets[0]
    if (nbytes := math.prod(shape) * dtype.itemsize) != span:
        text = _described(dtype, shape)
        raise ValueError(f"{where} of {text} takes {nbytes} bytes, its data_offsets span {span}")
    # An array with a size of 0 takes no bytes, but NumPy multiplies its other sizes all the same.
    if math.prod(n for n in shape if n) * dtype.itemsize >= 2**63:
        raise ValueError(f"{where} has an impossible shape {_described(dtype, shape)}")
    return TensorEntry(dtype, tuple(shape), data_start + offsets[0], span)


def _counts(values):
    return isinstance(values, list) and all(type(n) is int and n >= 0 for n in values)


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
    if bad := _bad_name(name):
        raise ModelFileError(bad, path)
    if little not in _DTYPE_NAMES:
        names = ", ".join(dtype.name for dtype in _DTYPE_NAMES)
        raise ModelFileError(f"tensor {shown(name)} is {tensor.dtype}; one of {names} was expected", path)
    return np.asarray(tensor, dtype=little, order="C")


def _bad_name(name):
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME_LENGTH:
        return f"a tensor has the name {shown(name)}; text of 1 to {MAX_NAME_LENGTH} characters was expected"
    if name == "__metadata__" or any("\ud800" <= c <= "\udfff" for c in name):
        return f"a tensor has the name {shown(name)}, which a file cannot hold"
    return None


def _described(dtype, shape):
    return f"{np.dtype(dtype).name} ({', '.join(map(str, shape))})"


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
