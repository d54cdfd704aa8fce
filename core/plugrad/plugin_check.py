"""The checks that a plugin passes before anything of it is used; pluggy knows the hooks and verifies them.

Each plugin is tried in a manager of its own, so one that fails at any step has changed nothing.
"""

import difflib
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import pluggy

from plugrad import hookspecs
from plugrad.commands import LazyCommand, is_command
from plugrad.contract import contract_fault

GROUP = OWN_DISTRIBUTION = "plugrad"
# The plural names a look-up and, behind "register_", the hook; the singular is for messages.
KINDS = {
    "layers": "layer",
    "losses": "loss",
    "optimizers": "optimizer",
    "initializers": "initializer",
    "schedules": "schedule",
    "ops": "op",
    "commands": "command",
    "log_readers": "log reader",
}
HOOKS = tuple(f"register_{kind}" for kind in KINDS)
_BARE = re.compile(r"[\w-]+")
_DOTTED = re.compile(r"[\w-]+(\.[\w-]+)+")


@dataclass(frozen=True)
class Plugin:
    """A plugin: the name of its entry point, its distribution, the hooks it uses, its seconds of import."""

    name: str
    distribution: str | None = None
    version: str | None = None
    hooks: tuple[str, ...] = ()
    seconds: float = 0.0

    def __str__(self):
        origin = " ".join(filter(None, (self.distribution, self.version)))
        return f"plugin {quoted(self.name)} ({origin or 'of no distribution'})"

    @property
    def is_own(self):
        """Whether it comes with plugrad itself, and so uses bare names."""
        return self.distribution == OWN_DISTRIBUTION


@dataclass(frozen=True)
class PluginFailure:
    """A plugin that was refused as a whole: `reason` is one line; `hook` is None if none was to blame."""

    name: str
    distribution: str | None
    hook: str | None
    reason: str
    traceback: str = field(repr=False)
    version: str | None = None

    def __str__(self):
        return f"{Plugin(self.name, self.distribution, self.version)} failed to load: {self.reason}"


class Fault(Exception):
    """Why a plugin is refused, and the hook to blame; the exception it raised, if any, is the cause."""

    def __init__(self, reason, hook=None):
        super().__init__(reason)
        self.hook = hook


def new_manager():
    """Return a pluggy.PluginManager that knows plugrad's hooks and no plugin."""
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    return manager


def offers(plugin, who):
    """Return what a plugin provides: dict of hook -> (dict of name -> value), in the order of the hooks.

    plugin: module or object with marked hooks; who: its Plugin

    Raises Fault where it states a contract that this is not, or a hook is misspelt, unmarked, takes arguments, fails,
    or returns something else than well-formed names with values that can be called.
    """
    if reason := contract_fault(getattr(plugin, "plugrad_contract", None)):
        raise Fault(reason)
    trial = new_manager()
    try:
        trial.register(plugin, who.name)
        trial.check_pending()
    except pluggy.PluginValidationError as error:
        raise _invalid(trial, plugin, error) from error
    for hook in HOOKS:
        if callable(getattr(plugin, hook, None)) and trial.parse_hookimpl_opts(plugin, hook) is None:
            raise Fault(f"{hook} is not marked with @plugrad.hookimpl", hook)
    callers = [caller for caller in trial.get_hookcallers(plugin) or () if caller.has_spec()]
    if not callers and getattr(plugin, "__file__", "") is None:
        place = next(iter(getattr(plugin, "__path__", ())), "somewhere")
        raise Fault(f"is a folder without code, {place}, which Python finds before the package of this name")
    if not callers:
        raise Fault(f"is a {type(plugin).__name__} without any hook of plugrad ({', '.join(HOOKS)})")
    return {caller.name: _offer(caller, who) for caller in callers}


def guarded(failed, function, hook=None):
    """Call a plugin's code; whatever it raises becomes a Fault, but for the user's interrupt."""
    try:
        return function()
    except (KeyboardInterrupt, Fault):
        raise
    except BaseException as error:  # a plugin may call sys.exit, or panic in a compiled extension
        raise Fault(f"{failed}: {described(error)}", hook) from error


def did_you_mean(name, candidates):
    """Return "; did you mean 'Dense'?", or "" where no candidate is near."""
    # The end of a dotted name counts too: it is what people remember of "rmsnorm.RMSNorm".
    spelt = {c.lower().rpartition(".")[2]: c for c in candidates} | {c.lower(): c for c in candidates}
    text = name.lower()[:100] if isinstance(name, str) else ""
    for attempt in (text, text.rpartition(".")[2]):
        if near := difflib.get_close_matches(attempt, spelt, n=1):
            return f"; did you mean {spelt[near[0]]!r}?"
    return ""


def described(error):
    """Return an exception as one line, "ValueError: text"."""
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


def quoted(value):
    """Return a value as it may stand in a message: its repr on one line, of at most 80 characters."""
    try:
        text = " ".join(repr(value).split())
    except Exception:
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else text[:77] + "..."


def _invalid(trial, plugin, error):
    unknown = [caller.name for caller in trial.get_hookcallers(plugin) or () if not caller.has_spec()]
    if unknown:
        return Fault(f"has an unknown hook {unknown[0]!r}{did_you_mean(unknown[0], HOOKS)}", unknown[0])
    blamed = next((hook for hook in HOOKS if repr(hook) in str(error)), None)
    return Fault(" ".join(str(error).split()), blamed)


def _offer(caller, who):
    hook = caller.name
    results = guarded(f"{hook} failed", functools.partial(_results, caller), hook)
    offer = {}
    for name, value in results:
        _check_name(hook, name, who)
        if name in offer:
            raise Fault(f"{hook} returned the name {name!r} twice", hook)
        _check_value(hook, name, value)
        offer[name] = value
    return offer


def _results(caller):
    results = caller()
    if len(results) < len(caller.get_hookimpls()):
        results = [None]  # pluggy leaves out what a hook returned if it is None
    pairs = []
    for result in results:
        if not isinstance(result, Mapping):
            text = f"{caller.name} returned {quoted(result)}; a mapping of names was expected"
            raise Fault(text, caller.name)
        pairs += result.items()
    return pairs


def _check_name(hook, name, who):
    expected = None
    if not isinstance(name, str):
        expected = "text was expected"
    elif who.is_own and not _BARE.fullmatch(name):
        expected = "a bare word was expected"
    elif not who.is_own and not _DOTTED.fullmatch(name):
        expected = 'the form "package.Name" was expected, bare names are kept for plugrad itself'
    if expected:
        raise Fault(f"{hook} returned the name {quoted(name)}; {expected}", hook)


def _check_value(hook, name, value):
    if hook == "register_commands":
        fits, expected = isinstance(value, LazyCommand) or is_command(value), "plugrad.command(...)"
    elif hook == "register_ops":
        fits, expected = callable(value) and hasattr(value, "raw"), "a function made by @plugrad.op"
    else:
        fits, expected = callable(value), "a class or function"
    if not fits:
        raise Fault(f"{hook} returned {quoted(value)} as {name!r}; {expected} was expected", hook)
