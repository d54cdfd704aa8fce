"""Compiled kernels are kept as long as nothing that they are made of changes, and no longer."""

import sys

import pytest

from plugrad import kernel_cache


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with kernels in two files, of which one imports the other; a function that changes a file."""
    folder = tmp_path / "plugrad_example"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "outer.py").write_text("from plugrad import kernel\nfrom plugrad_example.inner import double\n")
    (folder / "inner.py").write_text("from plugrad.kernels.product import multiply\n")
    (folder / "other.py").write_text("import numpy\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def change(name):
        with (folder / name).open("a") as file:
            file.write("# changed\n")

    yield change
    for name in [n for n in sys.modules if n.startswith("plugrad_example")]:
        del sys.modules[name]


def folders():
    kernel_cache._source.cache_clear()
    kernel_cache._digest_of.cache_clear()
    return {name: kernel_cache.folder_for(f"plugrad_example.{name}") for name in ("outer", "inner", "other")}


def changed(before, after):
    return {name for name in before if before[name] != after[name]}


def test_an_edit_makes_anew_what_depends_on_it_alone(package):
    first = folders()
    assert first == folders()
    package("inner.py")
    second = folders()
    assert changed(first, second) == {"inner", "outer"}
    package("outer.py")
    third = folders()
    assert changed(second, third) == {"outer"}
    package("other.py")
    assert changed(third, folders()) == {"other"}


def test_what_a_kernel_is_made_of():
    needed = kernel_cache._needed("plugrad.kernels.dense")
    assert {"plugrad.kernels.product", "plugrad.kernels.tile", "plugrad.kernels.exponential"} <= needed
    assert "plugrad.kernel" in needed
    assert not needed & {"plugrad.kernels.optimizer", "plugrad.tensor", "numpy"}


def test_a_module_without_a_file():
    assert kernel_cache.folder_for("__main__") is not None
