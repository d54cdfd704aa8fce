"""What is known of plugins and of what they provide, as data and as text for a terminal."""

import dataclasses
import inspect
import json
import textwrap

from plugrad.errors import LookupFailed
from plugrad.inspection import columns, printable
from plugrad.plugin_check import KINDS, did_you_mean, quoted


def plugin_rows(registry, kind=None):
    """What the plugins of a Registry provide, strangers' first, then those that failed: list of dicts for JSON.

    kind: a key of KINDS; then only what is of that kind, and no failures.
    """
    rows = []
    plugins = {(plugin.name, plugin.distribution): plugin for plugin in registry.plugins}
    for of_kind in [kind] if kind else KINDS:
        for name in registry.names(of_kind):
            plugin, distribution, version = registry.owner(of_kind, name)
            known = plugins[plugin, distribution]
            rows.append({
                "name": name, "kind": KINDS[of_kind], "provider": distribution or plugin, "version": version,
                "status": "loaded", "plugin": plugin, "own": known.is_own,
                "import_seconds": round(known.seconds, 6),
            })  # fmt: skip
    rows.sort(key=lambda row: (row["own"], row["provider"], row["kind"], row["name"]))
    failed = [
        {
            "name": failure.name, "kind": "plugin", "provider": failure.distribution or failure.name,
            "version": failure.version, "status": "failed", "plugin": failure.name, "failed_hook": failure.hook,
            "reason": failure.reason, "traceback": failure.traceback,
        }
        for failure in registry.failures
    ]  # fmt: skip
    return rows if kind else rows + failed


def plugin_report(rows, verbose=False):
    """What `plugin_rows` gave as a table, and why plugins failed; verbose: seconds of import, and tracebacks."""
    if not rows:
        return "Nothing is provided: no plugin is installed."
    cells = [("NAME", "KIND", "PROVIDER", "VERSION", "STATUS", *(["IMPORT"] if verbose else []))]
    for row in rows:
        seconds = row.get("import_seconds")
        time = [("-" if seconds is None else f"{seconds * 1000:.1f} ms")] if verbose else []
        cells.append((row["name"], row["kind"], row["provider"], row["version"] or "-", row["status"], *time))
    lines = columns(cells)
    failed = [row for row in rows if row["status"] == "failed"]
    for row in failed:
        lines += ["", f"{printable(row['name'])} failed: {printable(row['reason'])}"]
        if verbose:
            lines += [f"    {printable(line)}" for line in row["traceback"].splitlines()]
    if failed and not verbose:
        lines += ["", "plugrad plugins list --verbose shows the tracebacks."]
    return "\n".join(lines)


def kinds_of(registry, name):
    """The kinds, keys of KINDS, in which a name is registered. Raises LookupFailed where there is none."""
    found = [kind for kind in KINDS if name in registry.names(kind)]
    if not found:
        every = {known for kind in KINDS for known in registry.names(kind)}
        near = did_you_mean(name, every) or "."
        raise LookupFailed(f"nothing is registered as {quoted(name)}{near}{registry.failure_note()}")
    return found


def details(registry, kind, name):
    """What `plugins show` tells of a registered name: a dict for JSON."""
    value = registry.get(kind, name)
    plugin, distribution, version = registry.owner(kind, name)
    return {
        "name": name, "kind": KINDS[kind], "provider": distribution or plugin, "plugin": plugin, "version": version,
        "defined": _place(value), "documentation": inspect.getdoc(value) or "", "fields": _fields(value),
        **({"layer_version": value.version} if kind == "layers" and hasattr(value, "version") else {}),
        **({"configuration": _configuration(kind, name, value)} if kind not in ("commands", "log_readers") else {}),
    }  # fmt: skip


def details_report(about):
    """What `details` gave as text."""
    origin = " ".join(filter(None, (about["provider"], about["version"])))
    lines = [f"{about['name']}: {about['kind']} of {origin} (plugin {about['plugin']!r})", f"  {about['defined']}"]
    if about["documentation"]:
        lines += ["", *textwrap.indent(about["documentation"], "  ").splitlines()]
    if about["fields"]:
        rows = [(f"  {f['name']}", f["type"], f["default"]) for f in about["fields"]]
        lines += ["", *columns([("  FIELD", "TYPE", "DEFAULT"), *rows])]
    if about.get("configuration"):
        lines += ["", f"  in a configuration: {json.dumps(about['configuration'])}"]
    return "\n".join(printable(line) for line in lines)


def _place(value):
    target = getattr(value, "target", None)  # of a command that is imported when it runs
    if isinstance(target, str):
        return target
    value = inspect.unwrap(value) if callable(value) else value
    try:
        return f"{inspect.getsourcefile(value)}:{inspect.getsourcelines(value)[1]}"
    except (TypeError, OSError):
        return f"module {getattr(value, '__module__', None) or 'unknown'}"


def _fields(value):
    """[{"name", "type", "default"}] as texts; a field without a default is "needed"."""
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return []
    defaults = {}
    if dataclasses.is_dataclass(value):  # the signature shows a factory, not what it makes
        for field in dataclasses.fields(value):
            if field.default_factory is not dataclasses.MISSING:
                defaults[field.name] = field.default_factory()
    return [
        {
            "name": p.name,
            "type": "" if p.annotation is p.empty else inspect.formatannotation(p.annotation),
            "default": "needed" if p.default is p.empty else quoted(defaults.get(p.name, p.default)),
        }
        for p in parameters
        if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]


def _configuration(kind, name, value):
    """How it is asked for by name: its fields as of its example, or those that are needed as "…"."""
    key = "layer" if kind == "layers" else "name"
    needed = [field["name"] for field in _fields(value) if field["default"] == "needed"] if kind != "ops" else []
    return {key: name, **dict.fromkeys(needed, "…")} if kind != "ops" else None
