"""Layers, losses and optimizers of others: they conform, and need nothing private."""

import json

import pytest
from distributions import FOLDERS, about, imports, metadata, run

import plugrad as pg

PUBLIC = {"plugrad.errors", "plugrad.testing", "plugrad.cli", "plugrad_layers", "plugrad_losses", "plugrad_optimizers"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_it_needs_nothing_private(folder):
    own = about(folder)[2]
    for module, name in imports(folder):
        if module.split(".")[0] == own or not module.startswith("plugrad"):
            continue
        public = module in PUBLIC or (module == "plugrad" and (name is None or name in pg.__all__))
        assert public, f"{folder.name} takes {name} from {module}"
        assert not (name or "").startswith("_")


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
