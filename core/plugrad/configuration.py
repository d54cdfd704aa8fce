"""A model as data: nested names and fields, resolved through the Registry alone.

A layer whose fields change keeps reading what its older self saved: the class says `version = 2` (a ClassVar; 1 where
it says nothing), which is saved beside its fields, and has a classmethod `upgrade(config, version)` that takes the
fields as `version` saved them and returns those of now.
"""

import dataclasses
import json

from plugrad.errors import InputError, PluginError
from plugrad.layer import Layer
from plugrad.plugins import registry

KEY, VERSION_KEY = "layer", "layer_version"
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
    if layer.version != 1:
        described[VERSION_KEY] = layer.version
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
    name = described[KEY]
    fields = {key: value for key, value in described.items() if key not in (KEY, VERSION_KEY)}
    fields = _of_now(name, names, fields, described.get(VERSION_KEY, 1))
    return names.create("layers", {"name": name, **{key: _rebuilt(v, names, depth) for key, v in fields.items()}})


def _of_now(name, names, fields, saved):
    """Fields of a layer, as its class takes them now, out of those that version `saved` of it wrote down."""
    cls = names.get("layers", name)
    now = getattr(cls, "version", 1)  # a function may be registered in place of a class
    if type(saved) is not int or saved < 1:
        raise InputError(f"{VERSION_KEY} of layer {name!r} is {str(saved)[:40]!r}; a whole number from 1 was expected")
    if saved == now:
        return fields
    plugin, distribution, installed = names.owner("layers", name)
    provider = f"{distribution or plugin} {installed or ''}".strip()
    if saved > now:
        raise InputError(
            f"was saved by version {saved} of layer {name!r}, the installed {provider} has version {now}: "
            f"install a newer {distribution or plugin}"
        )
    if not hasattr(cls, "upgrade"):
        raise InputError(
            f"was saved by version {saved} of layer {name!r}; {provider} has version {now}, and no upgrade() from it"
        )
    try:
        upgraded = cls.upgrade(dict(fields), saved)
        good = isinstance(upgraded, dict) and json.loads(json.dumps(upgraded, allow_nan=False)) == upgraded
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        raise InputError(f"upgrade() of layer {name!r} failed: {type(error).__name__}: {text}") from error
    if not good:
        raise InputError(f"upgrade() of layer {name!r} returned {str(upgraded)[:80]}; its fields as data were expected")
    return upgraded


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
