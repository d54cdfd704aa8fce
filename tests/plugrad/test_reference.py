"""The reference page says what the docstrings say, and every public function is one and has one."""

import inspect
import runpy
from pathlib import Path

import pytest

import plugrad as pg
from plugrad import hookspecs, testing
from plugrad.plugin_check import KINDS

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_up_to_date():
    made = runpy.run_path(str(DOCS / "reference.py"))["page"]()
    assert (DOCS / "reference.md").read_text() == made, "run: python docs/reference.py"


def test_the_page_of_hooks_is_up_to_date_and_complete():
    text = runpy.run_path(str(DOCS / "reference.py"))["hook_page"]()
    assert (DOCS / "hooks.md").read_text() == text, "run: python docs/reference.py"
    for kind in KINDS:
        assert f"#### `register_{kind}()`" in text
        assert "Since contract 1.0" in getattr(hookspecs, f"register_{kind}").__doc__
    for name in testing.__all__:
        assert f"testing.{name}(" in text


@pytest.mark.parametrize("name", pg.ops.__all__)
def test_every_name_of_the_ops_is_a_documented_function(name):
    function = getattr(pg, name)
    assert inspect.isfunction(function), f"plugrad.{name} is a {type(function).__name__}"
    assert inspect.getdoc(function)


def test_every_op_is_public():
    public = {getattr(pg, name) for name in pg.ops.__all__}
    hidden = [name for name, op in pg.OPS.items() if op not in public and op.__module__.startswith("plugrad.ops")]
    hidden = [name for name in hidden if not name.startswith("_")]
    wrapped = [name for name in hidden if name in pg.ops.__all__]  # concat takes a list, its op the arrays
    assert hidden == wrapped
