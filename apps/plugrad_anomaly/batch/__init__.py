"""Scoring in batch: many files, of any size, in processes or on a cluster, in steps that survive a kill.

`score_units` is the face for Python code; `run.Run` is what the command `score` does.

    read → prepare        a thread, ahead          unit.py ahead.py
    add → write           the calling thread       unit.py part.py
    units                 one after another, or in processes, or on Dask workers      workers.py worker.py cluster.py
    parts → one output    in order, at once, resumable                                join.py folder.py run.py
"""

import os
import shutil
import tempfile


def score_units(detector, paths, jobs=1, model=None, on_reject=None):
    """Score files: an iterator of ScoredRows, in order, whatever the number of jobs.

    detector: what `saved.load` gives. paths: of files; "-" is standard input. jobs: how many processes; above 1,
    `model` is the path of the detector's model file, and only rows above its threshold come with reasons. on_reject:
    called with (path, line or None, why, text) of each row or file that cannot be scored.

    Raises InputError where something cannot be scored and on_reject is None. Closing the iterator ends the work.
    """
    from plugrad_anomaly.batch.run import units_of

    units = units_of(detector, paths)
    if jobs > 1 and len(units) > 1 and "-" not in paths:
        if model is None:
            raise ValueError("processes load the detector from its model file: give model=")
        yield from _in_processes(units, jobs, model, on_reject)
        return
    from plugrad_anomaly.batch.unit import Unit

    for unit in units:
        for step in Unit(detector, unit, skip=on_reject is not None).steps():
            for reject in step.rejects:
                on_reject(*reject)
            if step.scored is not None:
                yield step.scored


def _in_processes(units, jobs, model, on_reject):
    import csv

    from plugrad_anomaly import saved
    from plugrad_anomaly.batch.packed import unpacked
    from plugrad_anomaly.batch.part import PartFiles
    from plugrad_anomaly.batch.progress import Monitor
    from plugrad_anomaly.batch.workers import score_in_processes

    settings = {"form": "packed", "top": None, "skip": on_reject is not None, "max_errors": None, "checkpoints": False}
    settings["threshold"] = saved.load(model)[1]["score"]
    folder = tempfile.mkdtemp(prefix="plugrad-")

    def prefix_of(number):
        return os.path.join(folder, f"{number:08d}")

    done, due = set(), 0
    try:
        for number, _ in score_in_processes(
            model, dict(enumerate(units)), settings, prefix_of, jobs, Monitor(None, "rows")
        ):
            done.add(number)
            while due in done:
                files = PartFiles(prefix_of(due))
                with open(files.rejects, encoding="utf-8", newline="") as rejects:
                    for path, line, why, text in csv.reader(rejects):
                        on_reject(path, int(line) if line else None, why, text)
                with open(files.rows, "rb") as rows:
                    yield from (unpacked(line)[0] for line in rows)
                files.remove()
                due += 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
