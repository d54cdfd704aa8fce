"""plugrad beside PyTorch and JAX: time per training step and per forward pass, on this machine's CPU.

    python tests/benchmarks/training_steps.py --output bench-output
    python tests/benchmarks/training_steps.py --slopes --output bench-output

Every framework runs in a process of its own and all do the same arithmetic, which is checked first. They take
turns: in each round every process times one short block, the others asleep, so that whatever else the machine does
meets all alike.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import report
from cases import CASES, SLOPES
from peers import FRAMEWORKS
from workers import Team

CHECKED_STEPS = 20
TOLERANCE = 1e-4
STARTS = 3
# Where a median is this many times the minimum, something else had the cores.
DISTURBED = 1.5
# Caches of compiled code, which a cold start finds empty.
CACHES = ("PLUGRAD_CACHE", "TORCHINDUCTOR_CACHE_DIR", "JAX_COMPILATION_CACHE_DIR")


class Bench:
    """What is to be measured, and what has been: `results` is the JSON that is written."""

    def __init__(self, options):
        self.options = options
        self.results = {
            "machine": {
                "processor": platform.machine(), "cores": os.cpu_count(), "load_at_start": os.getloadavg()[0],
                "peaks": [],
            },
            "settings": {"rounds": options.rounds, "block_milliseconds": options.block_ms, "seed": options.seed},
            "versions": {"python": platform.python_version()},
            "agreement": [], "steps": [], "slopes": [], "startup": [], "memory": [], "footprint": [], "notes": [],
        }  # fmt: skip
        self.team = Team(options.frameworks, self.note)

    def note(self, text):
        """Say something once, on the terminal and in the results."""
        if text not in self.results["notes"]:
            self.results["notes"].append(text)
            print(text, flush=True)

    def check(self, case, threads):
        """Compare the first losses and an output with plugrad's; a disagreement ends the run."""
        losses = [(w, r["losses"]) for w, r in self.team.each("losses", where=f"{case.name}: ", steps=CHECKED_STEPS)]
        outputs = [(w, r["outputs"]) for w, r in self.team.each("outputs", where=f"{case.name}: ")]
        for what, answers in (("losses", losses), ("output", outputs)):
            ours = answers[0][1]
            for worker, theirs in answers[1:]:
                apart = _apart(ours, theirs)
                self.results["agreement"].append(
                    {"case": case.name, "threads": threads, "framework": worker.framework, "difference": apart,
                     "what": what}
                )  # fmt: skip
                print(f"  {what}, {worker.framework} against plugrad: {apart:.1e} apart", flush=True)
                if not apart <= TOLERANCE:
                    pairs = f"plugrad {ours[:30]}\n{worker.framework} {theirs[:30]}"
                    self.team.close()
                    raise SystemExit(f"{case.title}: {what} differ by {apart:.1e}, more than {TOLERANCE:.0e}\n{pairs}")

    def prepare(self, case, threads):
        """Fresh workers with the case loaded, and checked; dropout only comes after that."""
        self.team.gather(threads)
        request = {"case": case.name, "seed": self.options.seed}
        self.team.each("load", where=f"{case.name}: ", calm=True, **request)
        self.check(case, threads)
        if case.calm() != case or "scoring" in case.tasks:
            for worker, reply in self.team.each("load", where=f"{case.name}: ", calm=False, **request):
                if "score_size" in reply:
                    self.note(f"{case.title}: {worker.framework} scores in batches of {reply['score_size']}")

    def rounds(self, case, task):
        """Time blocks in turn, a different worker beginning each round; {framework: answers}."""
        where, steps = f"{case.name}: ", {}
        warm = 1 if task == "scoring" else 10
        for worker, _ in self.team.each("measure", where=where, task=task, steps=warm):  # compiles
            for _, reply in self.team.each("measure", [worker], where=where, task=task, steps=warm):
                steps[worker.framework] = max(1, round(self.options.block_ms / 1000 / reply["seconds"]))
        measured = {name: [] for name in steps}
        for number in range(self.options.rounds):
            workers = list(self.team.workers)
            turn = number % len(workers)
            for worker in workers[turn:] + workers[:turn]:
                count = steps[worker.framework]
                for _, reply in self.team.each("measure", [worker], where=where, task=task, steps=count):
                    measured[worker.framework].append(reply)
        left = {worker.framework for worker in self.team.workers}
        return {framework: replies for framework, replies in measured.items() if framework in left}

    def summarise(self, case, task, threads, measured):
        """The rows of one case, task and number of threads."""
        times = {f: [reply["seconds"] for reply in replies] for f, replies in measured.items()}
        median = {framework: statistics.median(seconds) for framework, seconds in times.items()}
        if any(median[f] > DISTURBED * min(seconds) for f, seconds in times.items()):
            self.note(f"{case.title}, {task}, {threads} threads: other work was in the way, measure it again")
        best = min((m for framework, m in median.items() if framework != "plugrad"), default=None)
        peak = next((p["gflops"] for p in self.results["machine"]["peaks"] if p["threads"] == threads), None)
        rows = []
        for framework, seconds in times.items():
            paired = [theirs / ours for theirs, ours in zip(seconds, times["plugrad"], strict=True)]
            gflops = case.flops(task) / median[framework] / 1e9
            rows.append({
                "case": case.name, "task": task, "threads": threads, "framework": framework,
                "median_us": median[framework] * 1e6, "minimum_us": min(seconds) * 1e6,
                "ratio_to_plugrad": median[framework] / median["plugrad"],
                "ratio_within_rounds": statistics.median(paired),
                "ratio_to_best_peer": best and median[framework] / best,
                "gflops": gflops, "share_of_peak": peak and gflops / peak,
                "cores_busy": statistics.median(reply["cores"] for reply in measured[framework]),
            })  # fmt: skip
        return rows

    def measure_machine(self, threads):
        """What the machine can do at most with that many threads."""
        worker = self.team.start("plugrad", threads)
        for _, reply in self.team.each("machine", [worker]):
            self.results["machine"]["peaks"].append({"threads": threads, **reply})
            print(f"{threads} threads: {reply['gflops']:.0f} GFLOP/s, copies of {reply['copy_gigabytes']:.1f} GB/s")
        worker.close()

    def measure_cases(self, threads):
        """All cases with one number of threads, in fresh processes each: memory is a case's own."""
        for name in self.options.cases:
            case = CASES[name]
            print(f"{case.title}, {threads} thread{'s' if threads > 1 else ''}", flush=True)
            self.prepare(case, threads)
            for task in case.tasks:
                self.results["steps"] += self.summarise(case, task, threads, self.rounds(case, task))
            for worker, reply in self.team.each("memory"):
                row = {"case": name, "framework": worker.framework, "threads": threads}
                self.results["memory"].append({**row, "peak_megabytes": reply["megabytes"]})
            self.team.close()

    def measure_slopes(self, threads):
        """How a training step grows with one size, the others fixed."""
        for axis, cases in SLOPES.items():
            if axis not in self.options.slopes:
                continue
            for value, case in cases.items():
                print(f"{axis} {value}, {threads} thread{'s' if threads > 1 else ''}", flush=True)
                self.prepare(case, threads)
                for row in self.summarise(case, "training", threads, self.rounds(case, "training")):
                    self.results["slopes"].append({"axis": axis, "value": value, **row})
                self.team.close()

    def measure_startup(self):
        """From the start of a process to the end of its first step, cold and warm; and what it takes on the disk."""
        for framework in self.team.frameworks():
            with tempfile.TemporaryDirectory() as folder:
                cold = self._first_step(framework, {name: str(Path(folder) / name) for name in CACHES})
            warm = [self._first_step(framework) for _ in range(STARTS)]
            if cold is None or None in warm:
                continue
            self.results["startup"].append({
                "framework": framework, "import_seconds": statistics.median(w["import"] for w in warm),
                "first_step_seconds": statistics.median(w["first"] for w in warm),
                "cold_first_step_seconds": cold["first"],
            })  # fmt: skip
            self.results["footprint"].append({"framework": framework, "bytes": warm[0]["bytes"]})

    def _first_step(self, framework, extra=None):
        """{"import": seconds, "first": seconds, "bytes": {package: bytes}}, or None for a framework that failed."""
        worker = self.team.start(framework, max(self.options.threads), extra)
        if worker is None:
            return None
        request = {"case": self.options.cases[0], "seed": self.options.seed, "calm": True}
        loaded = self.team.each("load", [worker], **request) and self.team.each("losses", [worker], steps=1)
        first = time.perf_counter() - worker.begin
        found = self.team.each("footprint", [worker]) if loaded else []
        worker.close()
        return (
            {"import": worker.hello["import_seconds"], "first": first, "bytes": found[0][1]["bytes"]} if found else None
        )


