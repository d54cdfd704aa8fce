"""Kernels as compiled code: the cache, the threads, child processes, and the plain function underneath."""

import multiprocessing
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import plugrad as pg
from plugrad import prange, threads
from plugrad.errors import InputError
from plugrad.threads import set_threads

# Trains far enough that serial and parallel kernels run, and prints a digest of the weights.
TRAIN = """
import hashlib, numpy as np, plugrad as pg
from plugrad_layers import Dense, Sequential
def train():
    x = np.random.default_rng(0).normal(size=(512, 128)).astype(np.float32)
    model = Sequential([Dense(256, "relu"), Dense(128)])
    pg.Trainer(model, epochs=2, batch_size=256, progress=False).fit(x)
    return hashlib.sha256(model.store.values.tobytes()).hexdigest()
"""


@pg.kernel
def row_sums(x, out):
    for i in prange(x.shape[0]):
        total = 0.0
        for j in range(x.shape[1]):
            total += x[i, j]
        out[i] = total


def python(code, **changes):
    """Run code in a process of its own; (standard output, standard error)."""
    environ = {**os.environ, **changes}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environ, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


@pytest.fixture(scope="module")
def digest():
    return python(TRAIN + "print(train())")[0]


@pytest.mark.parametrize("rows", [3, 3000])
def test_serial_and_parallel_forms_and_the_plain_function_agree(rows):
    x = np.random.default_rng(0).normal(size=(rows, 64))
    found = [np.empty(rows) for _ in range(4)]
    row_sums(x, found[0])
    row_sums.serial(x, found[1])
    row_sums.parallel(x, found[2])
    row_sums.function(x, found[3])
    for other in found[1:]:
        np.testing.assert_allclose(found[0], other, atol=1e-12)


def test_any_number_of_threads_gives_the_same_bits(digest):
    assert python(TRAIN + "print(train())", PLUGRAD_THREADS="1")[0] == digest


def test_numbas_workqueue_layer_gives_the_same_bits_and_takes_two_callers(digest):
    code = TRAIN + (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(2) as pool: print(*pool.map(lambda _: train(), range(2)))"
    )
    assert python(code, NUMBA_THREADING_LAYER="workqueue")[0].split() == [digest] * 2


def test_two_threads_of_a_program_train_at_once(digest):
    code = TRAIN + (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(2) as pool: print(*pool.map(lambda _: train(), range(4)))"
    )
    assert python(code)[0].split() == [digest] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork()")
def test_a_forked_child_can_train(digest):
    code = TRAIN + (
        "import os\nprint(train(), flush=True)\npid = os.fork()\n"
        "if pid == 0:\n    print(train(), flush=True); os._exit(0)\n"
        "assert os.waitpid(pid, 0)[1] == 0"
    )
    parent, child = python(code)[0].split()
    assert parent == digest
    assert len(child) == len(digest)


@pytest.mark.parametrize("method", sorted({"fork", "spawn"} & set(multiprocessing.get_all_start_methods())))
def test_worker_processes_prepare_batches_while_this_one_trains(digest, tmp_path, method):
    # What a worker computes goes through kernels too; the parent's training is the same as without them.
    code = TRAIN + (
        "def prepare(seed):\n"
        "    x = np.random.default_rng(seed).normal(size=(300, 200)).astype(np.float32)\n"
        "    return float(pg.matmul(x.T, pg.softmax(x).data).data.sum())\n"
        "if __name__ == '__main__':\n"
        "    import concurrent.futures as futures, multiprocessing\n"
        "    expected = [prepare(seed) for seed in range(3)]\n"
        f"    context = multiprocessing.get_context('{method}')\n"
        "    with futures.ProcessPoolExecutor(2, mp_context=context) as pool:\n"
        "        waiting = [pool.submit(prepare, seed) for seed in range(3)]\n"
        "        print(train())\n"
        "        assert np.allclose([w.result() for w in waiting], expected, rtol=1e-4)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [digest]


def test_a_thread_prefetches_batches_while_this_one_trains(digest):
    code = TRAIN + (
        "import threading\n"
        "stop, made = threading.Event(), []\n"
        "def prefetch():\n"
        "    while not stop.is_set():\n"
        "        x = np.random.default_rng(len(made)).normal(size=(300, 200)).astype(np.float32)\n"
        "        made.append(float(pg.matmul(x.T, pg.softmax(x).data).data.sum()))\n"
        "worker = threading.Thread(target=prefetch); worker.start()\n"
        "print(train()); stop.set(); worker.join(); assert len(made) > 1"
    )
    assert python(code)[0] == digest


def test_a_cache_that_cannot_be_written_is_one_warning(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    code = "import numpy as np, plugrad as pg; x = pg.Tensor(np.ones((4, 4), 'f4')); print((x @ x).sum(), pg.mse(x, x))"
    out, err = python(code, PLUGRAD_CACHE=str(blocked))
    assert out.startswith("Tensor(64.")
    assert err.count("kernels are compiled anew in every process") == 1


@pytest.mark.parametrize("count", [0, -1, 10_000, 1.5, True, "2"])
def test_a_number_of_threads_that_makes_no_sense_is_refused(count):
    with pytest.raises(InputError, match="number of threads"):
        set_threads(count)


def test_a_bad_environment_variable_is_named():
    code = "import plugrad as pg\ntry:\n    pg.get_threads()\nexcept pg.errors.InputError as e:\n    print(e)"
    assert (
        "PLUGRAD_THREADS must be a whole number" in python("import plugrad.errors\n" + code, PLUGRAD_THREADS="two")[0]
    )


BLAS = """
import sys
import threading
import numpy as np
import plugrad as pg


@pg.kernel
def doubled(x, y):
    for i in range(x.size):
        y[i] = 2 * x[i]


@pg.kernel
def products(a, b, c):
    c[...] = np.dot(a, b)
    c[0, 0] += np.convolve(a[0], b[0])[0]


doubled(np.ones(3), np.empty(3))
print("scipy.linalg" in sys.modules, end=" ")
a, b, c = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4), np.empty((2, 4))
products(a, b, c)
expected = a @ b
expected[0, 0] += np.convolve(a[0], b[0])[0]
print(np.array_equal(c, expected))
"""


def test_a_blas_is_loaded_when_a_kernel_needs_it(tmp_path):
    (tmp_path / "program.py").write_text(BLAS)
    done = subprocess.run([sys.executable, tmp_path / "program.py"], capture_output=True, text=True, check=True)
    assert done.stdout == "False True\n"


def test_work_that_is_shared_already_runs_on_its_thread_alone(monkeypatch):
    """Within `alone` a kernel does not enter a parallel region, in this thread; the bits are those of any thread."""
    entered = []
    call = threads.parallel_call
    monkeypatch.setattr(
        threads, "parallel_call", lambda *args: entered.append(threading.current_thread()) or call(*args)
    )
    x = np.random.default_rng(0).normal(size=(3000, 64))

    def found():
        out = np.empty(3000)
        row_sums(x, out)
        return out.tobytes(), len(entered)

    expected, before = found()
    assert before == 1
    with threads.alone(), threads.alone():
        assert found() == (expected, 1)
        other = threading.Thread(target=found)
        other.start()
        other.join()
        assert found() == (expected, 2)
    assert found() == (expected, 3)
