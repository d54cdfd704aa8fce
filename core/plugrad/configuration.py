"""A model as data: nested names and fields, resolved through the Registry alone."""

import dataclasses

from plugrad.errors import InputError, PluginError
from plugrad.layer import Layer
from plugrad.plugins import registry

KEY = "layer"
MAX_DEPTH = 32


def describe(layer, names=None):
    """A layer as JSON-able data: {"layer": registered name, field: value, ...}; layers inside likewise.

    names: the Registry to look names up in. Raises PluginError for a layer that no plugin registers, or a field that
    cannot be written down.
    """
    names = names or registry()
    if not dataclasses.is_dataclass(layer):
        raise PluginError(
            f"{type(layer).__name__} is not a dataclass: decorate it with @dataclass, so that its fields can be saved"
        )
    described = {KEY: names.name_of("layers", type(layer))}
    for field in dataclasses.fields(layer):
        if field.init:
            described[field.name] = _plain(getattr(layer, field.name), f"{type(layer).__name__}.{field.name}", names)
    return described


def _plain(value, where, names):
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Layer):
        return describe(value, names)
    if isinstance(value, list | tuple):
        return [_plain(item, where, names) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _plain(item, where, names) for key, item in value.items()}
    raise PluginError(
        f"{where} holds a {type(value).__name__}, which cannot be saved; numbers, texts, lists, dicts or layers can"
    )


def restore(described, names=None, depth=0):
    """The layer that `describe` wrote down, not yet initialised.

    Raises LookupFailed for a layer that no plugin registers, PluginError for fields that it does not have.
    """
    names = names or registry()
    if depth > MAX_DEPTH:
        raise InputError(f"the model's layers are nested more than {MAX_DEPTH} deep")
    if not isinstance(described, dict) or not isinstance(described.get(KEY), str):
        raise InputError(f"expected a layer, a mapping with the key {KEY!r}, got {str(described)[:80]}")
    fields = {name: _rebuilt(value, names, depth) for name, value in described.items() if name != KEY}
    return names.create("layers", {"name": described[KEY], **fields})


def _rebuilt(value, names, depth):
    if isinstance(value, dict):
        if KEY in value:
            return restore(value, names, depth + 1)
        return {key: _rebuilt(item, names, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_rebuilt(item, names, depth + 1) for item in value]
    return value


def layer_names(described):
    """The registered names of all layers in a description."""
    if isinstance(described, dict):
        own = {described[KEY]} if isinstance(described.get(KEY), str) else set()
        return own.union(*(layer_names(value) for value in described.values()))
    return set().union(*(layer_names(item) for item in described)) if isinstance(described, list) else set()
