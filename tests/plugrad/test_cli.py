import errno
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import click
import numpy as np
import pytest

from plugrad import cli, errors, model_file, plugin_commands
from plugrad.cli import CommandGroup, main, run
from plugrad.commands import command
from plugrad.hookspecs import hookimpl
from plugrad.inspection import printable
from plugrad.plugins import Registry

HEAVY = {"numba", "pandas", "sklearn", "matplotlib", "rich", "torch", "jax"}
STATUSES = {
    errors.PlugradError: 2,
    errors.ShapeError: 2,
    errors.InputError: 2,
    errors.ModelFileError: 2,
    errors.LookupFailed: 2,
    errors.PluginError: 2,
    errors.DivergedError: 4,
}
APP_MODULE = """
import sys
import click
from plugrad.cli import CommandGroup

@click.group(cls=CommandGroup)
def app():
    "Long help of the app."

@app.command()
@click.option("--rejects", is_flag=True)
def score(rejects):
    click.echo("scored")
    return 3 if rejects else None
"""
PLUGIN_MODULE = """
from plugrad.commands import command
from plugrad.hookspecs import hookimpl

@hookimpl
def register_commands():
    return {
        "findodd": command("findodd_app:app", help="Find what is odd."),
        "gone": command("findodd_missing:app", help="Cannot be imported."),
        "empty": command("findodd_plugin:hookimpl", help="Is no command."),
    }
"""


def raising(error):
    """Return a click command that raises."""

    @click.command()
    def fail():
        raise error

    return fail


def environment(*paths, **changes):
    """Return the environment of a process that buffers its output, as users' processes do."""
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**buffered, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **changes}


def plugrad(*arguments, path=(), **options):
    """Run `python -m plugrad` in a process of its own: CompletedProcess."""
    paths = [*map(str, path), *sys.path]
    environ = environment(*paths)
    # Away from the checkout: `-m` puts the working directory first, and with it the checkout's own metadata.
    options = {"capture_output": True, "text": True, "env": environ, "timeout": 60, "cwd": os.path.sep} | options
    return subprocess.run([sys.executable, "-m", "plugrad", *arguments], **options)


def distribution(folder, name, plugin, version="1.0"):
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[plugrad]\n{plugin} = {plugin}_plugin\n")


@pytest.fixture
def installed(tmp_path):
    """A folder with an application of plugrad's own and a broken third-party plugin, as pip installs them."""
    distribution(tmp_path, "plugrad", "findodd")
    (tmp_path / "findodd_plugin.py").write_text(PLUGIN_MODULE)
    (tmp_path / "findodd_app.py").write_text("import pandas\n" + APP_MODULE)
    distribution(tmp_path, "plugrad-broken", "broken", "0.3")
    (tmp_path / "broken_plugin.py").write_text("raise ImportError('odd \\x1b[31mred')\n")
    return tmp_path


@pytest.fixture
def with_plugins(monkeypatch):
    """Let the command line see these plugins: name -> object."""

    def inject(**plugins):
        dist = SimpleNamespace(name="plugrad", version="1.0")
        points = [
            SimpleNamespace(name=name, group="plugrad", dist=dist, load=lambda plugin=plugin: plugin)
            for name, plugin in plugins.items()
        ]
        found = Registry(points, {})
        monkeypatch.setattr(cli, "registry", lambda: found)
        monkeypatch.setattr(plugin_commands, "registry", lambda: found)
        return found

    return inject


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "m.plugrad"
    metadata = {
        "model": {"name": "Sequential", "layers": [{"name": "Dense", "units": 3}, {"name": "\x1b[2J"}]},
        "state": {"mean": list(range(50)), "words": {f"w{i}": i for i in range(30)}},
        "training": {"epochs": 7, "loss": 0.25},
        "extra": None,
    }
    model_file.write(path, {"dense.weight": np.zeros((3, 4), "f4"), "bias": np.zeros((), "f8")}, metadata)
    return path


def test_help_lists_commands_of_plugins_and_names_the_broken_one(installed):
    done = plugrad("--help", path=[installed])
    assert done.returncode == 0
    for line in ("findodd  Find what is odd.", "plugins  What is installed", "model    Look into model files."):
        assert line in done.stdout
    assert "130  interrupted, state saved" in done.stdout
    warning = "plugrad: warning: plugin 'broken' (plugrad-broken 0.3) failed to load: cannot be imported: "
    assert done.stderr == warning + "ImportError: odd \\x1b[31mred\n"


def test_help_imports_nothing_heavy(installed):
    code = "import sys; from plugrad.cli import main; s = main(['--help']); print('|', *sys.modules); sys.exit(s)"
    environ = environment(str(installed), *sys.path)
    options = {"capture_output": True, "text": True, "env": environ, "timeout": 60, "cwd": os.path.sep}
    done = subprocess.run([sys.executable, "-c", code], **options)
    assert done.returncode == 0
    shown, _, modules = done.stdout.partition("|")
    assert "Find what is odd." in shown
    assert HEAVY.isdisjoint(modules.split())
    assert "findodd_app" not in modules.split()


