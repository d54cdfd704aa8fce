"""Layers, losses and optimizers of others: they conform, and need nothing private."""

import importlib
import json

import pytest
from distributions import FOLDERS, about, imports, metadata, run

import plugrad as pg

PUBLIC = {"plugrad.errors", "plugrad.testing", "plugrad_layers", "plugrad_losses", "plugrad_optimizers"}


def is_public(module, name):
    """Whether a plugin may take a name from a module; name None: the module itself."""
    if module == "plugrad":
        return name is None or name in pg.__all__
    names = getattr(importlib.import_module(module), "__all__", None) if module in PUBLIC else ()
    return module in PUBLIC and (name is None or (name in names if names else not name.startswith("_")))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_it_needs_nothing_private(folder):
    own = about(folder)[2]
    for module, name in imports(folder):
        if module.split(".")[0] == own or not module.startswith("plugrad"):
            continue
        assert is_public(module, name), f"{folder.name} takes {name} from {module}"


@pytest.mark.parametrize(
    "code",
    [
        "from plugrad import kernels", "import plugrad.kernels", "import plugrad as p\np.kernels",
        "import plugrad as pg\npg.mode._x", "from plugrad.cli import main", "from plugrad_layers import fields",
        "from plugrad_layers.dense import Dense",
    ],
)  # fmt: skip
def test_what_is_private_is_told(code, tmp_path):
    (tmp_path / "code.py").write_text(code)
    assert not all(is_public(module, name) for module, name in imports(tmp_path))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_it_conforms(folder, tmp_path):
    name, version, package = about(folder)
    metadata(folder, tmp_path)
    status, out, err = run(["-m", "plugrad", "plugins", "check", name, "--json"], tmp_path, folder)
    assert status == 0, out + err
    report = json.loads(out)
    assert report["checked"]
    assert [remark for remark in report["remarks"] if "contract" in remark or "docstring" in remark] == []
    status, out, _ = run(["-m", "plugrad", "plugins", "list", "--json"], tmp_path, folder)
    rows = [row for row in json.loads(out) if row["provider"] == name]
    assert {row["version"] for row in rows} == {version}
    assert {row["name"].split(".")[0] for row in rows} == {package}
