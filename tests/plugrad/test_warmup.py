"""Compiling ahead, and what is said while kernels are compiled."""

import subprocess
import sys

import pytest

from plugrad import compiling, warmup
from plugrad.cli import main
from plugrad.errors import PlugradError
from plugrad.plugins import registry

COMPILED = """
import numpy as np, sys
from plugrad import compiling, kernel, prange
from plugrad.kernels.optimizer import scale
seen = []
with compiling.shown_by(seen.append):
    for _ in range(2):
        scale(np.ones(4, np.float32), np.float32(2))
print(seen)
scale.compile_parallel()
print(len(scale._parallel.signatures))
"""


def test_a_compilation_is_shown_once_and_not_when_it_is_in_the_cache(tmp_path):
    def run():
        environ = {"PLUGRAD_CACHE": str(tmp_path), "PATH": "", "PYTHONPATH": ":".join(p for p in sys.path if p)}
        done = subprocess.run(
            [sys.executable, "-c", COMPILED], capture_output=True, text=True, env=environ, timeout=300
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""  # no terminal, no line
        return done.stdout.splitlines()

    assert run() == ["['compiling kernels, once for this machine: scale (number 1, 0 s)', None]", "1"]
    assert run() == ["[]", "1"]


def test_the_line_is_written_on_a_terminal_and_erased(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    compiling._line("compiling x")
    compiling._line(None)
    assert capsys.readouterr().err == "\r\x1b[2Kplugrad: compiling x\r\x1b[2K"


def test_every_op_layer_loss_and_optimizer_is_a_task():
    names = [name for name, _ in warmup.tasks()]
    assert len(names) == len(set(names))
    assert {"op dense_stack", "op relu", "parallel forms"} <= set(names)
    for kind in ("layers", "losses", "optimizers"):
        assert {f"{kind} {name}" for name in registry().names(kind)} <= set(names)


@pytest.fixture
def few(monkeypatch):
    """Only some of the tasks, and one that fails."""
    inner = warmup.tasks
    chosen = ("op relu", "op matmul", "op embedding", "op dense_stack", "layers Dense", "losses MSE", "optimizers SGD")

    def fail():
        raise ValueError("a plugin's mistake")

    def tasks(dtype):
        return [*(t for t in inner(dtype) if t[0] in chosen), ("layers Broken", fail)]

    monkeypatch.setattr(warmup, "tasks", tasks)
    return chosen


def test_warm_up_runs_them_and_goes_on_after_a_failure(few):
    shown = []
    failed = warmup.warm_up(lambda *progress: shown.append(progress))
    assert failed == [("layers Broken", "ValueError: a plugin's mistake")]
    assert {name for name, _, _ in shown} == {*few, "layers Broken"}
    assert [(done, count) for _, done, count in shown] == [(i, len(few) + 1) for i in range(len(few) + 1)]


def test_the_command(few, capsys):
    assert main(["warmup"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "warning: layers Broken: ValueError: a plugin's mistake" in err
    assert "kernels are ready in" in err


def test_a_cache_that_cannot_be_written_is_refused():
    with pytest.raises(PlugradError, match="PLUGRAD_CACHE"):
        warmup.check_writable(None)