def test_a_command_is_imported_for_its_own_help_and_when_it_runs(installed):
    done = plugrad("findodd", "--help", path=[installed])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: plugrad findodd ")
    assert "Long help of the app." in done.stdout
    assert plugrad("findodd", "score", path=[installed]).stdout == "scored\n"
    assert plugrad("findodd", "score", "--rejects", path=[installed]).returncode == 3


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gone", "'findodd_missing:app' cannot be loaded: ModuleNotFoundError: No module named"),
        ("empty", "'findodd_plugin:hookimpl' is of type HookimplMarker; a click command was expected"),
    ],
)
def test_a_command_that_cannot_be_loaded_is_one_line(installed, name, text):
    done = plugrad(name, "score", path=[installed])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("plugrad: error: command ")
    assert text in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_unknown_command_gets_the_nearest_and_the_broken_plugin(installed):
    done = plugrad("finodd", path=[installed])
    assert done.returncode == 2
    first, second = done.stderr.splitlines()
    assert first.startswith("plugrad: error: no command 'finodd'; did you mean 'findodd'? Note: plugin 'broken'")
    assert second == "Try 'plugrad --help' for help."


def test_without_arguments_the_help_goes_to_stderr():
    done = plugrad()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: plugrad ")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["plugins", "lst"], "no command 'lst'; did you mean 'list'?"),
        (["plugins", "list", "--jsn"], "--jsn"),
        (["model", "inspect"], "Missing argument"),
        (["--nothing"], "--nothing"),
    ],
)
def test_wrong_use_is_one_line_and_a_hint(arguments, text, with_plugins, capsys):
    with_plugins()
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    first, second = err.splitlines()
    assert out == ""
    assert first.startswith("plugrad: error: ")
    assert text in first
    assert second.startswith("Try 'plugrad ")


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("plugrad 0.")


def test_every_error_class_has_its_exit_status(capsys):
    classes = {c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.PlugradError)}
    assert classes == set(STATUSES)
    for kind, status in STATUSES.items():
        assert run(raising(kind("two\nlines")), [], "prog") == status
        assert capsys.readouterr().err == "prog: error: two\\nlines\n"


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (KeyboardInterrupt(), 130, "p: interrupted\n"),
        (click.Abort(), 130, "p: interrupted\n"),
        (BrokenPipeError(errno.EPIPE, "gone"), 141, ""),
        (OSError(errno.ENOSPC, "No space left on device", "out.csv"), 2, "p: error: out.csv: no space left on"),
        (OSError("Not a gzipped file"), 2, "p: error: not a gzipped file\n"),
        (MemoryError(), 2, "p: error: out of memory\n"),
        (click.ClickException("no\x1b[0m"), 2, "p: error: no\\x1b[0m\n"),
        (click.UsageError("no"), 2, "p: error: no\n"),
        (click.exceptions.Exit(1), 1, ""),
    ],
)
def test_exit_status_of_what_a_command_raises(error, status, text, capsys):
    assert run(raising(error), [], "p") == status
    err = capsys.readouterr().err
    assert err.startswith(text)
    assert bool(err) == bool(text)
    assert "Traceback" not in err


def test_a_bug_shows_its_traceback_and_does_not_look_like_a_gate(capsys):
    assert run(raising(ZeroDivisionError("here\x1b")), [], "p") == 70
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.endswith("ZeroDivisionError: here\\x1b\n")
    assert "in fail" in err


@pytest.mark.parametrize(("result", "status"), [(None, 0), (1, 1), (3, 3), (True, 0), ("text", 0)])
def test_an_integer_that_a_command_returns_is_the_exit_status(result, status):
    @click.group(cls=CommandGroup)
    def group():
        pass

    group.command("do")(lambda: result)
    assert run(group, ["do"], "p") == status


def test_plugins_list(installed):
    done = plugrad("plugins", "list", path=[installed])
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["NAME", "KIND", "PROVIDER", "VERSION", "STATUS"]
    assert ["findodd", "command", "plugrad", "1.0", "loaded"] in [line.split() for line in lines]
    assert ["broken", "plugin", "plugrad-broken", "0.3", "failed"] in [line.split() for line in lines]
    assert "broken failed: cannot be imported: ImportError: odd \\x1b[31mred" in lines
    assert "Traceback" not in done.stdout
    verbose = plugrad("plugins", "list", "-v", path=[installed]).stdout
    assert "    Traceback" in verbose
    assert " ms" in verbose
    assert "\x1b" not in verbose