def _apart(ours, theirs):
    """The largest difference, as a share of the largest number: a loss near 0 has no digits to agree in."""
    ours, theirs = np.array(ours), np.array(theirs)
    return float(np.abs(ours - theirs).max() / np.abs(ours).max())


def parse(arguments):
    """The options of one run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("bench-output"), help="folder for the JSON and the picture")
    parser.add_argument("--frameworks", nargs="+", choices=FRAMEWORKS, default=list(FRAMEWORKS))
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument(
        "--slopes", nargs="*", choices=SLOPES, help="how a step grows with each of these sizes, instead of the cases"
    )
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2] if (os.cpu_count() or 1) > 1 else [1])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--block-ms", type=float, default=50.0, help="how long one timed block should last")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-startup", action="store_true", help="leave out start-up, disk space and machine's peak")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.block_ms <= 0 or not all(1 <= n <= (os.cpu_count() or 1) for n in options.threads):
        parser.error(f"need at least one round, a positive block and 1 to {os.cpu_count()} threads")
    options.frameworks = ["plugrad", *(name for name in options.frameworks if name != "plugrad")]
    if options.slopes is not None:
        options.slopes = options.slopes or list(SLOPES)
    return options


def main(arguments=None):
    """Measure, show, and write; returns the results."""
    options = parse(arguments)
    bench = Bench(options)
    load = bench.results["machine"]["load_at_start"]
    if load > 0.5:
        bench.note(f"the machine is busy (load {load:.1f}): trust the ratios, not the times")
    try:
        for threads in options.threads:
            if not options.no_startup:
                bench.measure_machine(threads)
            if options.slopes is None:
                bench.measure_cases(threads)
            else:
                bench.measure_slopes(threads)
        if not options.no_startup and options.slopes is None:
            bench.measure_startup()
    finally:
        bench.team.close()
    bench.results["versions"] |= bench.team.versions
    report.show(bench.results)
    report.write(bench.results, options.output)
    return bench.results


if __name__ == "__main__":
    main()
