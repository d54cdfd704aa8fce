"""Compile everything ahead of its use, so that no later process waits for the compiler."""

import copy

import numpy as np

from plugrad.errors import PlugradError
from plugrad.kernel import KERNELS
from plugrad.mode import recording, training
from plugrad.op import OPS
from plugrad.optimizer import OptimizerRun
from plugrad.parameters import Parameter, ParameterStore
from plugrad.plugins import registry
from plugrad.tensor import Tensor
from plugrad.testing.gradient import as_float
from plugrad.testing.plugin import example_of


def tasks(dtype=np.float32):
    """(name, function) pairs which together call every op, layer, loss and optimizer that there is, forth and back."""
    names = registry()
    found = [(f"op {name}", lambda op=op: _run_op(op, dtype)) for name, op in OPS.items()]
    for kind, run in (("layers", _run_layer), ("losses", _run_loss), ("optimizers", _run_optimizer)):
        for name in names.names(kind):
            found.append((f"{kind} {name}", lambda k=kind, n=name, r=run: r(names.get(k, n), dtype)))
    # The list of kernels is complete only when all of these have run.
    found.append(("parallel forms", _compile_parallel))
    return found


def warm_up(shown=lambda name, done, count: None, dtype=np.float32):
    """Run all tasks; shown(name, done, count) is called before each. Returns [(name, what went wrong)]."""
    jobs, failed = tasks(dtype), []
    for done, (name, job) in enumerate(jobs):
        shown(name, done, len(jobs))
        try:
            job()
        except Exception as error:  # another plugin's mistake is no reason to leave the rest cold
            failed.append((name, f"{type(error).__name__}: {error}"))
    return failed


def _backward(value):
    if value.tape is not None:
        value.backward(np.ones(value.shape, value.dtype))


def _run_op(op, dtype):
    for example in op.examples:
        arguments, options = example(np.random.default_rng(0)), {}
        if isinstance(arguments[-1], dict):
            *arguments, options = arguments
        _, gradients = op.raw(
            *[as_float(a, dtype) for a in arguments], **{k: as_float(v, dtype) for k, v in options.items()}
        )
        leaves = []
        for number, a in enumerate(as_float(a, dtype) for a in arguments):
            inside = not isinstance(gradients, tuple) or (number < len(gradients) and gradients[number] is not None)
            floats = isinstance(a, np.ndarray) and a.dtype.kind == "f"
            leaves.append(Tensor(a, requires_grad=True) if floats and inside else a)
        with recording():
            _backward(op(*leaves, **{k: as_float(v, dtype) for k, v in options.items()}))


def _run_layer(cls, dtype):
    layer, given = example_of(cls, ((6,),))
    sample = given if isinstance(given, np.ndarray) else np.random.default_rng(0).normal(size=(3, *given))
    batch = as_float(sample, dtype)
    layer = copy.deepcopy(layer).initialize(batch.shape[1:], dtype=dtype, sample=batch)
    layer.predict(batch)
    with training():
        _backward(layer(Tensor(batch, requires_grad=batch.dtype.kind == "f")))


def _run_loss(cls, dtype):
    rng = np.random.default_rng(0)
    loss, prediction, target = example_of(cls, (rng.normal(size=(4, 3)), rng.normal(size=(4, 3))))
    with recording():
        _backward(loss(Tensor(as_float(prediction, dtype), requires_grad=True), as_float(target, dtype)))


def _run_optimizer(cls, dtype):
    parameters = [Parameter(np.ones((4, 3), dtype)), Parameter(np.ones(3, dtype), decay=False)]
    store = ParameterStore(parameters)
    run = OptimizerRun(copy.deepcopy(example_of(cls)), store)
    store.complete_gradients()
    store.penalize(1e-3, 1e-3)
    store.clip_norm(1e-9)
    store.shrink(0.5)
    run.step()


def _compile_parallel():
    for kernel in KERNELS:
        kernel.compile_parallel()


def check_writable(folder):
    """Raise PlugradError where compiled kernels cannot be kept: warming up would be for nothing."""
    if folder is None:
        raise PlugradError("the folder of compiled kernels cannot be written; set PLUGRAD_CACHE to one that can")
