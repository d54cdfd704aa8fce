"""One framework in a process of its own, which does what the lines on its standard input say.

A request and its answer are one line of JSON each; an answer with "error" is a failure. Between two requests
the process is blocked on reading. Nothing heavy is imported before the framework, whose import is timed.
"""

import argparse
import contextlib
import gc
import json
import math
import os
import resource
import sys
import time
from pathlib import Path

FRAMEWORKS = {"plugrad": "plugrad", "torch": "torch", "torch.compile": "torch", "jax": "jax", "jax.queued": "jax"}
"""What can be compared: the name in the tables, and the package it needs."""

# Threads of a pool spin for a while after their work, in the hope of more. They get this long to fall asleep
# before the next process has its turn; to forbid spinning would slow a framework down inside its own turn.
REST_SECONDS = 0.02
# Steps at the start of every block that are not timed: the caches are another process's.
WARM_STEPS = 3


def environment(threads):
    """Environment variables that hold every framework to a number of threads."""
    count = str(threads)
    eigen = "true" if threads > 1 else "false"
    return {
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "PLUGRAD_THREADS": count,
        "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={eigen} intra_op_parallelism_threads={count}",
        "NPROC": count,  # the size of XLA's own pool of threads
        "JAX_PLATFORMS": "cpu",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TORCHINDUCTOR_COMPILE_THREADS": "1",  # no pool of compiler processes beside the measurement
    }


class Peer:
    """What all frameworks share: the loops. A subclass defines `load`, `reset`, `step` and `forward`."""

    version = ""

    def settle(self, result):
        """Wait until `result` is computed, where calls return earlier than that."""

    def predicting(self):
        """A context for predictions, entered once around many of them."""
        return contextlib.nullcontext()

    def train(self, steps):
        """That many training steps, batch after batch."""
        step, batches = self.step, self.batches
        result = None
        for i in range(steps):
            result = step(*batches[i % len(batches)])
        self.settle(result)

    def infer(self, steps):
        """The output for that many batches."""
        batches = self.batches
        with self.predicting():
            forward, result = self.forward, None
            for i in range(steps):
                result = forward(batches[i % len(batches)][0])
            self.settle(result)

    def losses(self, steps):
        """The losses of the first steps from the initial weights."""
        self.reset()
        return [self.step(*self.batches[i % len(self.batches)]).item() for i in range(steps)]


class Plugrad(Peer):
    """plugrad with the layers and the optimizer that come with it."""

    def __init__(self, threads):
        import plugrad as pg
        from plugrad.optimizer import OptimizerRun
        from plugrad_layers import Dense, Sequential
        from plugrad_optimizers import Adam

        pg.set_threads(threads)
        self.pg, self.version = pg, pg.__version__
        self.sequential = Sequential
        self.optimize = lambda rate, store: OptimizerRun(Adam(learning_rate=rate), store)
        self.makers = {"Dense": lambda spec: Dense(spec.outputs, activation=spec.activation)}

    def load(self, case, initial, batches, learning_rate):
        """Build the model of a case."""
        layers = [self.makers[type(spec).__name__](spec) for spec in case.layers]
        self.model = self.sequential(layers).initialize(case.input_shape)
        self.forward, self.initial, self.batches, self.rate = self.model, initial, batches, learning_rate
        self.reset()

    def reset(self):
        """Back to the initial weights, the optimizer's memory empty."""
        for layer, arrays in zip(self.model.layers, self.initial, strict=True):
            for name, array in arrays.items():
                getattr(layer, name).data[...] = array
        self.run = self.optimize(self.rate, self.model.store)

    def step(self, x, y):
        """One training step; the loss."""
        self.model.store.zero_grad()
        loss = self.pg.mse(self.model(x), y)
        loss.backward()
        self.run.step()
        return loss

    def predicting(self):
        """plugrad's own context for predictions."""
        return self.pg.predicting()


class Torch(Peer):
    """PyTorch, eager: its fused Adam, gradients set to None."""

    compiled = False

    def __init__(self, threads):
        import torch

        torch.set_num_threads(threads)
        self.torch, self.version = torch, torch.__version__
        self.makers = {"Dense": self._dense}

    def _dense(self, spec, arrays):
        layer = self.torch.nn.Linear(spec.inputs, spec.outputs)
        pairs = [(layer.weight, arrays["weight"].T), (layer.bias, arrays["bias"])]
        return ([layer, self.torch.nn.ReLU()] if spec.activation == "relu" else [layer]), pairs

    def load(self, case, initial, batches, learning_rate):
        """Build the model of a case."""
        torch = self.torch
        layers, self.pairs = [], []
        for spec, arrays in zip(case.layers, initial, strict=True):
            made, pairs = self.makers[type(spec).__name__](spec, arrays)
            layers += made
            self.pairs += [(tensor, torch.from_numpy(array.copy())) for tensor, array in pairs]
        model = torch.nn.Sequential(*layers)
        self.adam = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
        self.batches = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in batches]

        def loss_of(x, y):
            return torch.nn.functional.mse_loss(model(x), y)

        self.forward = torch.compile(model) if self.compiled else model
        self.loss_of = torch.compile(loss_of) if self.compiled else loss_of
        self.reset()

    def reset(self):
        """Back to the initial weights, the optimizer's memory empty; in place: compiled code stays valid."""
        with self.torch.no_grad():
            for tensor, first in self.pairs:
                tensor.copy_(first)
                for memory in self.adam.state.get(tensor, {}).values():
                    memory.zero_()

    def step(self, x, y):
        """One training step; the loss."""
        self.adam.zero_grad(set_to_none=True)
        loss = self.loss_of(x, y)
        loss.backward()
        self.adam.step()
        return loss

    def predicting(self):
        """PyTorch's own context for predictions."""
        return self.torch.inference_mode()


