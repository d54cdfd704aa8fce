"""Model files as text for a terminal; it comes from strangers, so nothing goes out raw."""

import importlib.metadata
import json
import re

ITEMS_SHOWN = 20
WIDTH_SHOWN = 100
_DISTRIBUTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_BEFORE_TENSORS = ("format", "application", "plugins", "model")
_AFTER_TENSORS = ("state", "training")


def printable(text):
    """Return a text with control characters, and others that a terminal acts on, as escapes (\\x1b, \\n)."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def model_report(content):
    """Return what `model_file.inspect` gave as text: configuration, tensors, state, training summary."""
    metadata = content["metadata"]
    rest = [key for key in metadata if key not in _BEFORE_TENSORS + _AFTER_TENSORS]
    lines = [f"file: {printable(content['path'])} ({content['bytes']:,} bytes)"] if "path" in content else []
    if needs := needed_distributions(metadata):
        lines.append("needs: " + ", ".join(map(_need, needs)))
    for key in _BEFORE_TENSORS:
        lines += _section(key, metadata)
    lines += _tensor_table(content["tensors"])
    for key in (*_AFTER_TENSORS, *rest):
        lines += _section(key, metadata)
    return "\n".join(lines)


def needed_distributions(metadata):
    """What a model needs, told by installed metadata alone, nothing being imported.

    Returns a list of {"name", "version", "installed"}; installed: a version, or None.
    """
    listed = metadata.get("plugins")
    named = [plugin for plugin in listed if isinstance(plugin, dict)] if isinstance(listed, list) else []
    return [
        {"name": plugin["name"], "version": plugin.get("version"), "installed": _installed(plugin["name"])}
        for plugin in named
        if isinstance(plugin.get("name"), str)
    ]


def _installed(name):
    if not _DISTRIBUTION.fullmatch(name):  # a stranger's text is not looked for on the disk
        return None
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _need(plugin):
    version = str(plugin["version"])[:20]
    state = "not installed" if plugin["installed"] is None else f"installed: {plugin['installed']}"
    return printable(f"{plugin['name'][:80]} {version} ({state})")


def _section(key, metadata):
    return _tree(key, metadata[key], "") if key in metadata else []


def _tree(label, value, indent):
    """Return a nested value as lines, each list and mapping cut after its first items."""
    if isinstance(value, dict) and value:
        items = sorted(value.items(), key=lambda item: item[0] != "name")
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        items = [(f"[{i}]", item) for i, item in enumerate(value)]
    else:
        return [f"{indent}{printable(label)}: {_scalar(value)}"]
    lines = [f"{indent}{printable(label)}:"]
    for name, item in items[:ITEMS_SHOWN]:
        lines += _tree(name, item, indent + "  ")
    if len(items) > ITEMS_SHOWN:
        lines.append(f"{indent}  ... {len(items) - ITEMS_SHOWN} more")
    return lines


def _scalar(value):
    if isinstance(value, list):
        more = f", ... {len(value) - ITEMS_SHOWN} more" if len(value) > ITEMS_SHOWN else ""
        return f"[{', '.join(map(_scalar, value[:ITEMS_SHOWN]))}{more}]"
    text = printable(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= WIDTH_SHOWN else text[: WIDTH_SHOWN - 3] + "..."


def _tensor_table(tensors):
    total = sum(tensor["bytes"] for tensor in tensors)
    title = f"tensors: {len(tensors)}, {total:,} bytes"
    cells = [("NAME", "DTYPE", "SHAPE", "BYTES")]
    for tensor in tensors:
        shape = " × ".join(map(str, tensor["shape"])) or "scalar"
        cells.append((tensor["name"], tensor["dtype"], shape, f"{tensor['bytes']:,}"))
    return [title, *(f"  {line}" for line in columns(cells))] if tensors else [title]


def columns(rows):
    """Rows of texts as lines of a table."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