def test_plugins_list_json(installed):
    rows = json.loads(plugrad("plugins", "list", "--json", path=[installed]).stdout)
    good, bad = next(row for row in rows if row["name"] == "findodd"), rows[-1]
    assert good["import_seconds"] > 0
    assert (good["name"], good["kind"], good["provider"], good["status"]) == ("findodd", "command", "plugrad", "loaded")
    assert (bad["name"], bad["status"], bad["failed_hook"]) == ("broken", "failed", None)
    assert bad["traceback"].startswith("Traceback")


def test_strict_plugins_is_an_error(installed, monkeypatch):
    monkeypatch.setenv("PLUGRAD_STRICT_PLUGINS", "1")
    done = plugrad("plugins", "list", path=[installed])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("plugrad: error: plugin 'broken' (plugrad-broken 0.3) failed to load")


def test_no_plugin_at_all(with_plugins, capsys):
    with_plugins()
    assert main(["plugins", "list"]) == 0
    assert capsys.readouterr().out == "Nothing is provided: no plugin is installed.\n"


def test_a_click_command_itself_can_be_registered(with_plugins, capsys):
    direct = click.command("direct", help="Is here.")(lambda: 3)
    lazy = command("nowhere:at_all", help="Is not.")
    with_plugins(a=SimpleNamespace(register_commands=hookimpl(lambda: {"direct": direct, "lazy": lazy})))
    assert main(["direct"]) == 3
    assert main(["--help"]) == 0
    assert "direct   Is here." in capsys.readouterr().out


def test_model_inspect_prints_everything_and_loads_no_plugin(model, monkeypatch, capsys):
    monkeypatch.setattr(cli, "registry", lambda: pytest.fail("loaded plugins"))
    assert main(["model", "inspect", str(model)]) == 0
    out = capsys.readouterr().out
    for part in (
        "format: 1\n",
        'model:\n  name: "Sequential"\n  layers:\n    [0]:\n      name: "Dense"\n      units: 3\n    [1]:\n',
        '    [1]:\n      name: "\\u001b[2J"\n',
        "tensors: 2, 56 bytes\n",
        "training:\n  epochs: 7\n  loss: 0.25\n",
        "extra: null",
        ", 19, ... 30 more]",
        "    ... 10 more\n",
    ):
        assert part in out
    assert ["dense.weight", "float32", "3", "×", "4", "48"] in [line.split() for line in out.splitlines()]
    assert ["bias", "float64", "scalar", "8"] in [line.split() for line in out.splitlines()]
    assert "\x1b" not in out


def test_model_inspect_json(model, capsys):
    assert main(["model", "inspect", "--json", str(model)]) == 0
    content = json.loads(capsys.readouterr().out)
    assert len(content["metadata"]["state"]["mean"]) == 50
    assert {t["name"] for t in content["tensors"]} == {"dense.weight", "bias"}


def test_model_inspect_of_something_else(tmp_path, capsys):
    path = tmp_path / "no\x1bmodel"
    assert main(["model", "inspect", str(path)]) == 2
    path.write_bytes(b"no model at all")
    assert main(["model", "inspect", str(path)]) == 2
    err = capsys.readouterr().err
    assert err.count("plugrad: error: ") == err.count("\n") == 2
    assert "\x1b" not in err


def test_output_that_the_encoding_lacks_is_escaped(model):
    environ = environment(*sys.path, PYTHONIOENCODING="ascii")
    done = plugrad("model", "inspect", str(model), env=environ)
    assert done.returncode == 0
    assert "3 \\xd7 4" in done.stdout


@pytest.mark.parametrize("arguments", [["plugins", "list"], ["--help"], ["plugins", "list", "--json"]])
def test_a_closed_pipe_is_quiet(arguments, installed):
    reading, writing = os.pipe()
    os.close(reading)
    options = {"capture_output": False, "stdout": writing, "stderr": subprocess.PIPE}
    done = plugrad(*arguments, path=[installed], **options)
    os.close(writing)
    assert done.returncode == 141
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_an_error_after_output_that_cannot_be_written_keeps_its_exit_status():
    code = """
import sys, click
from plugrad.cli import run
from plugrad.errors import DivergedError
@click.command()
def fail():
    sys.stdout.write("not flushed")
    raise DivergedError("loss is nan")
sys.exit(run(fail, [], "p"))
"""
    reading, writing = os.pipe()
    os.close(reading)
    options = {"stdout": writing, "stderr": subprocess.PIPE, "text": True, "env": environment(*sys.path)}
    done = subprocess.run([sys.executable, "-c", code], timeout=60, **options)
    os.close(writing)
    assert (done.returncode, done.stderr) == (4, "p: error: loss is nan\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_is_one_line():
    with open("/dev/full", "w") as full:
        done = plugrad("--version", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert done.stderr == "plugrad: error: no space left on device\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\x1b[31m", "a\\x1b[31m"), ("\x9b1m\u202e\n", "\\x9b1m\\u202e\\n"), ("é 世 \ud800", "é 世 \\ud800")],
)
def test_printable(text, shown):
    assert printable(text) == shown
