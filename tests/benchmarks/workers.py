"""Processes that run one framework each, and who of them is still in the race."""

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from peers import FRAMEWORKS, environment


class PeerError(Exception):
    """A framework could not do what was asked of it."""


class Worker:
    """A process that runs one framework; `ask` sends it a request and waits for the answer.

    extra: environment variables beside those that set the number of threads.
    """

    def __init__(self, framework, threads, extra=None):
        self.framework, self.threads = framework, threads
        self.begin = time.perf_counter()
        script = str(Path(__file__).with_name("peers.py"))
        self.process = subprocess.Popen(
            [sys.executable, "-u", script, framework, "--threads", str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, **environment(threads), **(extra or {})},
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
        with contextlib.suppress(BrokenPipeError):  # it has ended by itself
            self.process.stdin.close()
        self.process.wait()


class Team:
    """The workers for one case after another. A framework that fails in one is left out of that one.

    say: called with a line of text about whom is left out and why.
    """

    def __init__(self, names, say):
        self.names, self.say = names, say
        self.versions, self.workers = {}, []
        self.missing = {name for name in names if importlib.util.find_spec(FRAMEWORKS[name]) is None}
        for name in sorted(self.missing):
            say(f"{name} is left out: the package {FRAMEWORKS[name]} is not installed")

    def frameworks(self):
        """Those asked for that are installed."""
        return [name for name in self.names if name not in self.missing]

    def start(self, framework, threads, extra=None):
        """A worker, or None for a framework that cannot start."""
        try:
            worker = Worker(framework, threads, extra)
        except PeerError as error:
            self.fail(framework, error)
            return None
        self.versions[framework] = worker.hello["version"]
        return worker

    def gather(self, threads):
        """Start a worker of every framework."""
        self.close()
        self.workers = [w for w in (self.start(name, threads) for name in self.frameworks()) if w]

    def fail(self, framework, reason, where=""):
        """Go on without a framework. There is nothing to compare with if it is plugrad."""
        self.say(f"{where}{framework} is left out: {reason}")
        if framework == "plugrad":
            self.close()
            raise SystemExit(f"{where}plugrad failed: {reason}")
        for worker in [w for w in self.workers if w.framework == framework]:
            self.workers.remove(worker)
            worker.close()

    def each(self, do, workers=None, where="", **request):
        """(worker, answer) of all workers, one after another; one that fails is left out from now on."""
        answers = []
        for worker in list(self.workers if workers is None else workers):
            try:
                answers.append((worker, worker.ask(do, **request)))
            except PeerError as error:
                self.fail(worker.framework, error, where)
        return answers

    def close(self):
        """End all processes."""
        for worker in self.workers:
            worker.close()
        self.workers = []
