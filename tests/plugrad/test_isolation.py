"""Plugins that fail, in processes that find them as pip would have installed them."""

import json
import os

import pytest
from installed import install, layer_source, run

BAD = {
    "fails on import": ("import nowhere_at_all", (), "ModuleNotFoundError: No module named 'nowhere_at_all'"),
    "syntax": ("def f(:", (), "SyntaxError"),
    "leaves": ("raise SystemExit(0)", (), "SystemExit: 0"),
    "misspelt hook": (
        "import plugrad as pg\n@pg.hookimpl\ndef register_layer():\n    return {}",
        (),
        "unknown hook 'register_layer'; did you mean 'register_layers'?",
    ),
    "wrong type": (
        "import plugrad as pg\n@pg.hookimpl\ndef register_layers():\n    return [1]",
        (),
        "mapping of names",
    ),
    "taken name": (
        layer_source("good"),
        (),
        "the name 'good.Twice' of plugin 'odd' (odd 1.0) is taken by plugin 'good'",
    ),
    "newer contract": (
        layer_source("odd", 'plugrad_contract = ">=7.1"'),
        (),
        "works with contract >=7.1, this plugrad has 1.0: install a newer plugrad",
    ),
    "older contract": (layer_source("odd", 'plugrad_contract = "<1"'), (), "install a newer version of the plugin"),
    "newer plugrad": (layer_source("odd"), ["numpy", "plugrad>=99"], "needs plugrad >=99, this one is "),
    "hangs": ("import time\ntime.sleep(60)", (), "did not end within 0.5 s (PLUGRAD_PLUGIN_TIMEOUT sets the limit)"),
}


@pytest.fixture(params=BAD)
def bad(request, tmp_path):
    """(folder, why) with a plugin that works and one that does not."""
    source, requires, why = BAD[request.param]
    install(tmp_path, "good", layer_source("good", 'plugrad_contract = ">=1.0,<2"'), ["plugrad>=0.1,<2"])
    install(tmp_path, "odd", source, requires)
    return tmp_path, why


def test_a_plugin_that_fails_leaves_the_rest_as_it_is(bad):
    folder, why = bad
    limit = {"PLUGRAD_PLUGIN_TIMEOUT": "0.5"}
    status, out, _ = run(folder, "plugins", "list", "--json", **limit)
    rows = json.loads(out)
    assert status == 0
    assert any(row["name"] == "good.Twice" and row["status"] == "loaded" for row in rows)
    [failed] = [row for row in rows if row["status"] == "failed"]
    assert failed["provider"] == "odd"
    assert why in failed["reason"]
    assert "\n" not in failed["reason"]
    status, out, err = run(folder, "--strict-plugins", "plugins", "list", **limit)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert why in err


def test_plugins_may_be_left_out(tmp_path):
    install(tmp_path, "good", layer_source("good"))
    install(tmp_path, "odd", "raise RuntimeError('imported')")
    for listed, expected in (("none", set()), ("", set()), ("good", {"good.Twice"})):
        status, out, err = run(tmp_path, "--strict-plugins", "plugins", "list", "--json", PLUGRAD_PLUGINS=listed)
        assert (status, err) == (0, "")
        assert {row["name"] for row in json.loads(out) if row["provider"] in ("good", "odd")} == expected


def test_a_limit_that_is_none_is_one_line(tmp_path):
    install(tmp_path, "good", layer_source("good"))
    status, _, err = run(tmp_path, "plugins", "list", PLUGRAD_PLUGIN_TIMEOUT="soon")
    assert (status, err.count("\n")) == (2, 1)
    assert "PLUGRAD_PLUGIN_TIMEOUT is 'soon'; a number of seconds above 0 was expected" in err


def test_help_with_fifty_plugins_examines_each_once_and_loads_nothing_heavy(tmp_path):
    for number in range(50):
        install(tmp_path, f"many{number}", layer_source(f"many{number}"), ["plugrad>=0.1"])
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, sys\n"
        "heavy = 'numba', 'pandas', 'sklearn', 'matplotlib', 'scipy', 'safetensors', 'rich'\n"
        "atexit.register(lambda: print('HEAVY', [m for m in heavy if m in sys.modules],\n"
        "    sum(m.startswith('many') for m in sys.modules), file=sys.stderr))\n"
    )
    status, out, err = run(tmp_path, "--help")
    assert status == 0
    assert "anomaly" in out
    assert err.splitlines() == ["HEAVY [] 50"]


MARKED = """
import pathlib
pathlib.Path({marker!r}).touch()
"""


def test_a_model_imports_the_plugins_that_it_names_and_no_other(tmp_path):
    import subprocess
    import sys

    from installed import CORE

    marker = tmp_path / "imported"
    install(tmp_path, "named", layer_source("named"))
    install(tmp_path, "other", MARKED.format(marker=str(marker)) + layer_source("other"))
    script = (
        "import numpy as np, plugrad as pg, plugrad_layers as layers\n"
        "twice = pg.registry().chosen(['named']).get('layers', 'named.Twice')\n"
        "pg.save_model('m', layers.Sequential([layers.Dense(2), twice()]).initialize((3,)))\n"
        "print(pg.load_model('m').model.predict(np.ones((1, 3), np.float32)).shape)\n"
    )
    path = ":".join([str(tmp_path), *CORE])
    environ = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    # Saving looks a layer's name up among all plugins, so the marker is judged in a process that only loads.
    assert done.stdout == "(1, 2)\n", done.stderr
    marker.unlink(missing_ok=True)
    load = "import plugrad as pg; pg.load_model('m')"
    subprocess.run([sys.executable, "-c", load], cwd=tmp_path, env=environ, check=True)
    assert not marker.exists()
    status, out, _ = run(tmp_path, "model", "inspect", tmp_path / "m")
    assert status == 0
    assert "needs: named 1.0 (installed: 1.0), plugrad" in out
    assert run(tmp_path, "--version")[0] == 0
    assert not marker.exists()
    limits = {"PLUGRAD_PLUGINS": "none"}
    done = subprocess.run(
        [sys.executable, "-c", load],
        cwd=tmp_path,
        env={**environ, **limits},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "needs layer 'named.Twice' from named 1.0, which PLUGRAD_PLUGINS leaves out" in done.stderr
