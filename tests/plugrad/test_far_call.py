"""Kernels that call each other where they are: compiled once, found again by the next process."""

import os
import subprocess
import sys

import numpy as np
import pytest

from plugrad import kernel, prange


@kernel(inline=False)
def add_scaled(row, factor, count, target):
    for i in range(count):
        target[i] += row[i] * factor


@kernel
def sum_of_rows(x, factor, out):
    for piece in prange(x.shape[0]):
        out[piece, :] = 0
        add_scaled(x[piece], factor, x.shape[1], out[piece])


@kernel
def twice(x, out):
    out[:] = 0
    for _ in range(2):
        add_scaled(x, x.dtype.type(1), x.size, out)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_callers_of_all_forms_get_what_the_plain_function_gives(dtype):
    x = np.random.default_rng(0).normal(size=(5, 7)).astype(dtype)
    for run in (sum_of_rows.serial, sum_of_rows.parallel):
        out = np.empty_like(x)
        run(x, dtype(3), out)
        np.testing.assert_allclose(out, 3 * x, rtol=1e-6)
    out = np.empty(7, dtype)
    twice(x[0].copy(), out)
    np.testing.assert_allclose(out, 2 * x[0], rtol=1e-6)


def test_it_is_compiled_once_for_all_callers_and_their_kinds_of_whole_numbers():
    before = len(add_scaled.serial.signatures)
    test_callers_of_all_forms_get_what_the_plain_function_gives(np.float32)
    test_callers_of_all_forms_get_what_the_plain_function_gives(np.float64)
    assert len(add_scaled.serial.signatures) == max(before, 2)


MODULE = """
import numpy as np
from plugrad import kernel, prange

@kernel(inline=False)
def inner(x, count, out):
    for i in range(count):
        out[i] = 2 * x[i]

@kernel
def outer(x, out):
    for piece in prange(1):
        inner(x, x.size, out)
"""
MAIN = """
import numpy as np, sys
import plugrad_far_example as example
from plugrad import compiling
seen = []
with compiling.shown_by(seen.append):
    x, out = np.arange(5.0), np.empty(5)
    example.outer.{form}(x, out)
print(out.tolist(), len([s for s in seen if s]))
"""


@pytest.mark.parametrize("form", ["serial", "parallel"])
def test_the_next_process_finds_both(tmp_path, form):
    (tmp_path / "plugrad_far_example.py").write_text(MODULE)
    path = os.pathsep.join([str(tmp_path), *(p for p in sys.path if p)])
    environ = {**os.environ, "PLUGRAD_CACHE": str(tmp_path / "cache"), "PYTHONPATH": path}

    def run():
        code = [sys.executable, "-c", MAIN.format(form=form)]
        done = subprocess.run(code, capture_output=True, text=True, env=environ, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert run() == "[0.0, 2.0, 4.0, 6.0, 8.0] 1"  # one compilation, of the outer one: the inner is within it
    assert run() == "[0.0, 2.0, 4.0, 6.0, 8.0] 0"


TRAIN = """
import hashlib, numpy as np, plugrad as pg
from plugrad_layers import Conv2D, Dense, Flatten, Sequential
rng = np.random.default_rng(0)
x, y = rng.normal(size=(64, 16, 16, 16)).astype(np.float32), rng.integers(0, 5, 64)
model = Sequential([Conv2D(32, 3, activation="relu"), Flatten(), Dense(5)])
pg.Trainer(model, "CrossEntropy", epochs=2, progress=False).fit(x, y)
print(hashlib.sha256(model.store.values.tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_a_training_gives_the_same_bits_compiled_and_loaded(tmp_path):
    environ = {**os.environ, "PLUGRAD_CACHE": str(tmp_path)}
    found = [
        subprocess.run([sys.executable, "-c", TRAIN], capture_output=True, text=True, env=environ, timeout=600)
        for _ in range(2)
    ]
    assert found[0].stdout == found[1].stdout != "", found[0].stderr + found[1].stderr
