"""The Registry: loads plugins one at a time, so that a broken one is named and the rest keep working."""

import functools
import inspect
import os
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import replace

from plugrad.errors import InputError, LookupFailed, PluginError, PlugradError
from plugrad.plugin_check import (
    KINDS,
    OWN_DISTRIBUTION,
    Fault,
    Plugin,
    PluginFailure,
    described,
    did_you_mean,
    guarded,
    new_manager,
    offers,
    quoted,
)
from plugrad.plugin_limit import Limited, limit_of
from plugrad.plugin_sources import selected, version_of

OWN = frozenset()  # of the distributions beside plugrad's own, none


class Registry:
    """What the plugins provide, by kind ("layers", "commands", ...) and name; loaded at the first look-up.

    entry_points: objects with name, group, load() and dist; None for those of the installed distributions
    environ: mapping in which PLUGRAD_PLUGINS=a,b limits the plugins to plugrad's own and those entry points
        (none: plugrad's own only), PLUGRAD_STRICT_PLUGINS=1 makes the first failure a PluginError of every look-up, and
        PLUGRAD_PLUGIN_TIMEOUT says how many seconds a plugin may take to be imported

    A bare name is plugrad's own, so looking it up imports no other plugin, unless failures are to be fatal.
    """

    def __init__(self, entry_points=None, environ=os.environ):
        self._entry_points, self._environ = entry_points, environ
        self._lock = threading.RLock()
        self._pending = None  # those still to load: (Plugin, its load function); None: not listed yet
        self._loading, self._importing = False, None  # the thread in which a plugin is imported
        self._left_out = set()  # distributions that PLUGRAD_PLUGINS does not name
        self._manager = new_manager()
        self._plugins = {}  # pluggy's name of a plugin -> Plugin
        self._entries = {kind: {} for kind in KINDS}  # kind -> name -> (value, pluggy's name of its plugin)
        self._failures = []
        self._strict_failure = None

    @property
    def plugins(self):
        """The plugins that work, in the order of loading: list of Plugin."""
        self._load()
        return list(self._plugins.values())

    @property
    def failures(self):
        """The plugins that were refused: list of PluginFailure."""
        self._load()
        return list(self._failures)

    def get(self, kind, name):
        """Return the class or function registered under a name.

        Raises LookupFailed: what exists, the nearest spelling, and which plugins failed to load.
        """
        return self._entry(kind, name)[0]

    def owner(self, kind, name):
        """Return (plugin, distribution, version) of what provides a name. Raises LookupFailed."""
        plugin = self._plugins[self._entry(kind, name)[1]]
        return plugin.name, plugin.distribution, plugin.version

    def names(self, kind):
        """Return the names of a kind, sorted. Raises LookupFailed for an unknown kind."""
        return sorted(self._of_kind(kind))

    def name_of(self, kind, value):
        """Return the name under which a class or function is registered. Raises LookupFailed if it is not."""
        for only in (OWN, None):
            for name, (registered, _) in self._of_kind(kind, only).items():
                if registered is value:
                    return name
        text = f"{getattr(value, '__qualname__', None) or quoted(value)} is not registered"
        raise LookupFailed(f"{text} as a {KINDS[kind]}; a plugin's register_{kind} has to return it")

    def create(self, kind, spec):
        """Return an instance of what `spec` describes.

        spec: a name; a mapping of "name" and fields; anything else is taken for an instance and returned

        Raises LookupFailed for an unknown name, InputError for fields that do not fit or are refused.
        """
        if not isinstance(spec, str | Mapping):
            return spec
        fields = {"name": spec} if isinstance(spec, str) else dict(spec)
        if "name" not in fields:
            raise InputError(f"a {KINDS[kind]} is described by a 'name' and its fields; the name is missing")
        name = fields.pop("name")
        factory = self.get(kind, name)
        _check_fields(f"{KINDS[kind]} {name!r}", factory, fields)
        try:
            return factory(**fields)
        except PlugradError:
            raise
        except (TypeError, ValueError) as error:
            raise InputError(f"{KINDS[kind]} {name!r} refuses its fields: {described(error)}") from error

    def register(self, plugin, name, distribution=None):
        """Add a plugin by hand, as tests and notebooks do, and return its Plugin; all or nothing.

        plugin: module or object with marked hooks; distribution: "plugrad" allows the bare names of built-ins

        Raises PluginError: a hook is misspelt or fails, a name is taken or has the wrong form.
        """
        with self._lock:
            self._load()
            who = Plugin(name, distribution, version_of(distribution))
            try:
                return self._add(who, lambda: plugin)
            except Fault as fault:
                raise PluginError(f"{who} cannot be used: {fault}") from fault.__cause__

    def unregister(self, name, distribution=None):
        """Remove a plugin with all that it provides. Raises PluginError where it is not registered."""
        with self._lock:
            self._load()
            key = _key(name, distribution)
            if self._plugins.pop(key, None) is None:
                raise PluginError(f"{Plugin(name, distribution)} is not registered")
            self._manager.unregister(name=key)
            for kind, entries in self._entries.items():
                self._entries[kind] = {name: entry for name, entry in entries.items() if entry[1] != key}

    def chosen(self, distributions):
        """A Registry that imports, and sees, plugrad's own plugins and those of some distributions alone."""
        return _Chosen(self, distributions)

    def state_of(self, distribution):
        """What is the matter with a distribution whose plugin is not there, as words behind "which"."""
        self._load({distribution})
        for failure in self._failures:
            if failure.distribution == distribution:
                return f"failed to load: {failure.reason}"
        if distribution in self._left_out:
            return "PLUGRAD_PLUGINS leaves out"
        installed = version_of(distribution)
        return f"is installed in version {installed} and has no such name" if installed else "is not installed"

    def failure_note(self):
        """Return a sentence for each plugin that failed to load, for the end of a message."""
        return "".join(f" Note: {failure}".rstrip(".?") + "." for failure in self.failures)

    def _of_kind(self, kind, only=None):
        if kind not in KINDS:
            near = did_you_mean(kind, KINDS) or "."
            raise LookupFailed(f"no kind {quoted(kind)}{near} Kinds: {', '.join(KINDS)}.")
        self._load(only)
        return self._entries[kind]

    def _entry(self, kind, name):
        if isinstance(name, str) and name in (entries := self._of_kind(kind, OWN)):
            return entries[name]
        entries = self._of_kind(kind)
        if isinstance(name, str) and name in entries:
            return entries[name]
        near = did_you_mean(name, entries) or "."
        exist = f"Registered {kind.replace('_', ' ')}: {', '.join(sorted(entries)) or 'none'}."
        raise LookupFailed(f"no {KINDS[kind]} {quoted(name)}{near} {exist}{self.failure_note()}")

    def _load(self, only=None):
        """Load what is still to load; only: distributions beside plugrad's own, None for all."""
        # A plugin that looks something up while it is imported sees what there is so far.
        if self._importing is not None and self._importing.runs_here():
            return
        with self._lock:
            if not self._loading:
                self._load_pending(None if self._strict else only)
            if self._strict_failure is not None:
                raise PluginError(f"{self._strict_failure} (PLUGRAD_STRICT_PLUGINS is set)")

    @property
    def _strict(self):
        return self._environ.get("PLUGRAD_STRICT_PLUGINS", "") not in ("", "0")

    def _load_pending(self, only):
        self._loading = True
        try:
            if self._pending is None:
                self._pending, self._left_out = selected(self._entry_points, self._environ)
            if self._strict and self._failures:
                self._strict_failure = self._failures[0]
            due = [pair for pair in self._pending if only is None or pair[0].is_own or pair[0].distribution in only]
            for pair in due:
                if self._strict_failure is not None:
                    break
                self._load_one(*pair)
                self._pending.remove(pair)  # only now: after an interrupt the next look-up goes on with this one
        finally:
            self._loading = False

    def _load_one(self, who, load):
        try:
            self._add(who, load)
        except Fault as fault:
            trace = "".join(traceback.format_exception(fault.__cause__ or fault))
            failure = PluginFailure(who.name, who.distribution, fault.hook, str(fault), trace, who.version)
            self._failures.append(failure)
            if self._strict:
                self._strict_failure = failure

    def _add(self, who, load):
        def examined():
            start = time.perf_counter()
            plugin = guarded("cannot be imported", load)
            seconds = time.perf_counter() - start
            return plugin, seconds, guarded("cannot be examined", lambda: offers(plugin, who))

        if who.is_own:
            plugin, seconds, found = examined()
        else:
            self._importing = Limited(examined, limit_of(self._environ))
            try:
                plugin, seconds, found = self._importing.result()
            finally:
                self._importing = None
        who = replace(who, seconds=seconds)
        key = _key(who.name, who.distribution)
        if key in self._plugins:
            raise Fault("a plugin of this name and distribution is registered already")
        if same := guarded("cannot be examined", lambda: self._manager.get_name(plugin)):
            raise Fault(f"is the same object as {self._plugins[same]}")
        for hook, offer in found.items():
            self._refuse_taken(who, hook, offer)
        self._manager.register(plugin, key)
        self._plugins[key] = replace(who, hooks=tuple(found))
        for hook, offer in found.items():
            self._of_hook(hook).update({name: (value, key) for name, value in offer.items()})
        return self._plugins[key]

    def _refuse_taken(self, who, hook, offer):
        entries = self._of_hook(hook)
        for name in offer:
            if name in entries:
                first = self._plugins[entries[name][1]]
                raise Fault(f"{hook}: the name {name!r} of {who} is taken by {first}", hook)

    def _of_hook(self, hook):
        return self._entries[hook.removeprefix("register_")]