class TorchCompile(Torch):
    """PyTorch with the model and the loss compiled by torch.compile, which needs a C++ compiler."""

    compiled = True


class Jax(Peer):
    """JAX: the whole step in one jit, parameters and optimizer state donated; each result is waited for."""

    def __init__(self, threads):
        import jax

        self.jax, self.np, self.version = jax, jax.numpy, jax.__version__
        self.makers = {"Dense": self._dense}

    def _dense(self, spec, parameters, x):
        z = x @ parameters["weight"] + parameters["bias"]
        return self.np.maximum(z, 0) if spec.activation == "relu" else z

    def load(self, case, initial, batches, learning_rate):
        """Trace the model of a case; it is compiled at the first step."""
        jax, np = self.jax, self.np

        def forward(parameters, x):
            for spec, its in zip(case.layers, parameters, strict=True):
                x = self.makers[type(spec).__name__](spec, its, x)
            return x

        def update(parameters, memory, x, y):
            loss, gradients = jax.value_and_grad(lambda p: np.mean((forward(p, x) - y) ** 2))(parameters)
            mean, variance, count = memory
            count = count + 1
            mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradients)
            variance = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, variance, gradients)
            # expm1, because 1 - 0.999**count in float32 is wrong in the fifth digit, and the losses then drift apart.
            rate = learning_rate / -np.expm1(count * math.log(0.9))
            scale = 1 / np.sqrt(-np.expm1(count * math.log(0.999)))
            parameters = jax.tree.map(
                lambda p, m, v: p - rate * m / (np.sqrt(v) * scale + 1e-8), parameters, mean, variance
            )
            return parameters, (mean, variance, count), loss

        self.update, self.initial = jax.jit(update, donate_argnums=(0, 1)), initial
        self.compiled_forward = jax.jit(forward)
        self.batches = [(np.array(x), np.array(y)) for x, y in batches]
        self.reset()

    def reset(self):
        """Back to the initial weights, the optimizer's memory empty; copies: donated arrays are used up."""
        copy, zeros = (lambda a: self.np.array(a, copy=True)), self.np.zeros_like
        self.parameters = self.jax.tree.map(copy, self.initial)
        nothing = [self.jax.tree.map(zeros, self.initial) for _ in range(2)]
        self.memory = (*nothing, self.np.zeros((), self.np.float32))

    def step(self, x, y):
        """One training step; the loss."""
        return self._queue_step(x, y).block_until_ready()

    def forward(self, x):
        """The output for a batch."""
        return self._queue_forward(x).block_until_ready()

    def _queue_step(self, x, y):
        self.parameters, self.memory, loss = self.update(self.parameters, self.memory, x, y)
        return loss

    def _queue_forward(self, x):
        return self.compiled_forward(self.parameters, x)


class JaxQueued(Jax):
    """JAX run ahead of: calls return early, and only a block's last result is waited for.

    The next call is prepared while the last computes, and forward passes overlap: a rate, not a batch's time.
    """

    def step(self, x, y):
        """Ask for one training step; the loss, perhaps not computed yet."""
        return self._queue_step(x, y)

    def forward(self, x):
        """Ask for the output for a batch."""
        return self._queue_forward(x)

    def settle(self, result):
        """Wait for the last result; those before it are computed in order."""
        self.jax.block_until_ready((result, self.parameters))


PEERS = {"plugrad": Plugrad, "torch": Torch, "torch.compile": TorchCompile, "jax": Jax, "jax.queued": JaxQueued}


def measure(peer, task, steps):
    """Seconds per step over a block from the initial weights, and how many cores were busy meanwhile."""
    run = peer.train if task == "training" else peer.infer
    peer.reset()
    gc.collect()
    run(WARM_STEPS)
    cpu, begin = time.process_time(), time.perf_counter()
    run(steps)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    time.sleep(REST_SECONDS)
    return {"seconds": seconds / steps, "cores": cpu / seconds}


def peak_megabytes():
    """The most memory this process ever had resident; getrusage would count the parent's from before exec."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def answer(peer, request):
    """Do one request."""
    from cases import CASES, LEARNING_RATE

    match request["do"]:
        case "load":
            case, seed = CASES[request["case"]], request["seed"]
            peer.load(case, case.initial(seed), case.batches(seed), LEARNING_RATE)
            return {}
        case "losses":
            return {"losses": peer.losses(request["steps"])}
        case "measure":
            return measure(peer, request["task"], request["steps"])
        case "memory":
            return {"megabytes": peak_megabytes()}
    raise ValueError(f"unknown request {request['do']!r}")


def first_line(error):
    """What is said of an exception."""
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]


def main():
    """Serve requests until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("framework", choices=FRAMEWORKS)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a framework prints must not come between the answers
    peer = None
    begin = time.perf_counter()
    try:
        peer = PEERS[arguments.framework](arguments.threads)
        hello = {"version": peer.version, "import_seconds": time.perf_counter() - begin}
    except Exception as error:
        hello = {"error": first_line(error)}
    print(json.dumps(hello), file=out)
    for line in sys.stdin if peer else ():
        try:
            reply = answer(peer, json.loads(line))
        except Exception as error:  # the parent decides what a failure means
            reply = {"error": first_line(error)}
        print(json.dumps(reply), file=out)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # whoever asked is gone
        main()
