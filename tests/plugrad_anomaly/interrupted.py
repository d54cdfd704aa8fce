"""Runs of `plugrad anomaly score` in processes that are slow enough to be killed in the middle."""

import os
import signal
import subprocess
import sys
import time

# Small chunks, time between them, a checkpoint behind every few, and rows that reach the disk at once, so that there
# are some behind the checkpoint; worker processes import it too.
SITE = """
import functools, time
from plugrad_anomaly.batch import part, unit

part.CHECKPOINT_SECONDS, part.CHECKPOINT_TIMES, part.REPORT_SECONDS, part.BUFFER_BYTES = 0.02, 0, 0, 512
unit.read_chunks = functools.partial(unit.read_chunks, chunk_bytes={chunk_bytes})
steps = unit.Unit.steps

def slow_steps(self):
    for step in steps(self):
        yield step
        time.sleep({seconds})

unit.Unit.steps = slow_steps
"""


class SlowScore:
    """`score` with the given arguments, as often as it takes."""

    def __init__(self, folder, arguments, seconds=0.004, chunk_bytes=9000):
        self.folder = folder
        (folder / "site").mkdir(exist_ok=True)
        (folder / "site" / "sitecustomize.py").write_text(SITE.format(chunk_bytes=chunk_bytes, seconds=seconds))
        paths = os.pathsep.join([str(folder / "site"), *filter(None, sys.path)])
        self.environment = {**os.environ, "PYTHONPATH": paths}
        self.command = [sys.executable, "-m", "plugrad", "anomaly", "score", *map(str, arguments)]

    def start(self, *more, **options):
        """A process; its errors are to be read."""
        command = [*self.command, *more]
        return subprocess.Popen(command, stderr=subprocess.PIPE, env=self.environment, cwd=os.path.sep, **options)

    def work(self, output):
        """What shows in the work folder of `output` that a run has come a step further."""
        folder = output.parent / f".{output.name}.plugrad"
        found = set()
        for path in folder.glob("*"):
            if path.suffix in (".npz", ".json") or path.name == "joined":
                try:
                    about = path.stat()
                except FileNotFoundError:  # taken away meanwhile
                    continue
                found.add((path.name, about.st_mtime_ns, about.st_ino))
        return found

    def killed(self, output, delay, *more):
        """Whether a run could be killed -9, `delay` seconds after its first step; it may have ended before."""
        before = self.work(output)
        process = self.start(*more)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if self.work(output) - before:
                time.sleep(delay)
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.001)
        errors = process.communicate(timeout=60)[1].decode()
        assert process.returncode in (0, -signal.SIGKILL), errors
        return process.returncode != 0
