"""One framework in a process of its own, which does what the lines on its standard input say.

A request and its answer are one line of JSON each; an answer with "error" is a failure. Between two requests
the process is blocked on reading. Nothing heavy is imported before the framework, whose import is timed.
"""

import argparse
import contextlib
import gc
import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path

FRAMEWORKS = {"plugrad": "plugrad", "torch": "torch", "torch.compile": "torch", "jax": "jax", "jax.queued": "jax"}
"""What can be compared: the name in the tables, and the package it needs."""

PEERS = {
    "plugrad": ("peer_plugrad", "Plugrad"),
    "torch": ("peer_torch", "Torch"),
    "torch.compile": ("peer_torch", "TorchCompile"),
    "jax": ("peer_jax", "Jax"),
    "jax.queued": ("peer_jax", "JaxQueued"),
}
"""The module and the class of each."""

# Threads of a pool spin for a while after their work, in the hope of more. They get this long to fall asleep
# before the next process has its turn; to forbid spinning would slow a framework down inside its own turn.
REST_SECONDS = 0.02
# Steps at the start of every block that are not timed: the caches are another process's.
WARM_STEPS = {"training": 3, "inference": 3, "scoring": 0}


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


def measure(peer, task, steps):
    """Seconds per step over a block from the initial weights, and how many cores were busy meanwhile."""
    run = getattr(peer, task)
    peer.reset()
    gc.collect()
    if WARM_STEPS[task]:
        run(WARM_STEPS[task])
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


def load(peer, request):
    """Make a case's model, without dropout if it is asked for so, and what a scoring needs."""
    import numpy as np
    from cases import KNOWN, SCORED_ROWS

    case, seed = KNOWN[request["case"]], request["seed"]
    case = case.calm() if request["calm"] else case
    peer.load(case, case.initial(seed), case.batches(seed), case.learning_rate)
    if "scoring" not in case.tasks or request["calm"]:
        return {}
    peer.prepare_scoring(case.rows(seed), np.empty((SCORED_ROWS, *case.output_shape), np.float32))
    return {"score_size": peer.score_size}


def answer(peer, request):
    """Do one request."""
    match request["do"]:
        case "load":
            return load(peer, request)
        case "losses":
            return {"losses": peer.losses(request["steps"])}
        case "outputs":
            return {"outputs": peer.outputs()[:1000].tolist()}
        case "measure":
            return measure(peer, request["task"], request["steps"])
        case "memory":
            return {"megabytes": peak_megabytes()}
        case "footprint":
            from footprint import installed_bytes

            return {"bytes": installed_bytes()}
        case "machine":
            from machine_peak import measure_machine

            return measure_machine()
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
        module, name = PEERS[arguments.framework]
        peer = getattr(importlib.import_module(module), name)(arguments.threads)
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
