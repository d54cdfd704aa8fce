"""Write reference.md beside this file: every public function, layer, loss, optimizer, schedule and initializer.

    python docs/reference.py

What stands there is what the docstrings say, so that the two cannot disagree; a test holds the page to them.
"""

import dataclasses
import inspect
from pathlib import Path

import plugrad as pg

PAGE = Path(__file__).with_name("reference.md")

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


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"wrote {PAGE}")
