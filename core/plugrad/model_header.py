"""The header of a model file, checked: it is data from a stranger.

Every function raises ValueError with one line that says what is wrong; model_file.py adds the path.
"""

import math
from dataclasses import dataclass

import numpy as np

from plugrad.files import parse_json, shown

FORMAT = 1
MAX_HEADER_BYTES = 16 << 20
MAX_TENSORS = 100_000
MAX_NAME_LENGTH = 512
MAX_DIMENSIONS = 32

_DTYPES = {"F32": "<f4", "F64": "<f8", "BOOL": "?", "I8": "<i1", "I16": "<i2", "I32": "<i4", "I64": "<i8"}
_DTYPES |= {"U8": "<u1", "U16": "<u2", "U32": "<u4", "U64": "<u8"}
_DTYPES = {name: np.dtype(code) for name, code in _DTYPES.items()}
DTYPE_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


@dataclass(frozen=True)
class TensorEntry:
    """Where a tensor lies: its dtype and shape, and the bytes `start` to `start + nbytes` of the file."""

    dtype: np.dtype
    shape: tuple
    start: int
    nbytes: int


def read_header(file, size, budget_bytes):
    """The metadata, the tensors (name -> TensorEntry, in file order) and the header's size, from an opened file."""
    text = _read_text(file, size)
    header = parse_json(text)
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")
    metadata = _parse_metadata(header.pop("__metadata__", None))
    return metadata, _parse_table(header, 8 + len(text), size, budget_bytes), len(text)


def _read_text(file, size):
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
    if bad := bad_name(name):
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
        text = described(dtype, shape)
        raise ValueError(f"{where} of {text} takes {nbytes} bytes, its data_offsets span {span}")
    # An array with a size of 0 takes no bytes, but NumPy multiplies its other sizes all the same.
    if math.prod(n for n in shape if n) * dtype.itemsize >= 2**63:
        raise ValueError(f"{where} has an impossible shape {described(dtype, shape)}")
    return TensorEntry(dtype, tuple(shape), data_start + offsets[0], span)


def _counts(values):
    return isinstance(values, list) and all(type(n) is int and n >= 0 for n in values)


def bad_name(name):
    """What is wrong with a tensor's name, or None."""
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME_LENGTH:
        return f"a tensor has the name {shown(name)}; text of 1 to {MAX_NAME_LENGTH} characters was expected"
    if name == "__metadata__" or any("\ud800" <= c <= "\udfff" for c in name):
        return f"a tensor has the name {shown(name)}, which a file cannot hold"
    return None


def described(dtype, shape):
    """A dtype and a shape as a message has them."""
    return f"{np.dtype(dtype).name} ({', '.join(map(str, shape))})"
