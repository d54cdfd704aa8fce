"""plugrad beside PyTorch and JAX: time per training step and per forward pass, on this machine's CPU.

    python tests/benchmarks/training_steps.py --output bench-output

Every framework runs in a process of its own and all do the same arithmetic, which is checked first. They take
turns: in each round every process times one short block, the others asleep, so that whatever else the machine does
meets all alike.
"""

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import report
from cases import CASES, TASKS
from peers import FRAMEWORKS, environment

CHECKED_STEPS = 20
TOLERANCE = 1e-4
STARTS = 3
# Where a median is this many times the minimum, something else had the cores.
DISTURBED = 1.5


class PeerError(Exception):
    """A framework could not do what was asked of it."""


class Worker:
    """A process that runs one framework; `ask` sends it a request and waits for the answer."""

    def __init__(self, framework, threads):
        self.framework, self.threads = framework, threads
        self.begin = time.perf_counter()
        script = str(Path(__file__).with_name("peers.py"))
        self.process = subprocess.Popen(
            [sys.executable, "-u", script, framework, "--threads", str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment(threads)},
        )  # fmt: skip
        self.hello = self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        reply = json.loads(line) if line else {"error": f"the process ended with status {self.process.wait()}"}
        if "error" in reply:
            raise PeerError(reply["error"])
        return reply

    def ask(self, do, **request):
        """The answer to one request, a mapping; raises PeerError."""
        try:
            self.process.stdin.write(json.dumps({"do": do, **request}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the answer says how the process ended
        return self._answer()

    def close(self):
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


class Bench:
    """What is to be measured, and what has been: `results` is the JSON that is written."""

    def __init__(self, options):
        self.options = options
        self.workers = []
        self.left_out = set()
        self.results = {
            "machine": {
                "processor": platform.machine(), "cores": os.cpu_count(), "load_at_start": os.getloadavg()[0],
            },
            "settings": {"rounds": options.rounds, "block_milliseconds": options.block_ms, "seed": options.seed},
            "versions": {"python": platform.python_version()},
            "agreement": [], "steps": [], "startup": [], "memory": [], "notes": [],
        }  # fmt: skip

    def note(self, text):
        """Say something once, on the terminal and in the results."""
        if text not in self.results["notes"]:
            self.results["notes"].append(text)
            print(text, flush=True)

    def leave_out(self, framework, reason):
        """Go on without a framework. There is nothing to compare with if it is plugrad."""
        if framework == "plugrad":
            raise SystemExit(f"plugrad failed: {reason}")
        self.left_out.add(framework)
        self.note(f"{framework} is left out: {reason}")

    def frameworks(self):
        """Those asked for that are installed and have not failed."""
        for name in self.options.frameworks:
            if name not in self.left_out and importlib.util.find_spec(FRAMEWORKS[name]) is None:
                self.leave_out(name, f"the package {FRAMEWORKS[name]} is not installed")
        return [name for name in self.options.frameworks if name not in self.left_out]

    def start(self, framework, threads):
        """A worker, or None for a framework that cannot start."""
        try:
            worker = Worker(framework, threads)
        except PeerError as error:
            self.leave_out(framework, error)
            return None
        self.results["versions"][framework] = worker.hello["version"]
        return worker

    def each(self, workers, do, **request):
        """(worker, answer) of all workers, one after another; one that fails is left out from now on."""
        answers = []
        for worker in [w for w in workers if w.framework not in self.left_out]:
            try:
                answers.append((worker, worker.ask(do, **request)))
            except PeerError as error:
                self.leave_out(worker.framework, error)
        return answers

    def check(self, case, threads, workers):
        """Compare the first losses with plugrad's (the first worker's); a disagreement ends the run."""
        answers = self.each(workers, "losses", steps=CHECKED_STEPS)
        ours = answers[0][1]["losses"]
        for worker, reply in answers[1:]:
            apart = max(abs(a - b) / abs(a) for a, b in zip(ours, reply["losses"], strict=True))
            row = {"case": case.name, "threads": threads, "framework": worker.framework, "difference": apart}
            self.results["agreement"].append(row)
            print(f"  first {CHECKED_STEPS} losses, {worker.framework} against plugrad: {apart:.1e} apart", flush=True)
            if not apart <= TOLERANCE:
                pairs = f"plugrad {ours}\n{worker.framework} {reply['losses']}"
                raise SystemExit(f"{case.title}: losses differ by {apart:.1e}, more than {TOLERANCE:.0e}\n{pairs}")

    def rounds(self, case, task, threads, workers):
        """Time blocks in turn, a different worker beginning each round."""
        steps = {}
        for worker, reply in self.each(workers, "measure", task=task, steps=30):  # compiles, and sizes the blocks
            reply = worker.ask("measure", task=task, steps=30)
            steps[worker.framework] = max(2, round(self.options.block_ms / 1000 / reply["seconds"]))
        measured = {name: [] for name in steps}
        for number in range(self.options.rounds):
            turn = number % len(workers)
            for worker in workers[turn:] + workers[:turn]:
                if worker.framework in self.left_out:
                    continue
                for _, reply in self.each([worker], "measure", task=task, steps=steps[worker.framework]):
                    measured[worker.framework].append(reply)
        self.summarise(case, task, threads, measured)

    def summarise(self, case, task, threads, measured):
        """Put the rows of one case, task and thread count into the results."""
        measured = {f: replies for f, replies in measured.items() if f not in self.left_out}
        times = {f: [reply["seconds"] for reply in replies] for f, replies in measured.items()}
        median = {framework: statistics.median(seconds) for framework, seconds in times.items()}
        if any(median[f] > DISTURBED * min(seconds) for f, seconds in times.items()):
            self.note(f"{case.title}, {task}, {threads} threads: other work was in the way, measure it again")
        best = min((m for framework, m in median.items() if framework != "plugrad"), default=None)
        for framework, seconds in times.items():
            paired = [theirs / ours for theirs, ours in zip(seconds, times["plugrad"], strict=True)]
            self.results["steps"].append({
                "case": case.name, "task": task, "threads": threads, "framework": framework,
                "median_us": median[framework] * 1e6, "minimum_us": min(seconds) * 1e6,
                "ratio_to_plugrad": median[framework] / median["plugrad"],
                "ratio_within_rounds": statistics.median(paired),
                "ratio_to_best_peer": best and median[framework] / best,
                "cores_busy": statistics.median(reply["cores"] for reply in measured[framework]),
            })  # fmt: skip

    def measure_threads(self, threads):
        """All cases with one number of threads, the workers staying alive throughout."""
        workers = [w for w in (self.start(name, threads) for name in self.frameworks()) if w]
        try:
            for name in self.options.cases:
                case = CASES[name]
                print(f"{case.title}, {threads} thread{'s' if threads > 1 else ''}", flush=True)
                self.each(workers, "load", case=name, seed=self.options.seed)
                self.check(case, threads, workers)
                for task in TASKS:
                    self.rounds(case, task, threads, workers)
            for worker, reply in self.each(workers, "memory"):
                row = {"framework": worker.framework, "threads": threads, "peak_megabytes": reply["megabytes"]}
                self.results["memory"].append(row)
        finally:
            for worker in workers:
                worker.close()

    def measure_startup(self):
        """From the start of a process to the end of its first training step, what was compiled before cached."""
        case, threads = self.options.cases[0], max(self.options.threads)
        for framework in self.frameworks():
            imports, firsts = [], []
            for _ in range(STARTS):
                worker = self.start(framework, threads)
                if worker is None:
                    break
                self.each([worker], "load", case=case, seed=self.options.seed)
                self.each([worker], "losses", steps=1)
                firsts.append(time.perf_counter() - worker.begin)
                imports.append(worker.hello["import_seconds"])
                worker.close()
            if imports and framework not in self.left_out:
                row = {"framework": framework, "import_seconds": statistics.median(imports)}
                self.results["startup"].append({**row, "first_step_seconds": statistics.median(firsts)})


def parse(arguments):
    """The options of one run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("bench-output"), help="folder for the JSON and the picture")
    parser.add_argument("--frameworks", nargs="+", choices=FRAMEWORKS, default=list(FRAMEWORKS))
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2] if (os.cpu_count() or 1) > 1 else [1])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--block-ms", type=float, default=50.0, help="how long one timed block should last")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-startup", action="store_true", help="leave out the time from a process's start")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.block_ms <= 0 or not all(1 <= n <= (os.cpu_count() or 1) for n in options.threads):
        parser.error(f"need at least one round, a positive block and 1 to {os.cpu_count()} threads")
    options.frameworks = ["plugrad", *(name for name in options.frameworks if name != "plugrad")]
    return options


def main(arguments=None):
    """Measure, show, and write; returns the results."""
    options = parse(arguments)
    bench = Bench(options)
    load = bench.results["machine"]["load_at_start"]
    if load > 0.5:
        bench.note(f"the machine is busy (load {load:.1f}): trust the ratios, not the times")
    for threads in options.threads:
        bench.measure_threads(threads)
    if not options.no_startup:
        bench.measure_startup()
    report.show(bench.results)
    report.write(bench.results, options.output)
    return bench.results


if __name__ == "__main__":
    main()
