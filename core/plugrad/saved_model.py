"""Models in model files: the configuration, the tensors, and what is needed to put them together elsewhere."""

import math
from dataclasses import dataclass, field

import numpy as np

from plugrad import model_file
from plugrad.configuration import describe, layer_names, restore
from plugrad.errors import LookupFailed, ModelFileError, PlugradError
from plugrad.layer import Layer
from plugrad.plugin_check import KINDS
from plugrad.plugins import registry

STATE_PREFIX = "state."


@dataclass
class SavedModel:
    """What a model file holds: the model ready to predict, the application's state, and the training summary.

    state: JSON-able mapping; arrays: the application's own arrays by name; training: a summary of the training.
    used: kind -> names of what it needs of plugins beside its layers.
    """

    model: Layer
    state: dict
    arrays: dict
    training: dict
    path: str
    used: dict = field(default_factory=dict)


def save_model(path, model, state=None, arrays=None, training=None, used=None):
    """Write a model and an application's state to one file, atomically.

    model: an initialised Layer. state: JSON-able mapping. arrays: name -> array, the application's own.
    training: JSON-able mapping. used: kind ("log_readers", ...) -> registered names that the application needs beside
    the model's layers. Raises InputError if the file cannot be written.
    """
    described = describe(model)
    tensors = dict(model_tensors(model))
    tensors |= {STATE_PREFIX + name: np.asarray(value) for name, value in (arrays or {}).items()}
    metadata = {
        "model": {
            "configuration": described,
            "input_shape": list(model.input_shape),
            "input_dtype": str(model.input_dtype),
            "dtype": str(model.store.values.dtype),
        },
        "state": state or {},
        "training": training or {},
        "plugins": _owners({"layers": layer_names(described), **(used or {})}),
    }
    model_file.write(path, tensors, metadata)


def load_model(path):
    """The SavedModel in a file. Its tensors are those that were saved, to the bit.

    Raises ModelFileError for a file that is no model, is damaged, does not fit its own configuration, or needs a
    plugin that is not installed. Nothing in the file is executed, and of the plugins that are installed only those are
    imported whose distributions the file names.
    """
    header = model_file.open_model(path)
    metadata = header.metadata
    about = metadata.get("model")
    if not isinstance(about, dict):
        raise ModelFileError("holds no model description", path)
    names = registry().chosen(_distributions(metadata))
    _check_plugins(metadata, names, path)
    try:
        model = restore(about.get("configuration"), names)
        _build(model, about, header)
    except ModelFileError:
        raise
    except LookupFailed as error:
        raise ModelFileError(f"needs a layer that is not there: {error}", path) from None
    except PlugradError as error:
        raise ModelFileError(f"its description does not make a model: {error}", path) from None
    except (ValueError, TypeError, KeyError, AttributeError, MemoryError, OverflowError, RecursionError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ModelFileError(f"its description does not make a model: {reason}", path) from None
    own = dict(model_tensors(model))
    expected = {name: (array.shape, array.dtype) for name, array in own.items()}
    model_file.match(expected, {n: e for n, e in header.tensors.items() if not n.startswith(STATE_PREFIX)}, path)
    loaded = header.load()
    assign_tensors(model, loaded)
    arrays = {n[len(STATE_PREFIX) :]: v for n, v in loaded.items() if n.startswith(STATE_PREFIX)}
    state, training = metadata.get("state", {}), metadata.get("training", {})
    return SavedModel(model, state, arrays, training, str(path), _used(metadata))


def model_tensors(model):
    """(name, array) for every parameter, tied ones once, and every state of a model."""
    seen = set()
    for name, parameter in model.named_parameters():
        if id(parameter) not in seen:
            seen.add(id(parameter))
            yield name, parameter.data
    for name, state in model.named_states():
        yield name, state.value


def assign_tensors(model, tensors):
    """Copy named tensors, whose shapes have been checked, into a model."""
    for name, parameter in model.named_parameters():
        if name in tensors:
            parameter.data[...] = tensors[name]
    for name, state in model.named_states():
        state.value = np.array(tensors[name])


def _build(model, about, header):
    """Initialise a restored model, refusing to make anything that the file's own tensors could not fill."""
    shape, dtype = about.get("input_shape"), about.get("dtype")
    whole = isinstance(shape, list) and all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in shape)
    if (
        not whole
        or dtype not in ("float32", "float64")
        or about.get("input_dtype") not in ("float32", "float64", "int64", "int32")
    ):
        raise ModelFileError("its description lacks a usable input shape and type", header.path)
    numbers = sum(math.prod(entry.shape) for entry in header.tensors.values())
    if math.prod(shape) > max(numbers, 1 << 20):
        raise ModelFileError(f"claims an input of shape {shape}, far larger than its {numbers} numbers", header.path)
    _bound_sizes(about["configuration"], max(numbers, 1 << 20), header.path)
    sample = np.zeros((2, *shape), about["input_dtype"])
    model.initialize(tuple(shape), dtype=dtype, sample=sample, rng_limit=numbers)


def _bound_sizes(value, limit, path):
    """Refuse a whole number in the configuration that is larger than anything the file's tensors could belong to."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _bound_sizes(item, limit, path)
    elif isinstance(value, int) and abs(value) > limit:
        raise ModelFileError(f"its configuration asks for {value} of something; its tensors hold fewer numbers", path)


def _owners(used):
    """The plugins that a model needs, as [{"name", "version", "layers", ...}], by distribution.

    used: kind -> registered names.
    """
    owners = {}
    for kind, names in used.items():
        for name in sorted(names):
            _, distribution, version = registry().owner(kind, name)
            owners.setdefault((distribution or "", version or ""), {}).setdefault(kind, []).append(name)
    return [{"name": d, "version": v, **of_kind} for (d, v), of_kind in sorted(owners.items())]


def needed_plugins(metadata):
    """What plugins a file's metadata name: (distribution, version, kind -> names); what is malformed is left out."""
    listed = metadata.get("plugins", [])
    for plugin in listed if isinstance(listed, list) else []:
        if isinstance(plugin, dict) and isinstance(plugin.get("name"), str):
            of_kind = {kind: plugin[kind] for kind in KINDS if isinstance(plugin.get(kind), list)}
            of_kind = {kind: [n for n in names if isinstance(n, str)] for kind, names in of_kind.items()}
            yield plugin["name"], plugin.get("version"), of_kind


def _distributions(metadata):
    return {distribution for distribution, _, _ in needed_plugins(metadata)}


def _used(metadata):
    used = {}
    for _, _, of_kind in needed_plugins(metadata):
        for kind, names in of_kind.items():
            if kind != "layers":
                used.setdefault(kind, []).extend(names)
    return used


def _check_plugins(metadata, names, path):
    """Name the plugin to install, if something is missing."""
    for distribution, version, of_kind in needed_plugins(metadata):
        for kind, wanted in of_kind.items():
            if missing := sorted(set(wanted) - set(names.names(kind))):
                origin = f"{distribution[:80]} {str(version)[:20]}" if distribution else "a plugin of no distribution"
                state = names.state_of(distribution) if distribution else "is not registered"
                raise ModelFileError(f"needs {KINDS[kind]} {missing[0][:80]!r} from {origin}, which {state}", path)
