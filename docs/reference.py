"""Write reference.md and hooks.md beside this file: every public function, layer, loss, optimizer, schedule and
initializer, and what plugins may provide.

    python docs/reference.py

What stands there is what the docstrings say, so that the two cannot disagree; a test holds the page to them.
"""

import dataclasses
import inspect
from pathlib import Path

import plugrad as pg
from plugrad import hookspecs, testing
from plugrad.plugin_check import KINDS as HOOKS

PAGE, HOOK_PAGE = (Path(__file__).with_name(name) for name in ("reference.md", "hooks.md"))

HEAD = """# Reference

Functions take NumPy arrays or Tensors and return Tensors; their meaning follows NumPy where NumPy has the function and
PyTorch where it has not. Images are (batch, height, width, channels), sequences (batch, length, features). What does
not fit is refused with a `ShapeError` or an `InputError` that names the function, what it expected and what it got.

This page is made from the docstrings by `python docs/reference.py`.
"""

KINDS = ("layers", "losses", "optimizers", "schedules", "initializers")


def functions():
    """{family: [(name, function)]} of the public ops, by the module that defines them."""
    families = {}
    for name in pg.ops.__all__:
        function = getattr(pg, name)
        families.setdefault(function.__module__.rsplit(".", 1)[-1], []).append((name, function))
    return families


def signature(name, thing):
    """`name(arguments)` as one would write it."""
    if dataclasses.is_dataclass(thing):
        return f"{name}({', '.join(_field(f) for f in dataclasses.fields(thing))})"
    parts = [str(p) for p in inspect.signature(getattr(thing, "raw", thing)).parameters.values()]
    return f"{name}({', '.join(parts)})"


def _field(field):
    if field.default is not dataclasses.MISSING:
        return f"{field.name}={field.default!r}"
    return field.name if field.default_factory is dataclasses.MISSING else f"{field.name}={field.default_factory()!r}"


def entry(name, thing):
    """One entry: the signature and the whole docstring."""
    text = inspect.cleandoc(thing.__doc__ or "")
    return f"#### `{signature(name, thing)}`\n\n{_prose(text)}\n"


def _prose(text):
    """A docstring as Markdown: its indented lines, which are formulas or tables, as code."""
    lines, inside = [], False
    for line in text.split("\n"):
        indented = line.startswith("    ")
        if indented and not inside and lines and not lines[-1]:
            lines.append("```text")
            inside = True
        elif inside and line and not indented:
            while not lines[-1]:
                lines.pop()
            lines += ["```", ""]
            inside = False
        lines.append(line[4:] if inside else line)
    return "\n".join(lines + (["```"] if inside else []))


def page():
    """The whole text."""
    parts = [HEAD, "## Functions\n"]
    for family, members in functions().items():
        parts.append(f"### {family.replace('_', ' ')}\n")
        parts += [entry(f"pg.{name}", function) for name, function in members]
    for kind in KINDS:
        parts.append(f"## {kind.capitalize()}\n")
        names = pg.registry()
        own = [n for n in names.names(kind) if "." not in n]
        parts += [entry(name, names.get(kind, name)) for name in own]
    return "\n".join(parts)


HOOK_HEAD = """# Hooks

What a plugin may provide, how its classes are made, and the checks they pass; [plugins.md](plugins.md) is the tutorial.
This page is made from the docstrings by `python docs/reference.py`.
"""

BASES = (pg.Layer, pg.Loss, pg.Optimizer, pg.Initializer, pg.Schedule, pg.Parameter, pg.State)


def hook_page():
    """The whole text of hooks.md."""
    parts = [HOOK_HEAD, _prose(inspect.cleandoc(hookspecs.__doc__)), "\n## The hooks\n"]
    for kind in HOOKS:
        hook = getattr(hookspecs, f"register_{kind}")
        parts.append(f"#### `{hook.__name__}()`\n\n{_prose(inspect.cleandoc(hook.__doc__))}\n")
    parts.append("## The classes\n")
    for base in BASES:
        parts.append(f"#### `plugrad.{base.__name__}`\n\n{_prose(inspect.cleandoc(base.__doc__))}\n")
        parts += [_method(base, name) for name, member in vars(base).items() if _told(name, member)]
    parts.append("## `plugrad.op`, `plugrad.kernel`, `plugrad.command`\n")
    parts += [entry(f"plugrad.{name}", getattr(pg, name)) for name in ("op", "kernel", "prange", "command")]
    parts.append("## `plugrad.testing`\n\n" + _prose(inspect.cleandoc(testing.__doc__)) + "\n")
    parts += [entry(f"testing.{name}", getattr(testing, name)) for name in testing.__all__]
    return "\n".join(parts)


def _told(name, member):
    return not name.startswith("_") and inspect.isfunction(member)


def _method(base, name):
    method = getattr(base, name)
    parameters = [str(p) for p in list(inspect.signature(method).parameters.values())[1:]]
    text = _prose(inspect.cleandoc(method.__doc__ or ""))
    return f"- `{name}({', '.join(parameters)})`: " + text.replace("\n", "\n  ") + "\n"


if __name__ == "__main__":
    for place, text in ((PAGE, page()), (HOOK_PAGE, hook_page())):
        place.write_text(text)
        print(f"wrote {place}")
