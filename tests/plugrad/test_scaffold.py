"""`plugrad plugins new`: the package works as it is written."""

import os
import subprocess
import sys

import pytest
from installed import CORE

from plugrad.cli import main
from plugrad.scaffold import KINDS


def metadata(folder, name):
    """What an installer writes of a package, so that its tests find it."""
    about = folder / f"{name.replace('-', '_')}-0.1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
    (about / "entry_points.txt").write_text(f"[plugrad]\n{name} = {name.replace('-', '_')}\n")


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_passes_its_own_tests(kind, tmp_path, capsys):
    name = f"my-{kind}"
    assert main(["plugins", "new", name, "--kind", kind, "--directory", str(tmp_path)]) == 0
    folder = tmp_path / name
    assert f"cd {folder}" in capsys.readouterr().err
    assert (folder / "pyproject.toml").exists()
    assert (folder / ".github" / "workflows" / "test.yml").exists()
    text = "".join(path.read_text() for path in folder.rglob("*") if path.is_file())
    assert "@" not in text.replace("@pg.", "").replace("@data", "").replace("@class", "").replace(
        "@pytest", ""
    ).replace("@click", "").replace("actions/checkout@v4", "").replace("actions/setup-python@v5", "")
    metadata(folder, name)
    path = os.pathsep.join([str(folder), *CORE])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=folder, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": path}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    linted = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--line-length=120", "--select=E,F,I,B,UP,W,C4,SIM", "."],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "No module named ruff" not in linted.stderr:
        assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Demo", "is no name for a package"), ("a b", "is no name"), ("../up", "is no name"),
        ("-x", "No such option"), ("x--y", "is no name"), ("é", "is no name"), ("a" * 61, "is no name"),
        ("class", "Python's own"), ("json", "Python's own"), ("numpy", "would hide a package"),
        ("plugrad-layers", "would hide a package"), ("click", "would hide the package at"), ("\x1b", "is no name"),
    ],
)  # fmt: skip
def test_names_that_cannot_be(name, text, tmp_path, capsys):
    assert main(["plugins", "new", name, "--directory", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert text in err
    assert "\x1b" not in err
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_stays(tmp_path, capsys):
    new = ["plugins", "new", "demo", "--directory", str(tmp_path)]
    assert main(new) == 0
    (tmp_path / "demo" / "mine.txt").write_text("mine")
    (tmp_path / "demo" / "README.md").write_text("changed")
    assert main(new) == 2
    assert "exists already; --force" in capsys.readouterr().err
    assert (tmp_path / "demo" / "README.md").read_text() == "changed"
    assert main([*new, "--force"]) == 0
    assert (tmp_path / "demo" / "README.md").read_text().startswith("# demo")
    assert (tmp_path / "demo" / "mine.txt").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_a_folder_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["plugins", "new", "demo", "--directory", str(tmp_path / "file" / "below")]) == 2
    assert "not a directory" in capsys.readouterr().err
