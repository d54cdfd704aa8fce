"""Wheels in a fresh virtual environment: what somebody has who never saw the sources."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest
from distributions import HERE, ROOT

SOURCES = ("core", "plugins", "apps", "pyproject.toml", "README.md", "LICENSE")
SNAKE = {"layer": "outside.Snake"}
TRAINING = {
    "loss": {"name": "outside.Tukey", "width": 6.0},
    "optimizer": {"name": "outside.Yogi", "learning_rate": 0.01},
}


class Environment:
    """A virtual environment with plugrad's wheel and nothing else of its own; dependencies are this environment's."""

    def __init__(self, folder, wheels):
        self.folder, self.wheels = folder, wheels
        venv.create(folder / "venv", with_pip=False)
        self.python = folder / "venv" / "bin" / "python"
        [site] = (folder / "venv" / "lib").glob("python*/site-packages")
        # A path in a .pth file is searched, but the .pth files in it are not read: no editable plugrad comes with it.
        (site / "dependencies.pth").write_text(
            sysconfig.get_path("purelib") + "\n" + sysconfig.get_path("platlib") + "\n"
        )
        self.pip("install", "--no-deps", "--no-index", *wheels.glob("plugrad-0*.whl"))

    def run(self, *command, status=0, cwd=None):
        """(output, errors) of a program of the environment, whose exit status must be `status`."""
        environ = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PLUGRAD_PLUGINS")}
        done = subprocess.run(
            [self.python.with_name(command[0]), *map(str, command[1:])], cwd=cwd or self.folder, env=environ,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == status, f"{command}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout, done.stderr

    def plugrad(self, *arguments, status=0):
        """The same for `plugrad ARGUMENTS`."""
        return self.run("plugrad", *arguments, status=status)

    def pip(self, *arguments):
        """Run this environment's pip on that one."""
        command = [sys.executable, "-m", "pip", "--python", self.python, "--disable-pip-version-check", "--quiet"]
        subprocess.run([*map(str, command), *map(str, arguments)], check=True, capture_output=True)

    def add(self):
        """Install the outside distribution."""
        self.pip("install", "--no-deps", "--no-index", *self.wheels.glob("plugrad_outside-*.whl"))

    def remove(self):
        """Uninstall it."""
        self.pip("uninstall", "--yes", "plugrad-outside")


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    ours = folder / "plugrad"
    ours.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, ours / name)
    shutil.copytree(HERE / "plugrad-outside", folder / "outside")
    for source in (ours, folder / "outside"):
        command = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder / "dist", source]
        done = subprocess.run(
            [sys.executable, "-m", "pip", *map(str, command)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
    made = Environment(folder, folder / "dist")
    made.add()
    _write_data(folder)
    return made


def _write_data(folder):
    rng = np.random.default_rng(0)
    a = rng.normal(size=500)
    rows = "".join(f"{x:.4f},{2 * x + e:.4f},{e:.4f}\n" for x, e in zip(a, 0.1 * rng.normal(size=500), strict=True))
    (folder / "t.csv").write_text("a,b,c\n" + rows)
    lines = [
        f"2024-05-14T10:{i // 60 % 60:02d}:{i % 60:02d}Z INFO {'read' if i % 3 else 'wrote'} {n} bytes"
        for i, n in enumerate(rng.integers(1, 900, size=1500))
    ]
    (folder / "a.log").write_text("\n".join(lines) + "\n")
    entries = [
        f"__REALTIME_TIMESTAMP={1_700_000_000_000_000 + 1_000_000 * i}\nSYSLOG_IDENTIFIER=cron\n_PID={i % 9}\n"
        f"MESSAGE=job done in {n} ms\n"
        for i, n in enumerate(rng.integers(1, 90, size=1500))
    ]
    (folder / "a.journal").write_text("\n".join(entries))
    dense = {
        "layer": "Sequential",
        "layers": [{"layer": "Dense", "units": 6}, SNAKE, {"layer": "Dense", "units": "columns"}],
    }
    (folder / "config.json").write_text(json.dumps({"model": dense, **TRAINING}))


def test_plugrad_is_that_of_the_wheel(environment):
    out, _ = environment.run(
        "python", "-c", "import plugrad, plugrad_anomaly; print(plugrad.__file__, plugrad_anomaly.__file__)"
    )
    assert all(str(environment.folder) in path for path in out.split())
    rows = json.loads(environment.plugrad("plugins", "list", "--json")[0])
    outside = {(row["name"], row["kind"]) for row in rows if row["provider"] == "plugrad-outside"}
    assert outside == {
        ("outside.Snake", "layer"), ("outside.Tukey", "loss"), ("outside.Yogi", "optimizer"),
        ("outside.Journal", "log reader"), ("outside.norms", "command"),
    }  # fmt: skip


MODELS = {
    "table": ("t.csv", []),
    "windows of a log": ("a.log", []),
    "a journal": ("a.journal", ["--reader", "outside.Journal"]),
    "sequences": ("a.log", ["--kind", "sequence", "--window-lines", "8"]),
}


@pytest.mark.parametrize(
    "name", [name if name in ("table", "a journal") else pytest.param(name, marks=pytest.mark.slow) for name in MODELS]
)
def test_every_application_uses_it_by_name(name, environment):
    file, options = MODELS[name]
    config, model = "config.json", f"{name}.model"
    if name == "sequences":
        shown, _ = environment.plugrad("anomaly", "train", file, "--model", model, *options, "--show-config")
        described = json.loads(shown)
        described["layers"].insert(-1, SNAKE)
        described = {"model": described, "optimizer": TRAINING["optimizer"]}
        (environment.folder / "sequences.json").write_text(json.dumps(described))
        config = "sequences.json"
    train = ["anomaly", "train", file, "--model", model, "--epochs", "1", *options]
    environment.plugrad(*train, "--config", config, "--force")
    environment.plugrad("anomaly", "score", file, "--model", model, "-o", "first.csv", "--force")
    assert "rate" in environment.plugrad("outside.norms", model)[0]

    environment.remove()
    try:
        _, err = environment.plugrad("anomaly", "score", file, "--model", model, "-o", "none.csv", status=2)
        assert err.count("\n") == 1
        needed = "layer 'outside.Snake'"
        assert f"needs {needed} from plugrad-outside 1.2.0, which is not installed" in err
        out, _ = environment.plugrad("model", "inspect", model)
        assert "outside.Snake" in out
        assert "not installed" in out
    finally:
        environment.add()
    environment.plugrad("anomaly", "score", file, "--model", model, "-o", "second.csv", "--force")
    assert (environment.folder / "second.csv").read_bytes() == (environment.folder / "first.csv").read_bytes()
    assert not (environment.folder / "none.csv").exists()


def test_a_model_of_its_own_only_needs_the_reader(environment):
    environment.plugrad(
        "anomaly", "train", "a.journal", "--model", "r.model", "--epochs", "1", "--reader", "outside.Journal", "--force"
    )
    environment.remove()
    try:
        _, err = environment.plugrad("anomaly", "score", "a.journal", "--model", "r.model", status=2)
        assert "needs log reader 'outside.Journal' from plugrad-outside 1.2.0, which is not installed" in err
    finally:
        environment.add()


def test_a_new_package_is_installed_and_used(environment):
    environment.plugrad("plugins", "new", "demo", "--kind", "layer")
    demo = environment.folder / "demo"
    environment.pip("install", "--no-deps", "--no-build-isolation", "--editable", demo)
    out, _ = environment.run("python", "-m", "pytest", "-q", cwd=demo)
    assert " passed" in out
    config = {"layer": "Sequential", "layers": [{"layer": "demo.Demo"}, {"layer": "Dense", "units": "columns"}]}
    (environment.folder / "demo.json").write_text(json.dumps(config))
    environment.plugrad("anomaly", "train", "t.csv", "--model", "d.model", "--config", "demo.json", "--epochs", "1")
    assert "demo.Demo" in Path(environment.folder, "d.model").read_bytes().decode("latin-1")
    checked, _ = environment.plugrad("plugins", "check", "demo")
    assert "ok      layer demo.Demo" in checked
    assert "times as quick as its naive()" in checked
