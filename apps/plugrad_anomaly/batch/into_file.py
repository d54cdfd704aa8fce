"""A run whose output is a file: begun or taken up in a work folder, put in its place when it is complete."""

import contextlib
import os
import stat

import plugrad
from plugrad.errors import InputError
from plugrad.files import atomic_write, refuse_existing
from plugrad_anomaly.batch.folder import WorkFolder, differences, file_hash, identity, size_of
from plugrad_anomaly.batch.join import COUNTED, new_counts
from plugrad_anomaly.batch.packed import write_top
from plugrad_anomaly.batch.part import OutputError, cut_off


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with the work kept; its text says how to go on."""

    def __init__(self, path):
        super().__init__(f"interrupted; what is scored is kept: the same command with --resume goes on with {path}")


def score_into_file(run):
    """Do a Run that writes a file; what was counted. Raises as `Run.score` does.

    The work is kept where the run is interrupted or its output cannot be written, so that a later one can go on.
    """
    folder = WorkFolder(run.output)
    with folder.claimed():
        counts = _begin(run, folder)
        try:
            if not counts.get("complete"):
                _score(run, folder, counts)
            return _publish(run, folder)
        except KeyboardInterrupt:
            if run.settings["checkpoints"]:
                raise Interrupted(run.output) from None
            folder.remove()
            raise
        except OutputError as error:
            if run.settings["checkpoints"]:
                raise OutputError(f"{error}; what is scored is kept: --resume goes on with it") from None
            folder.remove()
            raise
        except InputError:
            folder.remove()
            raise


def _begin(run, folder):
    """Take up an interrupted run, or begin one; what is joined so far."""
    before = folder.begun()
    if before is not None and run.resume:
        differences(before, _manifest(run, folder))
        counts = folder.joined() or new_counts()
        if not (counts.get("complete") or before["replaces"]):
            refuse_existing(run.output, run.force)
        return counts
    if before is not None and not run.force:
        raise InputError(
            f"an interrupted run left its work in {folder.path}: --resume goes on with it, --force begins anew",
            run.output,
        )
    try:
        for path in filter(None, (run.output, run.rejects)):
            refuse_existing(path, run.force)
    except InputError:
        folder.remove()
        raise
    if run.resume:
        run.say(f"{run.output}: no interrupted run to go on with; beginning at the start")
    folder.begin(_manifest(run, folder))
    return new_counts()


def _manifest(run, folder):
    options = {"format": run.form, "top": run.top, "on-error": "skip" if run.skip else "fail"}
    options |= {"max-errors": run.max_errors, "rejects": run.rejects, "keep-columns": run.keep}
    return {
        "version": plugrad.__version__, "model": file_hash(run.model), "model_path": run.model, "options": options,
        "files": [[path, identity(path)] for path in run.files], "replaces": os.path.exists(folder.target),
    }  # fmt: skip


def _score(run, folder, counts):
    try:
        with (
            cut_off(folder.output, counts.get("bytes", 0)) as rows,
            cut_off(folder.rejects, counts.get("said", 0)) as said,
        ):

            def note(counts):
                for name, file in (("bytes", rows), ("said", said)):
                    file.flush()
                    os.fsync(file.fileno())
                    counts[name] = file.tell()
                folder.note_joined(counts)

            join = run.join(rows, said, folder.part, counts, note)
            todo = dict(list(enumerate(run.units))[counts["units"] :])
            for number, summary in folder.finished_parts(counts["units"], len(run.units)).items():
                join.add(number, summary)
                del todo[number]
            done = [path for number, unit in enumerate(run.units) if number not in todo for path in unit]
            run.monitor.before(sum(map(size_of, done)), counts, *join.waiting.values())
            run.score_units(join, todo, (folder.lock,))
            counts["complete"] = True
            note(counts)
    except OSError as error:
        raise OutputError.of(error, folder.output) from None


def _publish(run, folder):
    """Put the output in its place. A run that was killed here may have done any of the steps."""
    counts = folder.joined()
    with (
        contextlib.suppress(FileNotFoundError),
        open(folder.output, "rb") as kept,
        open(folder.rejects, "rb") as said,
    ):
        run.tell_rejects(said, counts)
        if run.top:
            with atomic_write(folder.target) as file:
                write_top(kept, file, run.form, run.threshold, run.top)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.chmod(folder.output, stat.S_IMODE(os.stat(folder.target).st_mode))
            os.replace(folder.output, folder.target)
    folder.remove()
    return {name: counts[name] for name in COUNTED}