class _Chosen(Registry):
    """See `Registry.chosen`; it holds nothing of its own."""

    def __init__(self, whole, distributions):
        self._whole, self._distributions = whole, frozenset(distributions)

    def __getattr__(self, name):
        return getattr(self._whole, name)

    def _load(self, only=None):
        self._whole._load(self._distributions if only is None else only)

    def _of_kind(self, kind, only=None):
        entries = super()._of_kind(kind, only)
        seen = {OWN_DISTRIBUTION, None, *self._distributions}  # None: registered by hand, so imported already
        known = {key for key, plugin in self._whole._plugins.items() if plugin.distribution in seen}
        return {name: entry for name, entry in entries.items() if entry[1] in known}


@functools.cache
def registry():
    """Return the Registry of this process, over the installed plugins."""
    return Registry()


def _check_fields(what, factory, fields):
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return  # some compiled callables have no signature: calling them will tell
    named = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    exist = f"its fields: {', '.join(named)}" if named else "it has no fields"
    unknown = [key for key in fields if key not in named]
    if unknown and not any(p.kind == p.VAR_KEYWORD for p in parameters):
        near = did_you_mean(unknown[0], named)
        raise InputError(f"{what} has no field {quoted(unknown[0])}{near} ({exist})")
    missing = [key for key, p in named.items() if p.default is p.empty and key not in fields]
    if missing:
        raise InputError(f"{what} needs the field {', '.join(map(repr, missing))} ({exist})")


def _key(name, distribution):
    return f"{distribution}:{name}" if distribution else name
