"""Units scored by worker processes of this machine (`--jobs`)."""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading

from plugrad import threads
from plugrad_anomaly.batch.part import OutputError
from plugrad_anomaly.batch.worker import raise_error

MOST_DEATHS = 3  # of workers over one unit, before the run gives up


def score_in_processes(model, units, settings, prefix_of, jobs, monitor, keep_open=()):
    """Yield (number, summary) of each unit as it is done, in any order; rows are in the files `prefix_of(number)`.*.

    model: path of the model file, which each process loads once. units: number -> paths. jobs: how many processes.
    keep_open: file descriptors that the processes inherit. A worker that dies is replaced, and its unit goes on from
    its last checkpoint. Raises what `score_part` raises.
    """
    pool = _Pool(model, min(jobs, len(units)), keep_open)
    waiting, deaths = list(reversed(units.items())), {}
    try:
        busy = 0
        while waiting or busy:
            while waiting and pool.idle:
                number, unit = waiting.pop()
                pool.start(number, {"unit": unit, "settings": settings, "prefix": prefix_of(number)})
                busy += 1
            number, kind, value = pool.next_answer()
            if kind == "progress":
                monitor.update(number, value)
                continue
            busy -= 1
            if kind == "error":
                raise_error(value)
            if kind == "died":
                deaths[number] = deaths.get(number, 0) + 1
                if deaths[number] == MOST_DEATHS:
                    raise OutputError(
                        f"a worker process died {MOST_DEATHS} times over it (status {value})", units[number][0]
                    )
                waiting.append((number, units[number]))
                continue
            monitor.finished(number, value)
            yield number, value
    finally:
        pool.close()


class _Pool:
    def __init__(self, model, size, keep_open):
        self.model, self.keep_open = model, keep_open
        self.share = max(1, threads.get_threads() // size)
        self.answers = queue.Queue()
        self.idle = [self._spawn() for _ in range(size)]
        self.working = {}  # number of the unit -> process

    def _spawn(self):
        folders = os.pathsep.join(os.path.abspath(folder) for folder in sys.path)
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "plugrad_anomaly.batch.worker", self.model],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=self.keep_open,
            start_new_session=True,  # Ctrl-C is for the parent, which ends its workers
            env={**os.environ, "PYTHONPATH": folders, "PLUGRAD_THREADS": str(self.share)},
        )  # fmt: skip

    def start(self, number, request):
        process = self.working[number] = self.idle.pop()
        with contextlib.suppress(BrokenPipeError):  # it died while it was idle: the listener will tell
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        threading.Thread(target=self._listen, args=(number, process), daemon=True).start()

    def _listen(self, number, process):
        for line in process.stdout:
            ((kind, value),) = json.loads(line).items()
            self.answers.put((number, kind, value))
            if kind != "progress":
                return
        self.answers.put((number, "died", process.wait()))

    def next_answer(self):
        number, kind, value = self.answers.get()
        if kind == "died":
            del self.working[number]
            self.idle.append(self._spawn())
        elif kind != "progress":
            self.idle.append(self.working.pop(number))
        return number, kind, value

    def close(self):
        processes = [*self.idle, *self.working.values()]
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    pipe.close()
